//! A stream is counted and timed to its end, and so is a future that is returned.

use futures_core::Stream;
use obs_runtime::observe;

#[observe]
pub fn numbers(to: u32) -> impl Stream<Item = u32> {
    crate::iterated(0..to)
}
