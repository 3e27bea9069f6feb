//! Bounded rings between threads: one for each thread that writes, emptied by one that reads.
//!
//! A thread that ends gives its ring to the next that starts, so there are never more rings than there
//! were threads at once, whether or not the reader gets to empty them.

use rtrb::{Consumer, Producer, RingBuffer};
use std::cell::RefCell;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// All rings of one purpose.
pub(crate) struct Rings<T> {
    capacity: usize,
    read: Mutex<Vec<Consumer<T>>>,
    free: Mutex<Vec<Producer<T>>>,
}

impl<T> Rings<T> {
    pub(crate) const fn new(capacity: usize) -> Self {
        Self { capacity, read: Mutex::new(Vec::new()), free: Mutex::new(Vec::new()) }
    }

    /// Runs with the ring of this thread.
    pub(crate) fn write<R>(
        &'static self,
        own: &Own<T>,
        write: impl FnOnce(&mut Producer<T>) -> R,
    ) -> Option<R> {
        let mut slot = own.0.try_borrow_mut().ok()?;
        let lease = slot.get_or_insert_with(|| Lease { ring: Some(self.lease()), rings: self });
        lease.ring.as_mut().map(write)
    }

    /// Empties every ring.
    pub(crate) fn read(&self, read: impl FnMut(&mut Consumer<T>)) {
        lock(&self.read).iter_mut().for_each(read);
    }

    #[cold]
    fn lease(&self) -> Producer<T> {
        lock(&self.free).pop().unwrap_or_else(|| {
            let (producer, consumer) = RingBuffer::new(self.capacity);
            lock(&self.read).push(consumer);
            producer
        })
    }
}

/// A thread's ring, if it has written: to be kept in a thread-local.
pub(crate) struct Own<T: 'static>(RefCell<Option<Lease<T>>>);

impl<T> Own<T> {
    pub(crate) const fn new() -> Self {
        Self(RefCell::new(None))
    }
}

struct Lease<T: 'static> {
    ring: Option<Producer<T>>,
    rings: &'static Rings<T>,
}

impl<T> Drop for Lease<T> {
    fn drop(&mut self) {
        lock(&self.rings.free).extend(self.ring.take());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn rings_of_threads_that_ended_are_used_again_and_nothing_is_lost() {
        static RINGS: Rings<u32> = Rings::new(1024);
        thread_local!(static OWN: Own<u32> = const { Own::new() });
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
