//! Polls that take long: they keep an executor from its other tasks.

use super::running::Running;
use crate::clock;
use std::sync::atomic::{AtomicU64, Ordering};

/// In ticks. Nothing is slow before the runtime starts.
static LIMIT: AtomicU64 = AtomicU64::new(u64::MAX);
/// How long one stack's slow polls are not told of again.
const PAUSE_NANOS: f64 = 10e9;

/// From now on polls that take so long are slow; none if there is no limit.
pub(super) fn set_limit(nanos: Option<u64>) {
    #[allow(clippy::cast_precision_loss, reason = "a limit need not be exact to the nanosecond")]
    let ticks = nanos.map_or(u64::MAX, |nanos| clock::ticks(nanos as f64));
    LIMIT.store(ticks, Ordering::Relaxed);
}

/// A poll of the call at that depth has ended.
#[inline]
pub(super) fn ended(running: &Running, depth: usize, from: u64, until: u64) {
    let limit = LIMIT.load(Ordering::Relaxed);
    if until.saturating_sub(from) >= limit {
        note(running, depth, from, until, limit);
    }
}

#[cold]
fn note(running: &Running, depth: usize, from: u64, until: u64, limit: u64) {
    let Some(own) = running.slow_share(from, until, limit) else { return };
    let busy = crate::busy::now();
    let Some(stack) = running.stack(depth) else { return };
    drop(busy);
    stack.slow.add(own);
    if stack.tells(until, clock::ticks(PAUSE_NANOS)) {
        let function = stack.site.function();
        tracing::warn!(
            target: "obs_runtime::profile",
            duration_ms = super::millis(own),
            stack = super::path(stack),
            "a poll of {function} kept its executor from other tasks",
        );
    }
}
