//! How far the application has come.

use crate::health;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::runtime::Handle;

/// How far the application has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    Starting,
    Serving,
    Ending,
}

static PHASE: AtomicU8 = AtomicU8::new(Phase::Starting as u8);

pub(crate) fn phase() -> Phase {
    match PHASE.load(Ordering::Relaxed) {
        0 => Phase::Starting,
        1 => Phase::Serving,
        _ => Phase::Ending,
    }
}

/// Says that the application has come up: from now on it is ready, as far as its checks say so too.
///
/// Called in a tokio runtime, that becomes the one in which functions with the attribute
/// [`health_check`](crate::health_check) run. An application that is ending stays so.
pub fn started() {
    if let Ok(runtime) = Handle::try_current() {
        health::adopt(runtime);
    }
    let (starting, serving) = (Phase::Starting as u8, Phase::Serving as u8);
    let _ = PHASE.compare_exchange(starting, serving, Ordering::Relaxed, Ordering::Relaxed);
}

/// Fails readiness from now on.
pub(crate) fn end() {
    PHASE.store(Phase::Ending as u8, Ordering::Relaxed);
}
