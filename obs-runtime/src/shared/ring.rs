//! A ring for models, in the place of `rtrb`'s, which loom can't look into.
//!
//! What is proven with it is what our code makes of such a ring, not `rtrb` itself. It has the part of the interface
//! that is used here, loads and stores the two positions where version 0.3 does and with the same orderings, and keeps
//! the same copies of them. Positions count up without end, and values are moved one by one.

use loom::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::cell::Cell;
use std::sync::{Arc, Mutex};

pub(crate) struct RingBuffer<T> {
    head: AtomicUsize,
    tail: AtomicUsize,
    slots: Box<[Slot<T>]>,
}

/// A value, and what shows loom that it is touched: each access has to come after all before it.
struct Slot<T>(Mutex<(Option<T>, AtomicU8)>);

impl<T> Slot<T> {
    fn touch<R>(&self, touch: impl FnOnce(&mut Option<T>) -> R) -> R {
        let mut slot = self.0.lock().expect("models end at a panic");
        let (value, touched) = &mut *slot;
        touched.with_mut(|_| touch(value))
    }
}

/// A ring is too full, or too empty.
#[derive(Debug)]
pub(crate) struct TooFew;

impl<T> RingBuffer<T> {
    #[allow(clippy::new_ret_no_self, reason = "as `rtrb` has it")]
    pub(crate) fn new(capacity: usize) -> (Producer<T>, Consumer<T>) {
        let slot = || Slot(Mutex::new((None, AtomicU8::new(0))));
        let ring = Arc::new(Self {
            head: AtomicUsize::new(0),
            tail: AtomicUsize::new(0),
            slots: std::iter::repeat_with(slot).take(capacity).collect(),
        });
        let producer = Producer { ring: Arc::clone(&ring), head: Cell::new(0), tail: 0 };
        (producer, Consumer { ring, head: 0, tail: Cell::new(0) })
    }

    fn slot(&self, position: usize) -> &Slot<T> {
        &self.slots[position % self.slots.len()]
    }
}

pub(crate) struct Producer<T> {
    ring: Arc<RingBuffer<T>>,
    /// As it was last seen.
    head: Cell<usize>,
    tail: usize,
}

impl<T> Producer<T> {
    pub(crate) fn push(&mut self, value: T) -> Result<(), TooFew> {
        self.room(1).map(|()| self.put([value]))
    }

    pub(crate) fn slots(&self) -> usize {
        self.head.set(self.ring.head.load(Ordering::Acquire));
        self.cached_slots()
    }

    pub(crate) fn cached_slots(&self) -> usize {
        self.ring.slots.len() - (self.tail - self.head.get())
    }

    fn room(&self, count: usize) -> Result<(), TooFew> {
        if self.cached_slots() < count && self.slots() < count { Err(TooFew) } else { Ok(()) }
    }

    fn put(&mut self, values: impl IntoIterator<Item = T>) {
        for value in values {
            self.ring.slot(self.tail).touch(|slot| *slot = Some(value));
            self.tail += 1;
        }
        self.ring.tail.store(self.tail, Ordering::Release);
    }
}

impl<T: Copy> Producer<T> {
    pub(crate) fn push_entire_slice(&mut self, values: &[T]) -> Result<(), TooFew> {
        self.room(values.len()).map(|()| self.put(values.iter().copied()))
    }
}

pub(crate) struct Consumer<T> {
    ring: Arc<RingBuffer<T>>,
    head: usize,
    /// As it was last seen.
    tail: Cell<usize>,
}

impl<T> Consumer<T> {
    pub(crate) fn pop(&mut self) -> Result<T, TooFew> {
        self.there(1)?;
        let value = self.ring.slot(self.head).touch(Option::take);
        self.advance(1);
        value.ok_or(TooFew)
    }

    pub(crate) fn slots(&self) -> usize {
        self.tail.set(self.ring.tail.load(Ordering::Acquire));
        self.tail.get() - self.head
    }

    fn there(&self, count: usize) -> Result<(), TooFew> {
        if self.tail.get() - self.head < count && self.slots() < count { Err(TooFew) } else { Ok(()) }
    }

    fn advance(&mut self, count: usize) {
        self.head += count;
        self.ring.head.store(self.head, Ordering::Release);
    }
}

impl<T: Copy> Consumer<T> {
    pub(crate) fn pop_entire_slice(&mut self, values: &mut [T]) -> Result<(), TooFew> {
        let chunk = self.read_chunk(values.len())?;
        values.copy_from_slice(&chunk.values);
        chunk.commit_all();
        Ok(())
    }

    pub(crate) fn read_chunk(&mut self, count: usize) -> Result<ReadChunk<'_, T>, TooFew> {
        self.there(count)?;
        let slots = (self.head..self.head + count).map(|position| self.ring.slot(position));
        let values = slots.map(|slot| slot.touch(|value| value.expect("a slot before the tail is full")));
        Ok(ReadChunk { values: values.collect(), consumer: self })
    }
}

pub(crate) struct ReadChunk<'a, T> {
    values: Vec<T>,
    consumer: &'a mut Consumer<T>,
}

impl<T> ReadChunk<'_, T> {
    pub(crate) fn as_slices(&self) -> (&[T], &[T]) {
        let capacity = self.consumer.ring.slots.len();
        let first = capacity - self.consumer.head % capacity;
        self.values.split_at(first.min(self.values.len()))
    }

    pub(crate) fn commit_all(self) {
        self.consumer.advance(self.values.len());
    }
}
