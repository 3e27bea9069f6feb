//! What threads meet by: types of `std` and `rtrb`, or, in models, those that loom watches.
//!
//! A model is a test of the real code by `explore`: in every order in which threads can take their turns, up to a
//! number of preemptions, with every value that a load may see. (Not what hardware allows beyond that: for loom, a load
//! never sees a store that is yet to come.) Models run with `--cfg obs_loom`, see `.ci/loom.sh`.

#[cfg(all(test, obs_loom))]
mod modelled;
#[cfg(all(test, obs_loom))]
mod ring;

#[cfg(all(test, obs_loom))]
pub(crate) use loom::sync::atomic::AtomicU64;
#[cfg(all(test, obs_loom))]
pub(crate) use modelled::{Mutex, MutexGuard, OnceLock, explore};
#[cfg(all(test, obs_loom))]
pub(crate) use ring::{Consumer, Producer, RingBuffer};

#[cfg(not(all(test, obs_loom)))]
pub(crate) use rtrb::{Consumer, Producer, RingBuffer};
#[cfg(not(all(test, obs_loom)))]
pub(crate) use std::sync::atomic::AtomicU64;
#[cfg(not(all(test, obs_loom)))]
pub(crate) use std::sync::{Mutex, MutexGuard, OnceLock};

/// A size, and the one that models get by with.
pub(crate) const fn size(usual: usize, modelled: usize) -> usize {
    if cfg!(all(test, obs_loom)) { modelled } else { usual }
}
