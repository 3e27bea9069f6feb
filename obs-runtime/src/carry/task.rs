//! Tasks of `tokio` that take the context along: as the functions of the same names there. A task that belongs to
//! no request is `tokio::spawn(Context::root().scope(future))`.
//!
//! Without the feature `tokio`, `tokio::spawn(Context::current().scope(future))` is the same.

use super::{Context, InContext};
use tokio::task::{self, AbortHandle, JoinHandle, JoinSet};

/// As [`tokio::spawn`]: the task is in all that the caller is in.
///
/// ```
/// # use obs_runtime::task;
/// # async fn send_receipt() {}
/// # async fn f() {
/// task::spawn(send_receipt());
/// # }
/// ```
///
/// # Panics
/// Outside a `tokio` runtime.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    task::spawn(Context::current().scope(future))
}

/// As [`tokio::task::spawn_blocking`]: the closure is in all that the caller is in.
///
/// # Panics
/// Outside a `tokio` runtime.
#[track_caller]
pub fn spawn_blocking<R: Send + 'static>(run: impl FnOnce() -> R + Send + 'static) -> JoinHandle<R> {
    task::spawn_blocking(Context::current().bind(run))
}

/// As [`tokio::task::spawn_local`]: the task is in all that the caller is in.
///
/// # Panics
/// Outside a `LocalSet`.
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    task::spawn_local(Context::current().scope(future))
}

/// Spawns on a [`JoinSet`] with the context of the caller.
///
/// ```
/// use obs_runtime::task::JoinSetExt;
/// use tokio::task::JoinSet;
///
/// # async fn fetch(part: u32) {}
/// # async fn f() {
/// let mut parts = JoinSet::new();
/// for part in 0..4 {
///     parts.spawn_in_context(fetch(part));
/// }
/// parts.join_all().await;
/// # }
/// ```
pub trait JoinSetExt<T> {
    /// As [`JoinSet::spawn`].
    ///
    /// # Panics
    /// Outside a `tokio` runtime.
    #[track_caller]
    fn spawn_in_context<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send;

    /// As [`JoinSet::spawn_blocking`].
    ///
    /// # Panics
    /// Outside a `tokio` runtime.
    #[track_caller]
    fn spawn_blocking_in_context<F>(&mut self, run: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send;
}

impl<T: 'static> JoinSetExt<T> for JoinSet<T> {
    fn spawn_in_context<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        let task: InContext<F> = Context::current().scope(future);
        self.spawn(task)
    }

    fn spawn_blocking_in_context<F>(&mut self, run: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        self.spawn_blocking(Context::current().bind(run))
    }
}
