//! The lock of many readers that holds up the thread.

use super::guards::{around_a_value, guard, mapped};
use super::watch::{At, Lock, Verb, taken};
use parking_lot::{
    MappedRwLockReadGuard as InnerMappedRead, MappedRwLockWriteGuard as InnerMappedWrite,
    RwLockReadGuard as InnerRead, RwLockWriteGuard as InnerWrite,
};
use std::convert::Infallible;
use std::panic::Location;
use std::time::{Duration, Instant};

/// [`parking_lot::RwLock`], watched.
pub struct RwLock<T: ?Sized> {
    lock: Lock,
    inner: parking_lot::RwLock<T>,
}

around_a_value!(
    RwLock,
    parking_lot::RwLock<T>,
    parking_lot::RwLock::new,
    "lock of many readers or one writer"
);

impl<T: ?Sized> RwLock<T> {
    /// Locks it for reading, as soon as nobody writes or waits to.
    #[track_caller]
    #[inline]
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        let Ok(taken) = taken(
            &self.lock,
            Verb::Read,
            Location::caller(),
            || self.inner.try_read(),
            || Ok::<_, Infallible>(self.inner.read()),
        );
        RwLockReadGuard::new(taken)
    }

    /// Locks it for reading, as soon as nobody writes. Writers that wait go on waiting, so that a thread may read again
    /// that reads.
    #[track_caller]
    #[inline]
    pub fn read_recursive(&self) -> RwLockReadGuard<'_, T> {
        let Ok(taken) = taken(
            &self.lock,
            Verb::Read,
            Location::caller(),
            || self.inner.try_read_recursive(),
            || Ok::<_, Infallible>(self.inner.read_recursive()),
        );
        RwLockReadGuard::new(taken)
    }

    /// Locks it for reading if nobody writes.
    #[track_caller]
    #[inline]
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        let inner = self.inner.try_read()?;
        Some(RwLockReadGuard::new((self.lock.taken(Verb::Read, Location::caller()), inner)))
    }

    /// Locks it for reading if that can be done within that time.
    #[track_caller]
    #[inline]
    pub fn try_read_for(&self, timeout: Duration) -> Option<RwLockReadGuard<'_, T>> {
        self.try_read_by(Location::caller(), || self.inner.try_read_for(timeout))
    }

    /// Locks it for reading if that can be done before that moment.
    #[track_caller]
    #[inline]
    pub fn try_read_until(&self, timeout: Instant) -> Option<RwLockReadGuard<'_, T>> {
        self.try_read_by(Location::caller(), || self.inner.try_read_until(timeout))
    }

    fn try_read_by<'a>(
        &'a self,
        at: At,
        wait: impl FnOnce() -> Option<InnerRead<'a, T>>,
    ) -> Option<RwLockReadGuard<'a, T>> {
        let taken = taken(&self.lock, Verb::Read, at, || self.inner.try_read(), || wait().ok_or(()));
        taken.ok().map(RwLockReadGuard::new)
    }

    /// Locks it for writing, as soon as it is free.
    #[track_caller]
    #[inline]
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        let Ok(taken) = taken(
            &self.lock,
            Verb::Write,
            Location::caller(),
            || self.inner.try_write(),
            || Ok::<_, Infallible>(self.inner.write()),
        );
        RwLockWriteGuard::new(taken)
    }

    /// Locks it for writing if it is free.
    #[track_caller]
    #[inline]
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        let inner = self.inner.try_write()?;
        Some(RwLockWriteGuard::new((self.lock.taken(Verb::Write, Location::caller()), inner)))
    }

    /// Locks it for writing if it is free within that time.
    #[track_caller]
    #[inline]
    pub fn try_write_for(&self, timeout: Duration) -> Option<RwLockWriteGuard<'_, T>> {
        self.try_write_by(Location::caller(), || self.inner.try_write_for(timeout))
    }

    /// Locks it for writing if it is free before that moment.
    #[track_caller]
    #[inline]
    pub fn try_write_until(&self, timeout: Instant) -> Option<RwLockWriteGuard<'_, T>> {
        self.try_write_by(Location::caller(), || self.inner.try_write_until(timeout))
    }

    fn try_write_by<'a>(
        &'a self,
        at: At,
        wait: impl FnOnce() -> Option<InnerWrite<'a, T>>,
    ) -> Option<RwLockWriteGuard<'a, T>> {
        let taken = taken(&self.lock, Verb::Write, at, || self.inner.try_write(), || wait().ok_or(()));
        taken.ok().map(RwLockWriteGuard::new)
    }

    /// Whether somebody reads or writes at the moment.
    #[inline]
    pub fn is_locked(&self) -> bool {
        self.inner.is_locked()
    }

    /// Whether somebody writes at the moment.
    #[inline]
    pub fn is_locked_exclusive(&self) -> bool {
        self.inner.is_locked_exclusive()
    }
}

guard! {
    /// What a [`RwLock`] guards, for reading, until this is dropped.
    RwLockReadGuard, InnerRead<'a, T>
}
guard! {
    /// What a [`RwLock`] guards, for writing, until this is dropped.
    RwLockWriteGuard, InnerWrite<'a, T>, mutable
}
guard! {
    /// A part of what a [`RwLock`] guards, for reading, until this is dropped.
    MappedRwLockReadGuard, InnerMappedRead<'a, T>
}
guard! {
    /// A part of what a [`RwLock`] guards, for writing, until this is dropped.
    MappedRwLockWriteGuard, InnerMappedWrite<'a, T>, mutable
}
mapped!(RwLockReadGuard to MappedRwLockReadGuard by InnerRead, [?Sized]);
mapped!(RwLockWriteGuard to MappedRwLockWriteGuard by InnerWrite, [?Sized], mut);
mapped!(MappedRwLockReadGuard to MappedRwLockReadGuard by InnerMappedRead, [?Sized]);
mapped!(MappedRwLockWriteGuard to MappedRwLockWriteGuard by InnerMappedWrite, [?Sized], mut);

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// Lets others read too. What is held is counted as written, until the end.
    #[inline]
    pub fn downgrade(guard: Self) -> RwLockReadGuard<'a, T> {
        RwLockReadGuard { held: guard.held, inner: InnerWrite::downgrade(guard.inner) }
    }

    /// Gives the lock to who has waited for it longest, if anybody does.
    #[inline]
    pub fn unlock_fair(guard: Self) {
        let Self { mut held, inner } = guard;
        held.end();
        InnerWrite::unlock_fair(inner);
    }
}

impl<T: ?Sized> RwLockReadGuard<'_, T> {
    /// Gives the lock to who has waited for it longest, if anybody does.
    #[inline]
    pub fn unlock_fair(guard: Self) {
        let Self { mut held, inner } = guard;
        held.end();
        InnerRead::unlock_fair(inner);
    }
}
