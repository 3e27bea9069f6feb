//! Locks that tasks wait for, in place of those in [`tokio::sync`].
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! use obs_runtime::sync::tokio::{Mutex, Semaphore};
//!
//! static ORDERS: Mutex<Vec<u64>> = Mutex::named("orders", Vec::new());
//! static UPLOADS: Semaphore = Semaphore::named("uploads", 4);
//!
//! let _permit = UPLOADS.acquire().await.expect("nobody closes it");
//! ORDERS.lock().await.push(7);
//! # }
//! ```
//!
//! Guards that own their mutex (`lock_owned` and its like) are not among them; permits that own their semaphore are. All
//! are made by `const_new`, so that `tokio-console` does not see them.

mod mutex;
mod rwlock;
mod semaphore;

pub use ::tokio::sync::{AcquireError, TryAcquireError, TryLockError};
pub use mutex::{MappedMutexGuard, Mutex, MutexGuard};
pub use rwlock::{RwLock, RwLockMappedWriteGuard, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
