//! The stack of a thread is taken out of its place while somebody works on it.
//!
//! It is borrowed while a user's formatter runs, so an observed function or an event inside such a formatter finds it
//! taken and is passed over, instead of recursing.

use super::Stack;
use crate::local::{self, local};
use std::mem::ManuallyDrop;

/// The stack while somebody works on it. Put back when this is dropped, by a panic too.
struct Taken(ManuallyDrop<Option<Box<Stack>>>);

impl Drop for Taken {
    #[inline]
    fn drop(&mut self) {
        local(|local| local.stack.put(ManuallyDrop::into_inner(std::mem::take(&mut self.0))));
    }
}

/// Runs with this thread's stack. `None` inside a formatter that the runtime called, and while the
/// thread is torn down.
#[inline(always)]
#[allow(clippy::inline_always, reason = "every call runs with it twice")]
pub(crate) fn with_stack<R>(run: impl FnOnce(&mut Stack) -> R) -> Option<R> {
    let stack = match local(|local| local.stack.take()) {
        Some(stack) => stack,
        None => make()?,
    };
    Taken(ManuallyDrop::new(Some(stack))).0.as_deref_mut().map(run)
}

/// The same, if there is one already.
#[inline(always)]
#[allow(clippy::inline_always, reason = "nearly every call runs with it")]
pub(crate) fn with_stack_if_any<R>(run: impl FnOnce(&mut Stack) -> R) -> Option<R> {
    let stack = local(|local| local.stack.take())?;
    Taken(ManuallyDrop::new(Some(stack))).0.as_deref_mut().map(run)
}

/// The stack of a thread that has had none.
#[cold]
#[inline(never)]
fn make() -> Option<Box<Stack>> {
    // What allocates it may be observed, and finds none.
    let first = local::lasts() && !local(|local| local.has_stack.replace(true));
    first.then(|| Box::new(Stack::new()))
}
