//! Where locks have been waited for.

use super::Profile;
use super::model::ValueType;
use std::time::SystemTime;

const TYPES: &[ValueType] = &[("contentions", "count"), ("delay", "nanoseconds")];

/// Where locks have been waited for since the process started.
#[must_use]
pub fn mutex() -> Profile {
    Profile::new(TYPES, SystemTime::now())
}
