//! How a call ended, found out from the type of its return value.

use std::error::Error;
use std::fmt::{self, Debug, Display, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How an observed call ended.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// It returned, and not an `Err`.
    Ok,
    /// It returned an `Err`.
    Error {
        /// Which of the declared kinds; 0 if none were declared.
        kind: usize,
        /// The error.
        error: ErrorRef<'a>,
        /// Its type.
        type_name: &'static str,
    },
}

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
            self.0.push_str(&text[..text.floor_char_boundary(left)]);
            self.0.push_str("…[cut]");
        }
        Err(fmt::Error)
    }
}

/// Finds the outcome of `&value` by the traits of its type.
///
/// Method look-up prefers the receiver with the most references, so the first trait below whose
/// bounds hold is the one that answers.
#[doc(hidden)]
#[macro_export]
macro_rules! __obs_outcome {
    ($value:expr) => {{
        #[allow(unused_imports)]
        use $crate::__private::probe::*;
        (&&&&&&&$crate::__private::probe::Probe($value)).outcome()
    }};
}

/// The traits behind the `outcome!` macro.
pub mod probe {
    use super::{Debug, Display, DisplayRef, Error, ErrorRef, Outcome};
    /// A return value whose traits are to be found out.
    pub struct Probe<'a, T>(pub &'a T);

    macro_rules! probe {
        ($($(#[$doc:meta])* $name:ident: [$($generics:tt)*] $ty:ty, |$value:ident| $outcome:expr;)*) => {$(
            $(#[$doc])*
            pub trait $name<'a> {
                /// The outcome.
                fn outcome(&self) -> Outcome<'a>;
            }
            impl<'a, $($generics)*> $name<'a> for $ty {
                #[inline]
                fn outcome(&self) -> Outcome<'a> {
                    let $value = self.0;
                    $outcome
                }
            }
        )*};
    }

    #[inline]
    fn result<'a, T, E>(result: &'a Result<T, E>, error: impl FnOnce(&'a E) -> ErrorRef<'a>) -> Outcome<'a> {
        match result {
            Ok(_) => Outcome::Ok,
            Err(failure) => {
                Outcome::Error { kind: 0, error: error(failure), type_name: std::any::type_name::<E>() }
            }
        }
    }

    probe! {
        /// `Err` of an error.
        ViaError: [T, E: Error] &&&&&&Probe<'a, Result<T, E>>,
            |value| result(value, |error| ErrorRef::Error(error));
        /// `Err` of a box around an error that may be sent, such as `anyhow::Error`.
        ViaSendError: [T, E: AsRef<dyn Error + Send + Sync>] &&&&&Probe<'a, Result<T, E>>,
            |value| result(value, |error| ErrorRef::Error(error.as_ref()));
        /// `Err` of a box around an error.
        ViaDynError: [T, E: AsRef<dyn Error>] &&&&Probe<'a, Result<T, E>>,
            |value| result(value, |error| ErrorRef::Error(error.as_ref()));
        /// `Err` of something to show.
        ViaDisplay: [T, E: Display] &&&Probe<'a, Result<T, E>>,
            |value| result(value, |error| ErrorRef::Display(DisplayRef(error)));
        /// `Err` of something to show a programmer.
        ViaDebug: [T, E: Debug] &&Probe<'a, Result<T, E>>,
            |value| result(value, |error| ErrorRef::Debug(error));
        /// `Err` of anything.
        ViaType: [T, E] &Probe<'a, Result<T, E>>,
            |value| result(value, |_| ErrorRef::Type(std::any::type_name::<E>()));
    }

    /// Any other type: returning it is a success.
    pub trait ViaAny {
        /// The outcome.
        fn outcome(&self) -> Outcome<'static> {
            Outcome::Ok
        }
    }

    impl<T> ViaAny for Probe<'_, T> {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::__private::outcome;

    #[derive(Debug)]
    struct Outer(fmt::Error);
    impl Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }
    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    fn text(outcome: Outcome<'_>) -> Option<String> {
        match outcome {
            Outcome::Ok => None,
            Outcome::Error { error, .. } => Some(error.text()),
        }
    }

    #[test]
    fn every_error_shows_the_most_that_its_type_allows() {
        struct Opaque;
        #[derive(Debug)]
        struct Shown;
        macro_rules! shown {
            ($error:expr, $ty:ty) => {{
                let failed: Result<(), $ty> = Err($error);
                text(outcome!(&failed)).expect("an error")
            }};
        }
        assert_eq!(shown!(Outer(fmt::Error), Outer), format!("outer: {}", fmt::Error));
        assert_eq!(shown!("boxed".into(), Box<dyn Error>), "boxed");
        assert_eq!(shown!("sent".into(), Box<dyn Error + Send + Sync>), "sent");
        assert_eq!(shown!("text", &str), "text");
        assert_eq!(shown!(Shown, Shown), "Shown");
        assert!(shown!(Opaque, Opaque).ends_with("Opaque"));
    }

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

    #[test]
    fn success_and_types_that_are_no_result_are_ok() {
        assert!(text(outcome!(&Ok::<_, Outer>(1))).is_none());
        assert!(text(outcome!(&7)).is_none());
        assert!(text(outcome!(&None::<i32>)).is_none());
        assert!(text(outcome!(&())).is_none());
    }

    #[test]
    fn generic_errors_are_judged_by_their_bounds() {
        fn shown<E: Display>(result: &Result<(), E>) -> Option<String> {
            text(outcome!(result))
        }
        assert_eq!(shown(&Err(Outer(fmt::Error))).unwrap(), "outer");
    }
}
