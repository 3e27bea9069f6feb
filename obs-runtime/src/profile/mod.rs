//! Where time, memory and waiting go: five profiles in the format of `go tool pprof`.

#[cfg(feature = "profile-cpu")]
pub mod cpu;
mod model;
#[cfg(feature = "profile-cpu")]
mod running;
#[cfg(feature = "profile-cpu")]
mod symbols;

pub use model::Profile;
pub(crate) use model::{Frame, Label, Text};
