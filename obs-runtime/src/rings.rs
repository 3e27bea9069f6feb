//! Bounded rings between threads: one for each thread that writes, emptied by one that reads.
//!
//! A thread that ends gives its ring to the next that starts, so there are never more rings than there
//! were threads at once, whether or not the reader gets to empty them.

use std::cell::RefCell;
use std::sync::{Mutex, MutexGuard, PoisonError};

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

    #[cold]
    fn lease(&'static self) -> Lease<W> {
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
struct Lease<W: 'static> {
    ring: Option<W>,
    free: &'static Mutex<Vec<W>>,
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
