//! How a call ended, found out from the type of its return value.

mod error_ref;
mod judge;

pub(crate) use error_ref::{DisplayRef, ErrorRef, limited};
pub(crate) use judge::Judge;
pub use judge::{Never, is_none, kinds_of, none_fails, probe, verdict};

use crate::Label;

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
