//! Where calls have waited, and where polls took long.

use super::Profile;
use super::model::ValueType;
use super::stacks;
use std::time::SystemTime;

const TYPES: &[ValueType] = &[
    ("slow_polls", "count"),
    ("slow_poll_time", "nanoseconds"),
    ("contentions", "count"),
    ("delay", "nanoseconds"),
];

/// Where observed calls have waited since the process started, by stack of observed functions: how often a future was
/// polled again, and how long that took (`contentions`, `delay`). A call that waits for an observed one inside it does not
/// count; that one does. Waits that go on are in [`tasks`](super::tasks).
///
/// Polls that took at least [`slow_poll`](crate::Builder::slow_poll), less those inside them that did, are columns of their
/// own (`slow_polls`, `slow_poll_time`): they kept other tasks of the executor waiting.
///
/// ```
/// let before = obs_runtime::profile::block();
/// // .. and some time later:
/// let meanwhile = obs_runtime::profile::block().minus(&before);
/// ```
#[must_use]
pub fn block() -> Profile {
    let mut profile = Profile::new(TYPES, SystemTime::now());
    stacks::each(|stack| {
        let ([waits, waited], [polls, polled]) = (stack.waited.read(), stack.slow.read());
        if waits + polls > 0 {
            profile.add(stack.frames(), Vec::new(), &[polls, polled, waits, waited]);
        }
    });
    profile
}
