//! An error as it is shown.

use crate::text::start_of;
use std::error::Error;
use std::fmt::{self, Debug, Display, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// An error, by the most telling trait that its type has.
#[derive(Clone, Copy, Debug)]
pub enum ErrorRef<'a> {
    /// With its text and its chain of sources.
    Error(&'a (dyn Error + 'a)),
    /// With its text.
    Display(#[doc(hidden)] DisplayRef<'a>),
    /// With what it prints for a programmer.
    Debug(&'a dyn Debug),
    /// Of which nothing can be shown but the type's name.
    Type(&'static str),
    /// As it was shown before.
    Text(&'a str),
}

/// A `dyn Display` that has a `Debug` of its own.
#[derive(Clone, Copy)]
pub struct DisplayRef<'a>(pub &'a dyn Display);

impl Debug for DisplayRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self.0, f)
    }
}

impl ErrorRef<'_> {
    /// The error's text, with its sources, each once, separated by `: `.
    ///
    /// A long text is cut, and a formatter that panics is survived.
    pub(crate) fn text(&self) -> String {
        let mut text = LimitedText::default();
        match self {
            Self::Error(error) => {
                text.format(format_args!("{error}"));
                // A chain may be endless.
                for error in std::iter::successors(source(*error), |error| source(*error)).take(16) {
                    let next = limited(format_args!("{error}"));
                    // Many errors print their source as part of their own text.
                    if !text.0.ends_with(&next) {
                        text.format(format_args!(": {next}"));
                    }
                }
            }
            Self::Display(display) => text.format(format_args!("{display:?}")),
            Self::Debug(debug) => text.format(format_args!("{debug:?}")),
            Self::Type(name) => text.format(format_args!("{name}")),
            Self::Text(shown) => text.format(format_args!("{shown}")),
        }
        text.0
    }
}

/// The error's source. Asking for it runs the user's code, which may panic.
fn source<'a>(error: &'a (dyn Error + 'a)) -> Option<&'a (dyn Error + 'static)> {
    catch_unwind(AssertUnwindSafe(|| error.source())).ok().flatten()
}

/// Formats a text that is cut where it is long.
pub(crate) fn limited(arguments: fmt::Arguments<'_>) -> String {
    let mut text = LimitedText::default();
    text.format(arguments);
    text.0
}

/// Text that stops growing at a limit, and stops its formatter there.
#[derive(Default)]
struct LimitedText(String);

impl LimitedText {
    const MAX_BYTES: usize = 4096;

    fn format(&mut self, arguments: fmt::Arguments<'_>) {
        // An error means that the limit was reached, or that the formatter gave up.
        let formatted = catch_unwind(AssertUnwindSafe(|| self.write_fmt(arguments)));
        if formatted.is_err() {
            self.0.push_str("[its formatter panicked]");
        }
    }
}

impl fmt::Write for LimitedText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let left = Self::MAX_BYTES.saturating_sub(self.0.len());
        if text.len() <= left {
            self.0.push_str(text);
            return Ok(());
        }
        if left > 0 {
            self.0.push_str(start_of(text, left));
            self.0.push_str("…[cut]");
        }
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_and_a_formatter_that_panics_survived() {
        struct Panics;
        impl Display for Panics {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                panic!("on purpose")
            }
        }
        let long = "é".repeat(10_000_000);
        let cut = ErrorRef::Display(DisplayRef(&long)).text();
        assert!(cut.len() < 5_000 && cut.ends_with("é…[cut]"), "{}", cut.len());
        assert_eq!(ErrorRef::Display(DisplayRef(&Panics)).text(), "[its formatter panicked]");
    }
}
