//! Where CPU time goes: a sample of what runs, so many times for each second that the process computes.
//!
//! While a [`Recording`] is on, the signal `SIGPROF` interrupts the threads that compute and notes their stacks; in
//! between, nothing is done. Samples have the labels `thread`, and `function` and `trace_id` of the observed call that
//! they fall into.
//!
//! Off unless it is enabled, by [`builder().cpu_profiling(true)`](crate::Builder::cpu_profiling) or
//! `OBS_CPU_PROFILING=true`: signals interrupt system calls, and a process may have other plans for `SIGPROF`. A handler
//! of others is left alone, and profiles are not available then.
//!
//! ```no_run
//! use obs_runtime::profile::cpu;
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let _obs = obs_runtime::builder().cpu_profiling(true).init()?;
//! let recording = cpu::start(99)?;
//! std::thread::sleep(Duration::from_secs(10));
//! let profile = recording.finish();
//! # let _ = profile;
//! # Ok(())
//! # }
//! ```
//!
//! A thread that blocks `SIGPROF` is in no sample. A process must not replace itself (`exec`) while a recording is on:
//! its timer would go over to a program that knows nothing of it.

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
#[path = "elsewhere.rs"]
mod sampler;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod sampler;
#[cfg(test)]
mod tests;

use super::Profile;
use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

static ENABLED: AtomicBool = AtomicBool::new(false);

/// Samples of all recordings that found no room.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Says whether recordings may be started.
pub(crate) fn enable(enabled: bool) {
    ENABLED.store(enabled, Ordering::Relaxed);
}

/// Whether samples are being taken, which want to know the traces of calls.
#[inline]
pub(crate) fn is_recording() -> bool {
    sampler::is_active()
}

/// How many samples have been lost.
#[cfg(feature = "prometheus")]
pub(crate) fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// Why no recording was started.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CpuError {
    /// Profiles of CPU time are not enabled.
    NotEnabled,
    /// Another recording is on; there is one at a time.
    Busy,
    /// So many samples for a second are not taken: it takes 1 to 1000.
    Rate(u32),
    /// It can't be done here, and why.
    Unavailable(String),
}

impl fmt::Display for CpuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotEnabled => f.write_str(
                "CPU profiles are not enabled; enable them with `builder().cpu_profiling(true)` or \
                 OBS_CPU_PROFILING=true",
            ),
            Self::Busy => f.write_str("another CPU profile is being recorded; there is one at a time"),
            Self::Rate(hz) => write!(f, "{hz} samples a second are not taken; it takes 1 to 1000"),
            Self::Unavailable(why) => write!(f, "CPU profiles are not available: {why}"),
        }
    }
}

impl Error for CpuError {}

/// Starts to take samples: that many for each second of CPU time, 1 to 1000. Most kernels take no more than 250 or 1000,
/// whatever is asked for; the profile's times are right all the same.
///
/// # Errors
/// Profiles are not enabled, a recording is on already, or it can't be done here.
pub fn start(hz: u32) -> Result<Recording, CpuError> {
    if !ENABLED.load(Ordering::Relaxed) {
        return Err(CpuError::NotEnabled);
    }
    if !(1..=1000).contains(&hz) {
        return Err(CpuError::Rate(hz));
    }
    sampler::Running::start(hz).map(Recording)
}

/// Samples are being taken. Dropped, it ends, and what was recorded is gone.
#[derive(Debug)]
#[must_use = "dropping it ends the recording"]
pub struct Recording(sampler::Running);

impl Recording {
    /// Ends it. Finding the names of what was recorded takes a while, up to seconds the first time. In a process
    /// forked meanwhile, nothing was recorded.
    pub fn finish(self) -> Profile {
        self.0.finish()
    }
}
