//! Whether this thread runs the runtime's own code.
//!
//! What the runtime calls may be observed itself: an allocator, a method of somebody's subscriber. Such an inner
//! call is passed over, or observing would not end.

use crate::local::local;
use crate::store::Ready;

/// Whether calls on this thread are passed over.
#[inline]
pub(crate) fn is_busy() -> bool {
    local(|local| local.busy.get())
}

/// Passes calls on this thread over until the guard is dropped.
pub(crate) fn now() -> Busy {
    local(|local| {
        local.ready.set(Ready::NOTHING);
        Busy { before: local.busy.replace(true) }
    })
}

/// The runtime is busy until this is dropped.
pub(crate) struct Busy {
    before: bool,
}

impl Drop for Busy {
    fn drop(&mut self) {
        local(|local| {
            local.busy.set(self.before);
            if !self.before {
                local.ready.set(Ready::of(local.cells.get()));
            }
        });
    }
}
