//! From the start of the application to its end, and who is told of it.
//!
//! An application that has a server goes through three phases: it is starting until it says that it has
//! [`started`], takes traffic until it is told to end, and is ending from then on. Readiness passes in the second alone.
//!
//! An `axum` service has all of this from [`Guard::serve`](crate::Guard::serve). Others say so themselves, and hand
//! [`drained`] to their server as the future that shuts it down:
//!
//! ```no_run
//! # async fn serve_with_shutdown(until: impl Future<Output = ()>) { until.await }
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), obs_runtime::InitError> {
//! use obs_runtime::lifecycle;
//! use std::time::Duration;
//!
//! let obs = obs_runtime::init()?;
//! // load what has to be loaded, and bind the port
//! lifecycle::started();
//! serve_with_shutdown(lifecycle::drained(Duration::from_secs(5))).await;
//! obs.shutdown(Duration::from_secs(5));
//! # Ok(()) }
//! ```

mod phase;
#[cfg(feature = "axum")]
mod serve;
mod signals;

pub use phase::started;
pub(crate) use phase::{Phase, end, phase};
#[cfg(feature = "axum")]
pub use serve::{Serve, Served};
pub use signals::{Signal, drained, terminated};
