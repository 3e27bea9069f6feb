//! Whether the process is alive, ready and started: a registry of checks, and what probes are told.
//!
//! - **Liveness** says that the process works at all. Where it fails, the process is restarted.
//! - **Readiness** says that it can take traffic. Where it fails, it gets none until it can.
//! - **Startup** says that it has come up. Until then the others are not asked.
//!
//! A check is an async function with the attribute [`health_check`](crate::health_check), or, if it needs state, a
//! closure that is [registered](check) at run time:
//!
//! ```
//! use obs_runtime::health::{self, Probe};
//! use obs_runtime::health_check;
//! use std::time::Duration;
//!
//! #[health_check(readiness, timeout = "500ms", every = "5s")]
//! async fn queue() -> Result<(), std::io::Error> {
//!     // ask the queue whether it takes messages
//!     Ok(())
//! }
//!
//! let database = std::sync::Arc::new(());
//! let check = health::check("database").timeout(Duration::from_secs(2)).register(move || {
//!     let database = database.clone();
//!     async move {
//!         drop(database); // ask the database for a row
//!         Ok::<_, std::fmt::Error>(())
//!     }
//! })?;
//! check.remove(); // when the pool is closed
//! # Ok::<(), obs_runtime::health::RegisterError>(())
//! ```
//!
//! Checks run in the background, from the start of the runtime, each on its own interval and under its own deadline. A
//! probe is answered from their last results, and runs nothing. One that panics, hangs or blocks its thread fails, and
//! is in nobody's way; it is not run again before it has come back. A thread of the runtime looks after that, and each
//! run has a thread for as long as it takes. Deadlines and the age of results count only time in which the process ran: one
//! that was stopped, frozen or suspended answers its first probe as it would have before.
//!
//! A closure runs in the tokio runtime that it was registered in, whose connections it may use. A function with the
//! attribute runs in the one that calls [`Guard::serve`](crate::Guard::serve) or [`started`](crate::lifecycle::started),
//! or [started the runtime](crate::init), or, as long as nobody has, in one of our own.
//!
//! [`report`] is what `/health/live`, `/health/ready` and `/health/startup` answer: 200 or 503, by the checks that are
//! [critical](CheckBuilder::critical). With `?verbose`, they show every check to those who [may see everything](crate::admin), by the
//! [draft of the IETF](https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06). Each check is in
//! `/metrics` too: `health_check_status`, `health_check_duration_seconds`, `health_check_runs_total` and
//! `health_check_failures_total`. A line in the log tells of each change, and of nothing else.

mod builtin;
mod clock;
mod declared;
#[cfg(feature = "admin")]
mod http;
mod registry;
mod report;
mod runner;
mod spec;
mod state;

#[cfg(unix)]
pub use builtin::disk_space;
#[cfg(feature = "otlp")]
pub use builtin::export_success;
pub use builtin::{event_loop_lag, progress};
#[cfg(feature = "prometheus")]
pub(crate) use clock::now;
#[doc(hidden)]
pub use declared::{CHECKS, Declared, run};
#[cfg(feature = "admin")]
pub(crate) use http::routes;
#[cfg(feature = "prometheus")]
pub(crate) use registry::all;
pub use registry::{Check, CheckBuilder, RegisterError};
pub(crate) use registry::{start, verify};
pub use report::{CheckReport, Report, report};
pub(crate) use runner::{adopt, aside, runtime};
pub use spec::Probe;
#[doc(hidden)]
pub use spec::Spec;

use std::fmt::Display;
use std::time::Duration;

/// How well something is that works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// As it should be.
    Good,
    /// It works, and somebody should have a look: this is why.
    Degraded(String),
}

/// What a probe is told, in the words of the IETF's draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All is well.
    Pass,
    /// It works, and something is degraded.
    Warn,
    /// It does not work.
    Fail,
}

impl Status {
    /// `pass`, `warn` or `fail`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// What a check may return: nothing, [`Health`], or a `Result` of one of these.
#[diagnostic::on_unimplemented(
    message = "a health check can't return `{Self}`",
    label = "says nothing of health",
    note = "return `()`, `Health`, or a `Result` of one of these whose error has a `Display`"
)]
pub trait CheckResult {
    /// How well it is, or why it failed.
    ///
    /// # Errors
    /// Where the check has failed.
    fn into_result(self) -> Result<Health, String>;
}

impl CheckResult for () {
    fn into_result(self) -> Result<Health, String> {
        Ok(Health::Good)
    }
}

impl CheckResult for Health {
    fn into_result(self) -> Result<Health, String> {
        Ok(match self {
            Self::Degraded(why) => Self::Degraded(crate::outcome::limited(format_args!("{why}"))),
            Self::Good => self,
        })
    }
}

impl<T: CheckResult, E: Display> CheckResult for Result<T, E> {
    fn into_result(self) -> Result<Health, String> {
        self.map_err(|error| crate::outcome::limited(format_args!("{error}")))?.into_result()
    }
}

/// A check that is registered at run time, with every setting at its default.
///
/// The name is the check's in reports and metrics. No two checks have the same.
pub fn check(name: impl Into<String>) -> CheckBuilder {
    CheckBuilder::new(name.into())
}

/// A time as people read it.
fn shown(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        seconds => format!("{seconds} s"),
    }
}
