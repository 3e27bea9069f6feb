//! Which values of a type are failures: found out from its traits where the function is, and known by the type of a
//! [`Judge`] from there on. So what ends a call is the same code for all functions that return that type.

use super::error_ref::DisplayRef;
use super::{ErrorRef, FailsWith, Outcome, Verdict};
use std::any::type_name;
use std::error::Error;
use std::fmt::{self, Debug, Display};
use std::marker::PhantomData;

/// Knows which values of a type are failures.
pub trait Judge<R>: Copy {
    /// Whether it takes no code but the runtime's to find that out.
    fn is_plain() -> bool;

    /// Whether a value is a failure.
    fn fails(self, value: &R) -> bool;

    /// What there is to say of a value.
    fn verdict(self, value: &R) -> Verdict<'_>;
}

/// How a call ended that returned the value.
#[inline]
pub fn verdict<R>(judge: impl Judge<R>, value: &R) -> Verdict<'_> {
    judge.verdict(value)
}

/// No value is a failure.
#[derive(Clone, Copy, Debug)]
pub struct Never;

impl<R> Judge<R> for Never {
    #[inline]
    fn is_plain() -> bool {
        true
    }

    #[inline]
    fn fails(self, _: &R) -> bool {
        false
    }

    #[inline]
    fn verdict(self, _: &R) -> Verdict<'_> {
        Verdict::Ok
    }
}

/// For `err(none)`: `None` is a failure.
#[derive(Debug)]
pub struct NoneFails<R>(fn(&R) -> bool);

/// For `err(none)`, of a value that is an `Option`, or is one behind a reference or a box, as `is_none` finds out.
#[inline]
pub fn none_fails<R>(_: &R, is_none: fn(&R) -> bool) -> NoneFails<R> {
    NoneFails(is_none)
}

/// For `err(none)`.
#[inline]
pub fn is_none<T>(value: &Option<T>) -> bool {
    value.is_none()
}

impl<R> Clone for NoneFails<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for NoneFails<R> {}

/// The failure that a `None` is.
#[derive(Debug)]
struct Missing;

impl Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("none")
    }
}

impl<R> Judge<R> for NoneFails<R> {
    #[inline]
    fn is_plain() -> bool {
        // To get at it may take the user's `Deref`.
        false
    }

    #[inline]
    fn fails(self, value: &R) -> bool {
        (self.0)(value)
    }

    #[inline]
    fn verdict(self, value: &R) -> Verdict<'_> {
        if !self.fails(value) {
            return Verdict::Ok;
        }
        let error = ErrorRef::Display(DisplayRef(&Missing));
        Verdict::Error { kind: 0, error, type_name: type_name::<Missing>() }
    }
}

/// Tells failures apart by the label that the error is.
#[derive(Debug)]
pub struct Kinds<R, J>(J, fn(&R) -> Option<usize>);

/// For `err(kind = K)`.
#[inline]
pub fn kinds_of<K, R: FailsWith<K>, J>(_: &R, judge: J) -> Kinds<R, J> {
    Kinds(judge, R::kind)
}

impl<R, J: Copy> Clone for Kinds<R, J> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R, J: Copy> Copy for Kinds<R, J> {}

impl<R, J: Judge<R>> Judge<R> for Kinds<R, J> {
    #[inline]
    fn is_plain() -> bool {
        J::is_plain()
    }

    #[inline]
    fn fails(self, value: &R) -> bool {
        self.0.fails(value)
    }

    #[inline]
    fn verdict(self, value: &R) -> Verdict<'_> {
        match (self.0.verdict(value), (self.1)(value)) {
            (Verdict::Error { error, type_name, .. }, Some(kind)) => {
                Verdict::Error { kind, error, type_name }
            }
            (verdict, _) => verdict,
        }
    }
}

/// Finds the [`Judge`] of the type of `$value`, which is a reference, by the traits of it and of its error.
///
/// Method look-up prefers the receiver with the most references, so the first trait in [`probe`] whose bounds hold is the
/// one that answers.
#[doc(hidden)]
#[macro_export]
macro_rules! __obs_judge {
    ($value:expr) => {{
        #[allow(unused_imports)]
        use $crate::__private::probe::*;
        (&&&&&&&(&&&$crate::__private::probe::Probe($value)).__obs_error()).__obs_judge()
    }};
}

/// As `judge!`, of an error that is shown without its sources.
#[doc(hidden)]
#[macro_export]
macro_rules! __obs_shown_judge {
    ($value:expr) => {{
        #[allow(unused_imports)]
        use $crate::__private::probe::*;
        (&&&&(&&&$crate::__private::probe::Probe($value)).__obs_error()).__obs_judge()
    }};
}

/// The traits behind the `judge!` macro.
pub mod probe {
    use super::{
        Debug, Display, DisplayRef, Error, ErrorRef, Judge, Never, Outcome, PhantomData, Verdict, type_name,
    };

    /// A return value whose traits are to be found out.
    pub struct Probe<'a, T>(pub &'a T);

    /// The type of an error whose traits are to be found out, and whether it takes no code but the runtime's to find the
    /// error in a value.
    pub struct Failed<E, const PLAIN: bool>(PhantomData<fn(E)>);

    /// Of a `Result`.
    pub trait ViaResult {
        /// What went wrong.
        type Error;
        /// Its type.
        #[inline]
        fn __obs_error(&self) -> Failed<Self::Error, true> {
            Failed(PhantomData)
        }
    }

    impl<T, E> ViaResult for &&Probe<'_, Result<T, E>> {
        type Error = E;
    }

    /// Of another type with failures.
    pub trait ViaOutcome {
        /// What went wrong.
        type Error;
        /// Its type.
        #[inline]
        fn __obs_error(&self) -> Failed<Self::Error, false> {
            Failed(PhantomData)
        }
    }

    impl<T: Outcome> ViaOutcome for &Probe<'_, T> {
        type Error = T::Error;
    }

    /// Of any other type: returning it is a success.
    pub trait ViaAny {
        /// No error.
        #[inline]
        fn __obs_error(&self) -> Never {
            Never
        }
    }

    impl<T> ViaAny for Probe<'_, T> {}

    impl Never {
        /// The judge.
        #[inline]
        #[must_use]
        pub fn __obs_judge(self) -> Self {
            self
        }
    }

    macro_rules! judges {
        ($($(#[$doc:meta])* $judge:ident, $via:ident: [$($bound:tt)*] $ty:ty, |$error:ident| $shown:expr;)*) => {$(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub struct $judge<const PLAIN: bool>;

            $(#[$doc])*
            pub trait $via<const PLAIN: bool> {
                /// The judge.
                #[inline]
                fn __obs_judge(&self) -> $judge<PLAIN> {
                    $judge
                }
            }

            impl<E: $($bound)*, const PLAIN: bool> $via<PLAIN> for $ty {}

            impl<R: Outcome<Error: $($bound)*>, const PLAIN: bool> Judge<R> for $judge<PLAIN> {
                #[inline]
                fn is_plain() -> bool {
                    PLAIN
                }

                #[inline]
                fn fails(self, value: &R) -> bool {
                    value.error().is_some()
                }

                #[inline]
                fn verdict(self, value: &R) -> Verdict<'_> {
                    match value.error() {
                        None => Verdict::Ok,
                        Some($error) => {
                            Verdict::Error { kind: 0, error: $shown, type_name: type_name::<R::Error>() }
                        }
                    }
                }
            }
        )*};
    }

    judges! {
        /// An error.
        ByError, ViaError: [Error] &&&&&&Failed<E, PLAIN>, |error| ErrorRef::Error(error);
        /// A box around an error that may be sent, such as `anyhow::Error`.
        BySendError, ViaSendError: [AsRef<dyn Error + Send + Sync>] &&&&&Failed<E, PLAIN>,
            |error| ErrorRef::Error(error.as_ref());
        /// A box around an error.
        ByDynError, ViaDynError: [AsRef<dyn Error>] &&&&Failed<E, PLAIN>, |error| ErrorRef::Error(error.as_ref());
        /// Something to show.
        ByDisplay, ViaDisplay: [Display] &&&Failed<E, PLAIN>, |error| ErrorRef::Display(DisplayRef(error));
        /// Something to show a programmer.
        ByDebug, ViaDebug: [Debug] &&Failed<E, PLAIN>, |error| ErrorRef::Debug(error);
        /// Anything.
        ByType, ViaType: [Sized] &Failed<E, PLAIN>, |_error| ErrorRef::Type(type_name::<R::Error>());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::__private::judge;

    macro_rules! judged {
        ($value:expr) => {
            match $value {
                value => verdict(judge!(value), value),
            }
        };
    }

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
                text(judged!(&failed)).expect("an error")
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
    fn success_and_types_that_are_no_result_are_ok() {
        assert!(text(judged!(&Ok::<_, Outer>(1))).is_none());
        assert!(text(judged!(&7)).is_none());
        assert!(text(judged!(&None::<i32>)).is_none());
        assert!(text(judged!(&())).is_none());
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
        assert_eq!(text(judged!(&Reply(Some(Outer(fmt::Error))))).unwrap(), format!("outer: {}", fmt::Error));
        assert!(text(judged!(&Reply(None))).is_none());
        assert_eq!(text(none_fails(&None::<u8>, is_none).verdict(&None)).unwrap(), "none");
        assert!(text(none_fails(&Some(1), is_none).verdict(&Some(1))).is_none());
    }

    #[test]
    fn generic_errors_are_judged_by_their_bounds() {
        fn shown<E: Display>(result: &Result<(), E>) -> Option<String> {
            text(judged!(result))
        }
        assert_eq!(shown(&Err(Outer(fmt::Error))).unwrap(), "outer");
    }
}
