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

/// Whether the process' subscriber is the application's, with a layer of ours.
static LAYERED: AtomicBool = AtomicBool::new(false);

/// Whether spans are shown to other layers too.
#[inline]
pub(crate) fn layered() -> bool {
    cfg!(feature = "layer") && LAYERED.load(Ordering::Relaxed)
}

/// Shows spans to other layers from now on.
#[cfg(feature = "layer")]
pub(crate) fn set_layered() {
    LAYERED.store(true, Ordering::Relaxed);
}
