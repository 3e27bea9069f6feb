//! What all guards have in common.

/// A guard: what it guards, and the time for which that is held, which ends before the lock is free.
macro_rules! guard {
    ($(#[$doc:meta])* $name:ident, $inner:path $(, $mutable:ident)?) => {
        $(#[$doc])*
        #[must_use = "dropping the guard at once gives the lock back"]
        pub struct $name<'a, T: ?Sized> {
            held: $crate::sync::watch::Held,
            inner: $inner,
        }

        impl<'a, T: ?Sized> $name<'a, T> {
            #[inline]
            fn new((held, inner): ($crate::sync::watch::Held, $inner)) -> Self {
                Self { held, inner }
            }
        }

        impl<T: ?Sized> std::ops::Deref for $name<'_, T> {
            type Target = T;

            #[inline]
            fn deref(&self) -> &T {
                &self.inner
            }
        }

        $($crate::sync::guards::guard!(@$mutable $name);)?

        impl<T: ?Sized + std::fmt::Debug> std::fmt::Debug for $name<'_, T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&**self, f)
            }
        }

        impl<T: ?Sized + std::fmt::Display> std::fmt::Display for $name<'_, T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&**self, f)
            }
        }
    };
    (@mutable $name:ident) => {
        impl<T: ?Sized> std::ops::DerefMut for $name<'_, T> {
            #[inline]
            fn deref_mut(&mut self) -> &mut T {
                &mut self.inner
            }
        }
    };
}

/// Guards of a part of what is guarded, which may be unsized or not.
macro_rules! mapped {
    ($name:ident to $mapped:ident by $inner:ident, [$($bound:tt)+] $(, $mutable:tt)?) => {
        impl<'a, T: ?Sized> $name<'a, T> {
            /// A guard of a part of the value.
            #[inline]
            pub fn map<U: $($bound)+>(guard: Self, part: impl FnOnce(&$($mutable)? T) -> &$($mutable)? U) -> $mapped<'a, U> {
                $mapped::new((guard.held, $inner::map(guard.inner, part)))
            }

            /// A guard of a part of the value, if it has that.
            ///
            /// # Errors
            ///
            /// The guard itself if it has not.
            #[inline]
            pub fn try_map<U: $($bound)+>(
                guard: Self,
                part: impl FnOnce(&$($mutable)? T) -> Option<&$($mutable)? U>,
            ) -> Result<$mapped<'a, U>, Self> {
                match $inner::try_map(guard.inner, part) {
                    Ok(inner) => Ok($mapped::new((guard.held, inner))),
                    Err(inner) => Err(Self::new((guard.held, inner))),
                }
            }
        }
    };
}

/// What locks around a value have in common.
macro_rules! around_a_value {
    ($name:ident, $inner:path, $new:path, $what:literal) => {
        impl<T> $name<T> {
            #[doc = concat!("A ", $what, ", which profiles call by the place in the code where it is made.")]
            #[track_caller]
            #[inline]
            pub const fn new(value: T) -> Self {
                Self { lock: $crate::sync::watch::Lock::new(), inner: $new(value) }
            }

            #[doc = concat!("A ", $what, " with a name for profiles.")]
            #[inline]
            pub const fn named(name: &'static str, value: T) -> Self {
                Self { lock: $crate::sync::watch::Lock::named(name), inner: $new(value) }
            }

            /// The value.
            #[inline]
            pub fn into_inner(self) -> T {
                self.inner.into_inner()
            }
        }

        impl<T: ?Sized> $name<T> {
            /// The value, which nobody else can have.
            #[inline]
            pub fn get_mut(&mut self) -> &mut T {
                self.inner.get_mut()
            }
        }

        impl<T: Default> Default for $name<T> {
            #[track_caller]
            fn default() -> Self {
                Self::new(T::default())
            }
        }

        impl<T> From<T> for $name<T> {
            #[track_caller]
            fn from(value: T) -> Self {
                Self::new(value)
            }
        }

        impl<T: ?Sized + std::fmt::Debug> std::fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.inner.fmt(f)
            }
        }
    };
}

pub(super) use {around_a_value, guard, mapped};
