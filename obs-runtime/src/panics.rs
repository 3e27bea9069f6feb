//! What a panic said, for the log line and the span of the call that it ended.

use std::cell::RefCell;
use std::panic::{self, PanicHookInfo};

thread_local! {
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Notes the message of each panic, then does what was done before.
pub(crate) fn install_hook() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        note(info);
        before(info);
    }));
}

fn note(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("a value that is no text");
    let text = match info.location() {
        Some(location) => format!("panicked at {location}: {message}"),
        None => format!("panicked: {message}"),
    };
    // A thread that is being torn down has nowhere to note it.
    let _ = LAST.try_with(|last| last.replace(Some(text)));
}

/// What the panic said that this thread is unwinding from, or has just been caught from.
pub(crate) fn last() -> String {
    let last = LAST.try_with(|last| last.borrow().clone()).ok().flatten();
    last.unwrap_or_else(|| "panicked".to_owned())
}
