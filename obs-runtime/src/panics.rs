//! What a panic said, for the log line and the span of the call that it ended.

use crate::context::with_stack;
use crate::outcome::limited;
use std::any::Any;
use std::panic::{self, PanicHookInfo};

/// Notes the message of each panic, then does what was done before.
pub(crate) fn install_hook() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        #[cfg(feature = "opentelemetry")]
        if QUIET.get() {
            return;
        }
        note(info);
        before(info);
    }));
}

#[cfg(feature = "opentelemetry")]
thread_local! {
    /// Whether a panic of this thread is expected, and caught.
    static QUIET: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Runs code of another crate that may panic. Then it returns `None`, and our hook says nothing.
#[cfg(feature = "opentelemetry")]
pub(crate) fn quietly<R>(run: impl FnOnce() -> R) -> Option<R> {
    let before = QUIET.replace(true);
    let result = panic::catch_unwind(panic::AssertUnwindSafe(run));
    QUIET.set(before);
    result.ok()
}

fn note(info: &PanicHookInfo<'_>) {
    let message = said(info.payload()).unwrap_or("a value that is no text");
    let text = match info.location() {
        Some(location) => limited(format_args!("panicked at {location}: {message}")),
        None => limited(format_args!("panicked: {message}")),
    };
    // A formatter that panics is caught, and ends no call.
    with_stack(|stack| stack.set_panic(text));
}

fn said(payload: &dyn Any) -> Option<&str> {
    payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

/// What the last panic said that our hook has seen since a call began on this thread.
///
/// Usually that is the panic that the thread is unwinding from. It is not after `resume_unwind`, for
/// which no hook runs, and there is none if the application has put a hook of its own in the place of ours.
pub(crate) fn last() -> Option<String> {
    with_stack(|stack| stack.panic()).flatten()
}
