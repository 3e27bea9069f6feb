//! Permits that tasks wait for.

use crate::sync::watch::{At, Held, Lock, Verb, taken_later};
use ::tokio::sync::{AcquireError, SemaphorePermit as InnerPermit, TryAcquireError};
use std::panic::Location;
use std::sync::Arc;

/// [`tokio::sync::Semaphore`], watched. What is held is as long as the permits are, however many.
#[derive(Debug)]
pub struct Semaphore {
    lock: Lock,
    inner: ::tokio::sync::Semaphore,
}

impl Semaphore {
    /// There can be no more permits than that.
    pub const MAX_PERMITS: usize = ::tokio::sync::Semaphore::MAX_PERMITS;

    /// A semaphore, which profiles call by the place in the code where it is made.
    ///
    /// # Panics
    ///
    /// With more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    #[track_caller]
    #[inline]
    pub const fn new(permits: usize) -> Self {
        Self { lock: Lock::new(), inner: ::tokio::sync::Semaphore::const_new(permits) }
    }

    /// A semaphore with a name for profiles.
    ///
    /// # Panics
    ///
    /// With more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    #[inline]
    pub const fn named(name: &'static str, permits: usize) -> Self {
        Self { lock: Lock::named(name), inner: ::tokio::sync::Semaphore::const_new(permits) }
    }

    /// The same as [`new`](Self::new).
    ///
    /// # Panics
    ///
    /// With more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    #[track_caller]
    #[inline]
    pub const fn const_new(permits: usize) -> Self {
        Self::new(permits)
    }

    /// How many permits are left.
    pub fn available_permits(&self) -> usize {
        self.inner.available_permits()
    }

    /// Puts so many more there.
    ///
    /// # Panics
    ///
    /// If they are more than [`MAX_PERMITS`](Self::MAX_PERMITS) then.
    pub fn add_permits(&self, count: usize) {
        self.inner.add_permits(count);
    }

    /// Takes so many away, or those that are left: how many.
    pub fn forget_permits(&self, count: usize) -> usize {
        self.inner.forget_permits(count)
    }

    /// Gives out no more permits; who waits for one gets an error.
    pub fn close(&self) {
        self.inner.close();
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    /// Takes a permit, as soon as there is one.
    ///
    /// # Errors
    ///
    /// The semaphore was closed.
    #[track_caller]
    #[inline]
    pub fn acquire(&self) -> impl Future<Output = Result<SemaphorePermit<'_>, AcquireError>> {
        self.acquire_at(1, Location::caller())
    }

    /// Takes so many permits at once, as soon as there are as many.
    ///
    /// # Errors
    ///
    /// The semaphore was closed.
    #[track_caller]
    #[inline]
    pub fn acquire_many(
        &self,
        count: u32,
    ) -> impl Future<Output = Result<SemaphorePermit<'_>, AcquireError>> {
        self.acquire_at(count, Location::caller())
    }

    async fn acquire_at(&self, count: u32, at: At) -> Result<SemaphorePermit<'_>, AcquireError> {
        if self.is_closed() {
            // Its error, without a wait.
            return self.inner.acquire_many(count).await.map(SemaphorePermit::unmeasured);
        }
        let (held, inner) = taken_later(
            &self.lock,
            Verb::Acquire,
            at,
            || self.inner.try_acquire_many(count).ok(),
            || self.inner.acquire_many(count),
        )
        .await?;
        Ok(SemaphorePermit { held, inner })
    }

    /// Takes a permit if there is one.
    ///
    /// # Errors
    ///
    /// There is none, or the semaphore was closed.
    #[track_caller]
    #[inline]
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// Takes so many permits if there are as many.
    ///
    /// # Errors
    ///
    /// There are fewer, or the semaphore was closed.
    #[track_caller]
    #[inline]
    pub fn try_acquire_many(&self, count: u32) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        let inner = self.inner.try_acquire_many(count)?;
        Ok(SemaphorePermit { held: self.lock.taken(Verb::Acquire, Location::caller()), inner })
    }

    /// As [`acquire`](Self::acquire), with a permit that keeps the semaphore alive.
    ///
    /// # Errors
    ///
    /// The semaphore was closed.
    #[track_caller]
    #[inline]
    pub fn acquire_owned(
        self: Arc<Self>,
    ) -> impl Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + use<> {
        self.acquire_owned_at(1, Location::caller())
    }

    /// As [`acquire_many`](Self::acquire_many), with a permit that keeps the semaphore alive.
    ///
    /// # Errors
    ///
    /// The semaphore was closed.
    #[track_caller]
    #[inline]
    pub fn acquire_many_owned(
        self: Arc<Self>,
        count: u32,
    ) -> impl Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + use<> {
        self.acquire_owned_at(count, Location::caller())
    }

    async fn acquire_owned_at(
        self: Arc<Self>,
        count: u32,
        at: At,
    ) -> Result<OwnedSemaphorePermit, AcquireError> {
        let owned = self.acquire_at(count, at).await?.into_owned();
        Ok(OwnedSemaphorePermit::new(owned, self))
    }

    /// As [`try_acquire`](Self::try_acquire), with a permit that keeps the semaphore alive.
    ///
    /// # Errors
    ///
    /// There is none, or the semaphore was closed.
    #[track_caller]
    #[inline]
    pub fn try_acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.try_acquire_many_owned(1)
    }

    /// As [`try_acquire_many`](Self::try_acquire_many), with a permit that keeps the semaphore alive.
    ///
    /// # Errors
    ///
    /// There are fewer, or the semaphore was closed.
    #[track_caller]
    #[inline]
    pub fn try_acquire_many_owned(
        self: Arc<Self>,
        count: u32,
    ) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        let owned = self.try_acquire_many(count)?.into_owned();
        Ok(OwnedSemaphorePermit::new(owned, self))
    }
}

/// Permits of a [`Semaphore`], which are given back when this is dropped.
#[must_use = "dropping the permit at once gives it back"]
#[derive(Debug)]
pub struct SemaphorePermit<'a> {
    held: Held,
    inner: InnerPermit<'a>,
}

impl<'a> SemaphorePermit<'a> {
    fn unmeasured(inner: InnerPermit<'a>) -> Self {
        Self { held: Held::unmeasured(), inner }
    }

    /// What is held, and how many, which are not given back.
    fn into_owned(self) -> (Held, usize) {
        let count = self.inner.num_permits();
        self.inner.forget();
        (self.held, count)
    }

    /// Does not give them back: the semaphore has fewer from now on.
    pub fn forget(self) {
        self.inner.forget();
    }

    /// Adds the permits of another one of the same semaphore, which ends what that has held.
    ///
    /// # Panics
    ///
    /// It is of another semaphore.
    #[track_caller]
    pub fn merge(&mut self, other: Self) {
        self.inner.merge(other.inner);
    }

    /// Splits so many off, if there are as many. For how long those are held is not measured.
    pub fn split(&mut self, count: usize) -> Option<Self> {
        self.inner.split(count).map(Self::unmeasured)
    }

    /// How many there are.
    pub fn num_permits(&self) -> usize {
        self.inner.num_permits()
    }
}

/// Permits of a [`Semaphore`], which they keep alive, and which are given back when this is dropped.
#[must_use = "dropping the permit at once gives it back"]
#[derive(Debug)]
pub struct OwnedSemaphorePermit {
    held: Held,
    count: usize,
    semaphore: Arc<Semaphore>,
}

impl OwnedSemaphorePermit {
    fn new((held, count): (Held, usize), semaphore: Arc<Semaphore>) -> Self {
        Self { held, count, semaphore }
    }

    /// Does not give them back: the semaphore has fewer from now on.
    pub fn forget(mut self) {
        self.count = 0;
    }

    /// Adds the permits of another one of the same semaphore, which ends what that has held.
    ///
    /// # Panics
    ///
    /// It is of another semaphore.
    #[track_caller]
    pub fn merge(&mut self, mut other: Self) {
        assert!(
            Arc::ptr_eq(&self.semaphore, &other.semaphore),
            "merging permits from different semaphore instances"
        );
        self.count += std::mem::take(&mut other.count);
    }

    /// Splits so many off, if there are as many. For how long those are held is not measured.
    pub fn split(&mut self, count: usize) -> Option<Self> {
        self.count = self.count.checked_sub(count)?;
        Some(Self::new((Held::unmeasured(), count), Arc::clone(&self.semaphore)))
    }

    /// Whose permits they are.
    pub fn semaphore(&self) -> &Arc<Semaphore> {
        &self.semaphore
    }

    /// How many there are.
    pub fn num_permits(&self) -> usize {
        self.count
    }
}

impl Drop for OwnedSemaphorePermit {
    fn drop(&mut self) {
        self.held.end();
        if self.count > 0 {
            self.semaphore.inner.add_permits(self.count);
        }
    }
}
