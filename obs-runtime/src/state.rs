//! Whether a runtime has been started: the one load that a call costs until then.

use std::sync::atomic::{AtomicBool, Ordering};

static RUNNING: AtomicBool = AtomicBool::new(false);

/// Whether calls are observed.
#[inline]
pub(crate) fn running() -> bool {
    RUNNING.load(Ordering::Relaxed)
}

/// Observes calls from now on.
pub(crate) fn start() {
    RUNNING.store(true, Ordering::Release);
}
