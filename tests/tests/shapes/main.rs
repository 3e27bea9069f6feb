//! Functions of every shape: each compiles as the plain one would, does the same, and is counted.
//!
//! One file for each class of shapes. Warnings are errors here: an annotation adds none.

#![deny(warnings)]
#![allow(unreachable_pub, reason = "as they would be in a library")]
#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::undocumented_unsafe_blocks,
    reason = "shapes are written as people write them; whether an annotation adds a lint is tested by comparison"
)]

mod attributes;
mod blocks;
mod borrows;
mod coercions;
mod drops;
mod generics;
mod hygiene;
mod macros;
mod others;
mod parameters;
mod receivers;
mod results;
mod returned;
mod sizes;

use obs_tests::recorder;

/// How often a function of this crate was called, with that outcome; nothing else of it was.
fn counted(function: &str, outcome: &str, count: u32) {
    let name = format!("shapes::{function}");
    let samples = recorder().samples("function_calls_total", &[("function", &name)]);
    assert!(!samples.is_empty(), "no function {name}");
    let with = |wanted: bool| {
        let of = samples.iter().filter(|(labels, _)| (labels.get("outcome") == Some(outcome)) == wanted);
        of.map(|(_, value)| value).sum::<f64>()
    };
    assert_eq!((with(true), with(false)), (f64::from(count), 0.0), "{name}: {samples:?}");
}

/// Runs a future that is always ready, or soon.
fn run<F: Future>(future: F) -> F::Output {
    futures_executor::block_on(future)
}

fn is_send<T: Send>(value: T) -> T {
    value
}
