//! The lock of many readers that tasks wait for.

use crate::sync::guards::{around_a_value, guard, mapped};
use crate::sync::watch::{Lock, Verb, taken, taken_later};
use ::tokio::sync::{
    RwLockMappedWriteGuard as InnerMapped, RwLockReadGuard as InnerRead, RwLockWriteGuard as InnerWrite,
    TryLockError,
};
use std::convert::Infallible;
use std::panic::Location;

/// [`tokio::sync::RwLock`], watched.
pub struct RwLock<T: ?Sized> {
    lock: Lock,
    inner: ::tokio::sync::RwLock<T>,
}

around_a_value!(
    RwLock,
    ::tokio::sync::RwLock<T>,
    ::tokio::sync::RwLock::const_new,
    "lock of many readers or one writer"
);

impl<T> RwLock<T> {
    /// The same as [`new`](Self::new).
    #[track_caller]
    #[inline]
    pub const fn const_new(value: T) -> Self {
        Self::new(value)
    }

    /// With no more than so many readers at once.
    #[track_caller]
    pub fn with_max_readers(value: T, readers: u32) -> Self {
        Self { lock: Lock::new(), inner: ::tokio::sync::RwLock::with_max_readers(value, readers) }
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Locks it for reading, as soon as nobody writes or has waited for that before.
    #[track_caller]
    #[inline]
    pub fn read(&self) -> impl Future<Output = RwLockReadGuard<'_, T>> {
        let at = Location::caller();
        async move {
            let Ok(taken) = taken_later(
                &self.lock,
                Verb::Read,
                at,
                || self.inner.try_read().ok(),
                || async { Ok::<_, Infallible>(self.inner.read().await) },
            )
            .await;
            RwLockReadGuard::new(taken)
        }
    }

    /// Locks it for writing, as soon as it is free.
    #[track_caller]
    #[inline]
    pub fn write(&self) -> impl Future<Output = RwLockWriteGuard<'_, T>> {
        let at = Location::caller();
        async move {
            let Ok(taken) = taken_later(
                &self.lock,
                Verb::Write,
                at,
                || self.inner.try_write().ok(),
                || async { Ok::<_, Infallible>(self.inner.write().await) },
            )
            .await;
            RwLockWriteGuard::new(taken)
        }
    }

    /// Locks it for reading, and holds up the thread until that can be done.
    ///
    /// # Panics
    ///
    /// Within an async runtime, whose thread may not be held up.
    #[track_caller]
    #[inline]
    pub fn blocking_read(&self) -> RwLockReadGuard<'_, T> {
        let Ok(taken) = taken(
            &self.lock,
            Verb::Read,
            Location::caller(),
            || self.inner.try_read().ok(),
            || Ok::<_, Infallible>(self.inner.blocking_read()),
        );
        RwLockReadGuard::new(taken)
    }

    /// Locks it for writing, and holds up the thread until that can be done.
    ///
    /// # Panics
    ///
    /// Within an async runtime, whose thread may not be held up.
    #[track_caller]
    #[inline]
    pub fn blocking_write(&self) -> RwLockWriteGuard<'_, T> {
        let Ok(taken) = taken(
            &self.lock,
            Verb::Write,
            Location::caller(),
            || self.inner.try_write().ok(),
            || Ok::<_, Infallible>(self.inner.blocking_write()),
        );
        RwLockWriteGuard::new(taken)
    }

    /// Locks it for reading if nobody writes.
    ///
    /// # Errors
    ///
    /// Somebody does.
    #[track_caller]
    #[inline]
    pub fn try_read(&self) -> Result<RwLockReadGuard<'_, T>, TryLockError> {
        let inner = self.inner.try_read()?;
        Ok(RwLockReadGuard::new((self.lock.taken(Verb::Read, Location::caller()), inner)))
    }

    /// Locks it for writing if it is free.
    ///
    /// # Errors
    ///
    /// It is not free.
    #[track_caller]
    #[inline]
    pub fn try_write(&self) -> Result<RwLockWriteGuard<'_, T>, TryLockError> {
        let inner = self.inner.try_write()?;
        Ok(RwLockWriteGuard::new((self.lock.taken(Verb::Write, Location::caller()), inner)))
    }
}

guard! {
    /// What a [`RwLock`] guards, or a part of it, for reading, until this is dropped.
    RwLockReadGuard, InnerRead<'a, T>
}
guard! {
    /// What a [`RwLock`] guards, for writing, until this is dropped.
    RwLockWriteGuard, InnerWrite<'a, T>, mutable
}
guard! {
    /// A part of what a [`RwLock`] guards, for writing, until this is dropped.
    RwLockMappedWriteGuard, InnerMapped<'a, T>, mutable
}
mapped!(RwLockReadGuard to RwLockReadGuard by InnerRead, [?Sized]);
mapped!(RwLockWriteGuard to RwLockMappedWriteGuard by InnerWrite, [?Sized], mut);
mapped!(RwLockMappedWriteGuard to RwLockMappedWriteGuard by InnerMapped, [?Sized], mut);

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// Lets others read too. What is held is counted as written, until the end.
    #[inline]
    pub fn downgrade(self) -> RwLockReadGuard<'a, T> {
        RwLockReadGuard { held: self.held, inner: self.inner.downgrade() }
    }
}
