//! The mutex that holds up the thread.

use super::guards::{around_a_value, guard, mapped};
use super::watch::{At, Lock, Verb, taken};
use parking_lot::{MappedMutexGuard as InnerMapped, MutexGuard as InnerGuard};
use std::convert::Infallible;
use std::panic::Location;
use std::time::{Duration, Instant};

/// [`parking_lot::Mutex`], watched.
pub struct Mutex<T: ?Sized> {
    lock: Lock,
    inner: parking_lot::Mutex<T>,
}

around_a_value!(Mutex, parking_lot::Mutex<T>, parking_lot::Mutex::new, "mutex");

impl<T: ?Sized> Mutex<T> {
    /// Locks it, as soon as it is free.
    #[track_caller]
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let Ok(taken) = taken(
            &self.lock,
            Verb::Lock,
            Location::caller(),
            || self.inner.try_lock(),
            || Ok::<_, Infallible>(self.inner.lock()),
        );
        MutexGuard::new(taken)
    }

    /// Locks it if it is free.
    #[track_caller]
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let inner = self.inner.try_lock()?;
        Some(MutexGuard::new((self.lock.taken(Verb::Lock, Location::caller()), inner)))
    }

    /// Locks it if it is free within that time.
    #[track_caller]
    #[inline]
    pub fn try_lock_for(&self, timeout: Duration) -> Option<MutexGuard<'_, T>> {
        self.try_lock_by(Location::caller(), || self.inner.try_lock_for(timeout))
    }

    /// Locks it if it is free before that moment.
    #[track_caller]
    #[inline]
    pub fn try_lock_until(&self, timeout: Instant) -> Option<MutexGuard<'_, T>> {
        self.try_lock_by(Location::caller(), || self.inner.try_lock_until(timeout))
    }

    fn try_lock_by<'a>(
        &'a self,
        at: At,
        wait: impl FnOnce() -> Option<InnerGuard<'a, T>>,
    ) -> Option<MutexGuard<'a, T>> {
        let taken = taken(&self.lock, Verb::Lock, at, || self.inner.try_lock(), || wait().ok_or(()));
        taken.ok().map(MutexGuard::new)
    }

    /// Whether somebody has it at the moment.
    #[inline]
    pub fn is_locked(&self) -> bool {
        self.inner.is_locked()
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
mapped!(MappedMutexGuard to MappedMutexGuard by InnerMapped, [?Sized], mut);

impl<T: ?Sized> MutexGuard<'_, T> {
    /// Gives the lock to who has waited for it longest, if anybody does.
    #[inline]
    pub fn unlock_fair(guard: Self) {
        let Self { mut held, inner } = guard;
        held.end();
        InnerGuard::unlock_fair(inner);
    }

    /// Gives the lock back while the function runs. It is not measured from then on.
    #[inline]
    pub fn unlocked<U>(guard: &mut Self, meanwhile: impl FnOnce() -> U) -> U {
        guard.held.end();
        InnerGuard::unlocked(&mut guard.inner, meanwhile)
    }
}
