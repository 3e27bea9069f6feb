//! The mutex that tasks wait for.

use crate::sync::guards::{around_a_value, guard, mapped};
use crate::sync::watch::{Lock, Verb, taken, taken_later};
use ::tokio::sync::{MappedMutexGuard as InnerMapped, MutexGuard as InnerGuard, TryLockError};
use std::convert::Infallible;
use std::panic::Location;

/// [`tokio::sync::Mutex`], watched.
pub struct Mutex<T: ?Sized> {
    lock: Lock,
    inner: ::tokio::sync::Mutex<T>,
}

around_a_value!(Mutex, ::tokio::sync::Mutex<T>, ::tokio::sync::Mutex::const_new, "mutex");

impl<T> Mutex<T> {
    /// The same as [`new`](Self::new).
    #[track_caller]
    #[inline]
    pub const fn const_new(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Locks it, as soon as it is free.
    #[track_caller]
    #[inline]
    pub fn lock(&self) -> impl Future<Output = MutexGuard<'_, T>> {
        let at = Location::caller();
        async move {
            let Ok(taken) = taken_later(
                &self.lock,
                Verb::Lock,
                at,
                || self.inner.try_lock().ok(),
                || async { Ok::<_, Infallible>(self.inner.lock().await) },
            )
            .await;
            MutexGuard::new(taken)
        }
    }

    /// Locks it, as soon as it is free, and holds up the thread until then.
    ///
    /// # Panics
    ///
    /// Within an async runtime, whose thread may not be held up.
    #[track_caller]
    #[inline]
    pub fn blocking_lock(&self) -> MutexGuard<'_, T> {
        let Ok(taken) = taken(
            &self.lock,
            Verb::Lock,
            Location::caller(),
            || self.inner.try_lock().ok(),
            || Ok::<_, Infallible>(self.inner.blocking_lock()),
        );
        MutexGuard::new(taken)
    }

    /// Locks it if it is free.
    ///
    /// # Errors
    ///
    /// It is not free.
    #[track_caller]
    #[inline]
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, TryLockError> {
        let inner = self.inner.try_lock()?;
        Ok(MutexGuard::new((self.lock.taken(Verb::Lock, Location::caller()), inner)))
    }
}

guard! {
    /// What a [`Mutex`] guards, until this is dropped.
    MutexGuard, InnerGuard<'a, T>, mutable
}
guard! {
    /// A part of what a [`Mutex`] guards, until this is dropped.
    MappedMutexGuard, InnerMapped<'a, T>, mutable
}
mapped!(MutexGuard to MappedMutexGuard by InnerGuard, [?Sized], mut);
mapped!(MappedMutexGuard to MappedMutexGuard by InnerMapped, [Sized], mut);
