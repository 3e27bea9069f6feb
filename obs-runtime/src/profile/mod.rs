//! Where time, memory and waiting go: five profiles in the format of `go tool pprof`.

mod model;

pub use model::Profile;
pub(crate) use model::{Frame, Label, Text};
