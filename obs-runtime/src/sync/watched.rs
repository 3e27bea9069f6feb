//! Locks that are watched: whether one was free is found out by trying first.

pub(super) use crate::profile::locks::{At, Held, Lock, Verb};

/// Takes a lock at once, or waits for it.
#[inline]
pub(super) fn taken<G, E>(
    lock: &Lock,
    verb: Verb,
    at: At,
    attempt: impl FnOnce() -> Option<G>,
    wait: impl FnOnce() -> Result<G, E>,
) -> Result<(Held, G), E> {
    match attempt() {
        Some(inner) => Ok((lock.taken(verb, at), inner)),
        None => waited(lock, verb, at, wait),
    }
}

#[cold]
fn waited<G, E>(
    lock: &Lock,
    verb: Verb,
    at: At,
    wait: impl FnOnce() -> Result<G, E>,
) -> Result<(Held, G), E> {
    let waiting = lock.wait(verb, at);
    let inner = wait()?;
    Ok((lock.taken_after(waiting, verb, at), inner))
}

/// Takes a lock at once, or waits for it without holding up the thread.
#[inline]
pub(super) async fn taken_later<G, E, F: Future<Output = Result<G, E>>>(
    lock: &Lock,
    verb: Verb,
    at: At,
    attempt: impl FnOnce() -> Option<G>,
    wait: impl FnOnce() -> F,
) -> Result<(Held, G), E> {
    // A task that always finds its lock free is to let others run all the same, as with tokio's.
    ::tokio::task::coop::consume_budget().await;
    if let Some(inner) = attempt() {
        return Ok((lock.taken(verb, at), inner));
    }
    let waiting = lock.wait(verb, at);
    let inner = wait().await?;
    Ok((lock.taken_after(waiting, verb, at), inner))
}
