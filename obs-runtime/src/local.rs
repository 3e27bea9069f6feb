//! What each call looks at of its thread, in one place: to find a thread-local may take a call of its own.

use crate::context::Stack;
use crate::store::{self, Ready, ThreadCells};
use crate::subscriber::Foreign;
#[cfg(feature = "otlp")]
use crate::trace::SpanRing;
use std::cell::Cell;
use std::mem::ManuallyDrop;

/// Without a destructor, so that to look at it is a load. What is in it is given back by [`End`].
pub(crate) struct Local {
    /// Whether the runtime runs code of its own, see [`busy`](crate::busy).
    pub(crate) busy: Cell<bool>,
    /// The cells in which this thread counts.
    pub(crate) cells: Cell<Option<&'static ThreadCells>>,
    /// What is in them, unless the runtime is busy on this thread: what a call that begins looks at.
    pub(crate) ready: Cell<Ready>,
    /// The spans that this thread is in, unless somebody works on them, or there have been none yet.
    pub(crate) stack: Held<Stack>,
    /// Whether there have been any.
    pub(crate) has_stack: Cell<bool>,
    /// A box that is empty, for a span in a subscriber that is not ours.
    pub(crate) foreign: Held<Foreign>,
    /// Where finished spans go, unless one is just going there, or none has yet.
    #[cfg(feature = "otlp")]
    pub(crate) spans: Held<SpanRing>,
    /// Whether any has.
    #[cfg(feature = "otlp")]
    pub(crate) has_spans: Cell<bool>,
}

/// What can be taken, to work on it.
pub(crate) struct Held<T>(Cell<ManuallyDrop<Option<Box<T>>>>);

impl<T> Held<T> {
    const fn new() -> Self {
        Self(Cell::new(ManuallyDrop::new(None)))
    }

    #[inline]
    pub(crate) fn take(&self) -> Option<Box<T>> {
        ManuallyDrop::into_inner(self.0.take())
    }

    /// Puts it back; nothing else has been put here meanwhile.
    #[inline]
    pub(crate) fn put(&self, taken: Option<Box<T>>) {
        self.0.set(ManuallyDrop::new(taken));
    }
}

const _: () = assert!(!std::mem::needs_drop::<Local>());

thread_local! {
    static LOCAL: Local = const {
        Local {
            busy: Cell::new(false),
            cells: Cell::new(None),
            ready: Cell::new(Ready::NOTHING),
            stack: Held::new(),
            has_stack: Cell::new(false),
            foreign: Held::new(),
            #[cfg(feature = "otlp")]
            spans: Held::new(),
            #[cfg(feature = "otlp")]
            has_spans: Cell::new(false),
        }
    };
    static END: End = const { End };
}

/// Runs with what there is of this thread.
#[inline(always)]
#[allow(clippy::inline_always, reason = "it is an address")]
pub(crate) fn local<R>(run: impl FnOnce(&Local) -> R) -> R {
    LOCAL.with(run)
}

/// Gives back what a thread has, when it ends.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        local(|local| {
            drop(local.stack.take());
            #[cfg(feature = "otlp")]
            drop(local.spans.take());
            local.ready.set(Ready::NOTHING);
            local.cells.take().into_iter().for_each(store::release);
            // Last, as nothing is put there without cells.
            drop(local.foreign.take());
        });
    }
}

/// Whether what a thread is given now will be given back: not any more while it is torn down.
pub(crate) fn lasts() -> bool {
    END.try_with(|_| ()).is_ok()
}
