//! Rings between threads: one for each thread that writes, emptied by one that reads.
//!
//! A thread that ends gives its ring to the next that starts, so there are never more rings than there
//! were threads at once, whether or not the reader gets to empty them.

use crate::shared::{Mutex, MutexGuard};
use std::cell::RefCell;
use std::sync::PoisonError;

/// All rings of one purpose: the ends `W` of threads that write, and the ends `R` of the one that reads.
pub(crate) struct Rings<W, R> {
    make: fn() -> (W, R),
    read: Mutex<Vec<R>>,
    free: Mutex<Vec<W>>,
}

impl<W: 'static, R> Rings<W, R> {
    pub(crate) const fn new(make: fn() -> (W, R)) -> Self {
        Self { make, read: Mutex::new(Vec::new()), free: Mutex::new(Vec::new()) }
    }

    /// Runs with the ring of this thread.
    #[inline]
    pub(crate) fn write<T>(&'static self, own: &Own<W>, write: impl FnOnce(&mut W) -> T) -> Option<T> {
        let mut slot = own.0.try_borrow_mut().ok()?;
        let lease = match &mut *slot {
            Some(lease) => lease,
            empty => empty.insert(self.lease()),
        };
        lease.ring.as_mut().map(write)
    }

    /// Empties every ring.
    pub(crate) fn read(&self, read: impl FnMut(&mut R)) {
        lock(&self.read).iter_mut().for_each(read);
    }

    /// Has the next reading begin with the ring behind the one that this began with.
    #[cfg(feature = "otlp")]
    pub(crate) fn rotate(&self) {
        let mut read = lock(&self.read);
        if !read.is_empty() {
            read.rotate_left(1);
        }
    }

    /// A ring for this thread, until that is dropped.
    #[cold]
    pub(crate) fn lease(&'static self) -> Lease<W> {
        let free = lock(&self.free).pop();
        let ring = free.unwrap_or_else(|| {
            let (write, read) = (self.make)();
            lock(&self.read).push(read);
            write
        });
        Lease { ring: Some(ring), free: &self.free }
    }
}

/// A thread's ring, if it has written: to be kept in a thread-local.
pub(crate) struct Own<W: 'static>(RefCell<Option<Lease<W>>>);

impl<W> Own<W> {
    pub(crate) const fn new() -> Self {
        Self(RefCell::new(None))
    }
}

/// Given back when the thread ends.
pub(crate) struct Lease<W: 'static> {
    ring: Option<W>,
    free: &'static Mutex<Vec<W>>,
}

impl<W> Lease<W> {
    /// The end to write to.
    #[cfg(feature = "otlp")]
    #[inline]
    pub(crate) fn ring(&mut self) -> Option<&mut W> {
        self.ring.as_mut()
    }
}

impl<W> Drop for Lease<W> {
    fn drop(&mut self) {
        lock(self.free).extend(self.ring.take());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtrb::{Consumer, Producer, RingBuffer};
    use std::thread;

    #[test]
    fn rings_of_threads_that_ended_are_used_again_and_nothing_is_lost() {
        static RINGS: Rings<Producer<u32>, Consumer<u32>> = Rings::new(|| RingBuffer::new(1024));
        thread_local!(static OWN: Own<Producer<u32>> = const { Own::new() });
        for number in 0..500 {
            thread::spawn(move || OWN.with(|own| RINGS.write(own, |ring| ring.push(number).is_ok())))
                .join()
                .expect("no panic");
        }
        let (mut rings, mut sum) = (0, 0);
        RINGS.read(|ring| {
            rings += 1;
            sum += std::iter::from_fn(|| ring.pop().ok()).sum::<u32>();
        });
        assert_eq!((rings, sum), (1, (0..500).sum()));
    }
}

#[cfg(all(test, obs_loom))]
mod models {
    use super::*;
    use crate::shared::{Consumer, Producer, RingBuffer, explore};
    use loom::thread;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_ring_goes_from_a_thread_that_ends_to_the_next_and_nothing_is_lost_or_comes_twice() {
        static SHARED: AtomicBool = AtomicBool::new(false);
        static NOT_SHARED: AtomicBool = AtomicBool::new(false);
        explore(|| {
            let rings: &'static Rings<Producer<u8>, Consumer<u8>> =
                Box::leak(Box::new(Rings::new(|| RingBuffer::new(4))));
            let threads = [[1, 2], [11, 12]].map(|numbers| {
                thread::spawn(move || {
                    let own = Own::new();
                    for number in numbers {
                        assert_eq!(rings.write(&own, |ring| ring.push(number).is_ok()), Some(true));
                    }
                })
            });
            let mut taken = [Vec::new(), Vec::new()];
            let mut take = || {
                let mut count = 0;
                rings.read(|ring| {
                    taken[count].extend(std::iter::from_fn(|| ring.pop().ok()));
                    count += 1;
                });
                count
            };
            take();
            for thread in threads {
                thread.join().expect("no panic");
            }
            if take() == 1 { &SHARED } else { &NOT_SHARED }.store(true, Ordering::Relaxed);
            let [mut first, second] = taken;
            first.extend(second);
            assert!([[1, 2, 11, 12], [11, 12, 1, 2]].iter().any(|order| first == order), "{first:?}");
        });
        assert!(SHARED.load(Ordering::Relaxed) && NOT_SHARED.load(Ordering::Relaxed));
    }
}
