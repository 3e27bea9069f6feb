//! How a call ended, found out from the type of its return value.

use crate::Label;
use std::error::Error;
use std::fmt::{self, Debug, Display, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Says of a type that observed functions return whether a value of it is a failure.
///
/// `Result` has it, under whatever alias. A type of your own that is no `Result` gets it so:
///
/// ```
/// use obs_runtime::{Label, Outcome, observe};
///
/// #[derive(Debug, Label)]
/// enum Refusal { TooLarge, Closed }
///
/// enum Reply { Done(u32), Refused(Refusal) }
///
/// impl Outcome for Reply {
///     type Error = Refusal;
///
///     fn error(&self) -> Option<&Refusal> {
///         match self {
///             Reply::Done(_) => None,
///             Reply::Refused(refusal) => Some(refusal),
///         }
///     }
/// }
///
/// #[observe(err(kind = Refusal))] // counted by kind, as the error of a `Result` is
/// fn ask(size: u32) -> Reply {
///     if size > 10 { Reply::Refused(Refusal::TooLarge) } else { Reply::Done(size) }
/// }
/// ```
///
/// An `Option` is no failure, unless the function says so with `err(none)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no failures that could be told apart",
    label = "neither a `Result`, nor does it implement `Outcome`",
    note = "return a `Result`, or implement `obs_runtime::Outcome` for the type"
)]
pub trait Outcome {
    /// What went wrong. It is shown by its `Error`, else its `Display`, else its `Debug`, else its name.
    type Error;

    /// The error, if the value is a failure.
    fn error(&self) -> Option<&Self::Error>;
}

impl<T, E> Outcome for Result<T, E> {
    type Error = E;

    #[inline]
    fn error(&self) -> Option<&E> {
        self.as_ref().err()
    }
}

/// How an observed call ended.
#[derive(Clone, Copy, Debug)]
pub enum Verdict<'a> {
    /// It returned, and that is no failure.
    Ok,
    /// It failed.
    Error {
        /// Which of the declared kinds; 0 if none were declared.
        kind: usize,
        /// The error.
        error: ErrorRef<'a>,
        /// Its type.
        type_name: &'static str,
    },
}

impl Verdict<'_> {
    #[inline]
    pub(crate) fn is_failure(&self) -> bool {
        !matches!(self, Self::Ok)
    }

    /// Of a function whose failures are told apart by the error's label.
    #[inline]
    #[must_use]
    pub fn of_kind(self, of: Option<usize>) -> Self {
        match (self, of) {
            (Self::Error { error, type_name, .. }, Some(kind)) => Self::Error { kind, error, type_name },
            (verdict, _) => verdict,
        }
    }
}

/// A type whose failures are of that kind.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not fail with a `{K}`",
    label = "not what the function fails with",
    note = "`kind` is the error type of the `Result` that the function returns, or of an `Outcome` of your own"
)]
pub trait FailsWith<K> {
    /// Which of the kinds it is, if it is a failure.
    fn kind(&self) -> Option<usize>;
}

#[diagnostic::do_not_recommend]
impl<K: Label, T: Outcome<Error = K>> FailsWith<K> for T {
    #[inline]
    fn kind(&self) -> Option<usize> {
        self.error().map(Label::index)
    }
}

/// Which kind of failure a value is, if it is one.
#[inline]
pub fn kind_of<K, T: FailsWith<K>>(value: &T) -> Option<usize> {
    value.kind()
}

/// The failure that a `None` is.
#[derive(Debug)]
struct Missing;

impl Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("none")
    }
}

/// For `err(none)`.
#[inline]
pub fn none_fails<T>(value: &Option<T>) -> Verdict<'static> {
    match value {
        Some(_) => Verdict::Ok,
        None => Verdict::Error {
            kind: 0,
            error: ErrorRef::Display(DisplayRef(&Missing)),
            type_name: std::any::type_name::<Missing>(),
        },
    }
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
            self.0.push_str(&text[..text.floor_char_boundary(left)]);
            self.0.push_str("…[cut]");
        }
        Err(fmt::Error)
    }
}

/// Finds the verdict on `&value` by the traits of its type, and of its error's.
///
/// Method look-up prefers the receiver with the most references, so the first trait below whose
/// bounds hold is the one that answers.
#[doc(hidden)]
#[macro_export]
macro_rules! __obs_outcome {
    ($value:expr) => {{
        #[allow(unused_imports)]
        use $crate::__private::probe::*;
        (&&&&&&&$crate::__private::probe::Failed((&&$crate::__private::probe::Probe($value)).__obs_error()))
            .__obs_verdict()
    }};
}

/// As `outcome!`, of an error that is shown without its sources.
#[doc(hidden)]
#[macro_export]
macro_rules! __obs_shown_outcome {
    ($value:expr) => {{
        #[allow(unused_imports)]
        use $crate::__private::probe::*;
        (&&&&$crate::__private::probe::Failed((&&$crate::__private::probe::Probe($value)).__obs_error()))
            .__obs_verdict()
    }};
}

/// The traits behind the `outcome!` macro.
pub mod probe {
    use super::{Debug, Display, DisplayRef, Error, ErrorRef, Outcome, Verdict};
    use std::convert::Infallible;

    /// A return value whose traits are to be found out.
    pub struct Probe<'a, T>(pub &'a T);

    /// An error whose traits are to be found out, if there is one.
    pub struct Failed<'a, E>(pub Option<&'a E>);

    /// Of a type with failures.
    pub trait ViaOutcome<'a> {
        /// What went wrong.
        type Error;
        /// The error.
        fn __obs_error(&self) -> Option<&'a Self::Error>;
    }

    impl<'a, T: Outcome> ViaOutcome<'a> for &Probe<'a, T> {
        type Error = T::Error;
        #[inline]
        fn __obs_error(&self) -> Option<&'a T::Error> {
            self.0.error()
        }
    }

    /// Of any other type: returning it is a success.
    pub trait ViaAny {
        /// No error.
        fn __obs_error(&self) -> Option<&'static Infallible> {
            None
        }
    }

    impl<T> ViaAny for Probe<'_, T> {}

    macro_rules! probe {
        ($($(#[$doc:meta])* $name:ident: [$($generics:tt)*] $ty:ty, |$error:ident| $shown:expr;)*) => {$(
            $(#[$doc])*
            pub trait $name<'a> {
                /// The verdict.
                fn __obs_verdict(&self) -> Verdict<'a>;
            }
            impl<'a, $($generics)*> $name<'a> for $ty {
                #[inline]
                fn __obs_verdict(&self) -> Verdict<'a> {
                    match self.0 {
                        None => Verdict::Ok,
                        Some($error) => {
                            let type_name = std::any::type_name::<E>();
                            Verdict::Error { kind: 0, error: $shown, type_name }
                        }
                    }
                }
            }
        )*};
    }

    probe! {
        /// An error.
        ViaError: [E: Error] &&&&&&Failed<'a, E>, |error| ErrorRef::Error(error);
        /// A box around an error that may be sent, such as `anyhow::Error`.
        ViaSendError: [E: AsRef<dyn Error + Send + Sync>] &&&&&Failed<'a, E>,
            |error| ErrorRef::Error(error.as_ref());
        /// A box around an error.
        ViaDynError: [E: AsRef<dyn Error>] &&&&Failed<'a, E>, |error| ErrorRef::Error(error.as_ref());
        /// Something to show.
        ViaDisplay: [E: Display] &&&Failed<'a, E>, |error| ErrorRef::Display(DisplayRef(error));
        /// Something to show a programmer.
        ViaDebug: [E: Debug] &&Failed<'a, E>, |error| ErrorRef::Debug(error);
        /// Anything.
        ViaType: [E] &Failed<'a, E>, |_error| ErrorRef::Type(std::any::type_name::<E>());
    }
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

    fn text(verdict: Verdict<'_>) -> Option<String> {
        match verdict {
            Verdict::Ok => None,
            Verdict::Error { error, .. } => Some(error.text()),
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
    fn types_of_ones_own_and_none_can_be_failures() {
        struct Reply(Option<Outer>);
        impl Outcome for Reply {
            type Error = Outer;
            fn error(&self) -> Option<&Outer> {
                self.0.as_ref()
            }
        }
        assert_eq!(
            text(outcome!(&Reply(Some(Outer(fmt::Error))))).unwrap(),
            format!("outer: {}", fmt::Error)
        );
        assert!(text(outcome!(&Reply(None))).is_none());
        assert_eq!(text(none_fails(&None::<u8>)).unwrap(), "none");
        assert!(text(none_fails(&Some(1))).is_none());
    }

    #[test]
    fn generic_errors_are_judged_by_their_bounds() {
        fn shown<E: Display>(result: &Result<(), E>) -> Option<String> {
            text(outcome!(result))
        }
        assert_eq!(shown(&Err(Outer(fmt::Error))).unwrap(), "outer");
    }
}
