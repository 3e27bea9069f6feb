//! Whether this thread runs the runtime's own code.
//!
//! What the runtime calls may be observed itself: an allocator, a method of somebody's subscriber. Such an inner
//! call is passed over, or observing would not end.

use std::cell::Cell;

thread_local! {
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// Whether calls on this thread are passed over.
#[inline]
pub(crate) fn is_busy() -> bool {
    BUSY.get()
}

/// Passes calls on this thread over until the guard is dropped.
pub(crate) fn now() -> Busy {
    Busy { before: BUSY.replace(true) }
}

/// The runtime is busy until this is dropped.
pub(crate) struct Busy {
    before: bool,
}

impl Drop for Busy {
    fn drop(&mut self) {
        BUSY.set(self.before);
    }
}
