//! Ids of requests: made here, or taken from the caller if they may go into log lines and headers.

#[cfg(feature = "http")]
use std::time::{SystemTime, UNIX_EPOCH};

/// The context field that holds it.
pub(crate) const REQUEST_ID_FIELD: &str = "request_id";

/// Longer ids are not believed.
const MAX_BYTES: usize = 128;

/// Whether an id from outside may be used: 1 to 128 letters, digits and `-_.:/+=@`.
///
/// Nothing in it needs an escape, in JSON, in a header, in a query or in a shell.
pub(crate) fn is_valid(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(&byte);
    (1..=MAX_BYTES).contains(&id.len()) && id.bytes().all(allowed)
}

/// A new id: a UUID of version 7, so ids sort by time.
#[cfg(feature = "http")]
pub(crate) fn new() -> String {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let mut random = [0; 10];
    if crate::context::with_stack(|stack| stack.fill_random(&mut random)).is_none() {
        fastrand::fill(&mut random);
    }
    let millis = u64::try_from(millis).unwrap_or(u64::MAX);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string()
}
