//! Threads that take the context along: as the functions of the same names in `std`.

use super::Context;
use std::thread::{self, JoinHandle, Scope, ScopedJoinHandle};

/// As [`std::thread::spawn`]: the thread is in all that the caller is in.
///
/// ```
/// let thread = obs_runtime::thread::spawn(|| tracing::info!("with the caller's request id"));
/// thread.join().expect("it does not panic");
/// ```
///
/// # Panics
/// If the system has no thread to give; `Context::current().bind(..)` and a
/// [`std::thread::Builder`] tell instead.
pub fn spawn<R: Send + 'static>(run: impl FnOnce() -> R + Send + 'static) -> JoinHandle<R> {
    thread::spawn(Context::current().bind(run))
}

/// As [`std::thread::Scope::spawn`]: the thread is in all that the caller is in.
///
/// ```
/// let parts = [1, 2, 3];
/// std::thread::scope(|scope| {
///     obs_runtime::thread::spawn_scoped(scope, || tracing::info!(sum = parts.iter().sum::<i32>()));
/// });
/// ```
///
/// # Panics
/// If the system has no thread to give.
pub fn spawn_scoped<'scope, R: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    run: impl FnOnce() -> R + Send + 'scope,
) -> ScopedJoinHandle<'scope, R> {
    scope.spawn(Context::current().bind(run))
}
