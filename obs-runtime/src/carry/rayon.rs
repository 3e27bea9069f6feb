//! Work on `rayon`'s threads that takes the context along.
//!
//! `join` and `spawn` are as the functions of the same names there. For parallel iterators, capture the
//! context once and run each piece inside:
//!
//! ```
//! use obs_runtime::Context;
//! use rayon::prelude::*;
//!
//! let here = Context::current();
//! [1, 2, 3].par_iter().for_each(|part| here.run(|| tracing::info!(part)));
//! ```

use super::Context;

/// As [`rayon::join`]: both closures are in all that the caller is in, whichever threads they run on.
///
/// ```
/// let (sum, product) = obs_runtime::rayon::join(|| 2 + 3, || 2 * 3);
/// assert_eq!((sum, product), (5, 6));
/// ```
pub fn join<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    let here = Context::current();
    rayon::join(|| here.run(a), || here.run(b))
}

/// As [`rayon::spawn`]: the closure is in all that the caller is in.
///
/// ```
/// obs_runtime::rayon::spawn(|| tracing::info!("in the background, with the caller's request id"));
/// ```
pub fn spawn(run: impl FnOnce() + Send + 'static) {
    rayon::spawn(Context::current().bind(run));
}
