//! Locks that nobody watches: without the profiles there is nothing to keep.

#![allow(clippy::unused_self, reason = "those that are watched look at it")]

use std::panic::Location;

pub(super) type At = &'static Location<'static>;

/// What is done to a lock.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verb {
    Lock,
    Read,
    Write,
    Acquire,
}

#[derive(Debug)]
pub(super) struct Lock;

impl Lock {
    pub(super) const fn new() -> Self {
        Self
    }

    pub(super) const fn named(_name: &'static str) -> Self {
        Self
    }

    #[inline]
    pub(super) fn taken(&self, _verb: Verb, _at: At) -> Held {
        Held
    }
}

#[derive(Debug)]
pub(super) struct Held;

impl Held {
    #[inline]
    pub(super) fn unmeasured() -> Self {
        Self
    }

    #[inline]
    pub(super) fn end(&mut self) {}
}

#[inline]
pub(super) fn taken<G, E>(
    _lock: &Lock,
    _verb: Verb,
    _at: At,
    _attempt: impl FnOnce() -> Option<G>,
    wait: impl FnOnce() -> Result<G, E>,
) -> Result<(Held, G), E> {
    Ok((Held, wait()?))
}

#[inline]
pub(super) async fn taken_later<G, E, F: Future<Output = Result<G, E>>>(
    _lock: &Lock,
    _verb: Verb,
    _at: At,
    _attempt: impl FnOnce() -> Option<G>,
    wait: impl FnOnce() -> F,
) -> Result<(Held, G), E> {
    Ok((Held, wait().await?))
}
