//! Locks that are in the profile `mutex`: who waits for them, for whom, and how long they are held.
//!
//! [`Mutex`] and [`RwLock`] are those of `parking_lot`, [`Semaphore`] and those in [`tokio`] are tokio's, with
//! the same methods; to use them, change the `use` line. [`named`](Mutex::named) gives a lock a name to be found by. Without
//! the feature `profile` nothing is kept of them, and they are as large as the originals.
//!
//! ```
//! use obs_runtime::sync::Mutex;
//!
//! static ORDERS: Mutex<Vec<u64>> = Mutex::named("orders", Vec::new());
//!
//! ORDERS.lock().push(7);
//! assert_eq!(*ORDERS.lock(), [7]);
//! ```
//!
//! A lock that is free costs a few nanoseconds more than the original. Locks that one thread takes inside another are
//! counted each for itself. What a lock is known by takes 24 bytes of it.

mod guards;
mod mutex;
mod rwlock;
#[cfg(test)]
mod tests;
pub mod tokio;
#[cfg(not(feature = "profile"))]
mod unwatched;
#[cfg(feature = "profile")]
mod watched;

pub use self::tokio::Semaphore;
pub use mutex::{MappedMutexGuard, Mutex, MutexGuard};
pub use rwlock::{MappedRwLockReadGuard, MappedRwLockWriteGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
#[cfg(not(feature = "profile"))]
use unwatched as watch;
#[cfg(feature = "profile")]
use watched as watch;
