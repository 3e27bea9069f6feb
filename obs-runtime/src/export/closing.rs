//! The end of the runtime: by when everything is to be sent, known to every thread that waits.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

static UNTIL: Mutex<Option<Instant>> = Mutex::new(None);
static CHANGED: Condvar = Condvar::new();

fn locked() -> MutexGuard<'static, Option<Instant>> {
    UNTIL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Begins the end: nothing is tried for longer than until then.
pub(crate) fn begin(until: Instant) {
    *locked() = Some(until);
    CHANGED.notify_all();
}

/// By when everything is to be sent, if the end has begun.
pub(crate) fn until() -> Option<Instant> {
    *locked()
}

/// Waits for that long, or until the end begins if it has not yet.
pub(crate) fn wait(pause: Duration) {
    let until = locked();
    let begun = until.is_some();
    // Whether it was long enough is for the caller to see.
    drop(CHANGED.wait_timeout_while(until, pause, |until| until.is_some() == begun));
}
