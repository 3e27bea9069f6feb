//! The growing part of a thread's buffer: chunks behind a mutex, in use only while the ring in front of it is full.
//!
//! # Invariants
//! The writer changes to the chunks when its ring is full, and stays with them until the reader has taken all of
//! them. So every item in the ring is older than every item in the chunks, or newer than all that were taken.
//!
//! # Performance
//! The ring is the fast path. The mutex is held for one push of the writer, or for the reader to take chunks by
//! pointer. A chunk is freed when the reader has emptied it, so the buffer shrinks as soon as a burst is over.
//!
//! Memory is reserved by fallible allocation: without memory an item is dropped and counted.

use crate::shared::{Mutex, MutexGuard, size};
use std::collections::VecDeque;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Items for which a chunk has room.
const CHUNK_ITEMS: usize = size(512, 2);

/// Bytes for which a chunk has room, unless its first item with bytes takes more.
const CHUNK_BYTES: usize = size(64 * 1024, 32);

/// Spans, or lines, that one thread's buffer holds by default.
const DEFAULT_LIMIT: usize = size(16_384, 3);

/// Bytes that a buffer may hold for each item of its limit.
const BYTES_PER_ITEM: usize = 8192;

static LIMIT: AtomicUsize = AtomicUsize::new(DEFAULT_LIMIT);

/// Sets the limit of every thread's buffer, in items.
pub(crate) fn set_limit(items: usize) {
    LIMIT.store(items, Ordering::Relaxed);
}

/// Upper bounds on the items in chunks and on their bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    items: usize,
    bytes: usize,
}

impl Room {
    /// The configured limit, less the items that the ring holds.
    pub(crate) fn beside(ring_items: usize) -> Self {
        let limit = LIMIT.load(Ordering::Relaxed);
        Self { items: limit.saturating_sub(ring_items), bytes: limit.saturating_mul(BYTES_PER_ITEM) }
    }

    /// Leaves the last sixteenth to items that must not be the ones lost.
    pub(crate) fn without_reserve(self) -> Self {
        Self { items: self.items - self.items / 16, bytes: self.bytes - self.bytes / 16 }
    }
}

/// Items, and the bytes that belong to them.
pub(crate) struct Chunk<T> {
    pub(crate) items: Vec<T>,
    pub(crate) bytes: Vec<u8>,
}

impl<T> Chunk<T> {
    fn try_new() -> Option<Self> {
        let mut items = Vec::new();
        items.try_reserve_exact(CHUNK_ITEMS).ok()?;
        Some(Self { items, bytes: Vec::new() })
    }

    /// Whether there is room for one more item with `size` bytes. Reserves the bytes with the first item that has any.
    fn fits(&mut self, size: usize) -> bool {
        self.items.len() < self.items.capacity()
            && match self.bytes.capacity() {
                _ if size == 0 => true,
                0 => self.bytes.try_reserve_exact(size.max(CHUNK_BYTES)).is_ok(),
                capacity => size <= capacity - self.bytes.len(),
            }
    }
}

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// The limit is reached, or there is no memory.
    No,
    Yes,
    /// In a new chunk: the reader is to be woken.
    InNewChunk,
}

/// The chunks of one thread, shared by its writer and the reader.
pub(crate) struct Overflow<T>(Mutex<State<T>>);

struct State<T> {
    chunks: VecDeque<Chunk<T>>,
    /// Items that were pushed and not released, and their bytes.
    items: usize,
    bytes: usize,
}

impl<T> Overflow<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State { chunks: VecDeque::new(), items: 0, bytes: 0 }))
    }

    /// Whether the reader has taken every chunk.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().chunks.is_empty()
    }

    /// The number of items that were pushed and not released.
    #[cfg(feature = "otlp")]
    pub(crate) fn items(&self) -> usize {
        self.lock().items
    }

    /// The number of items in chunks that the reader has not taken.
    #[cfg(feature = "log")]
    pub(crate) fn waiting(&self) -> usize {
        self.lock().chunks.iter().map(|chunk| chunk.items.len()).sum()
    }

    /// Appends an item with `size` bytes, which are `runs`. `charge` is counted against the limit in bytes; `item` is
    /// told where its bytes begin.
    #[cold]
    #[inline(never)]
    pub(crate) fn push<'a>(
        &self,
        room: Room,
        charge: usize,
        size: usize,
        runs: impl Iterator<Item = &'a [u8]>,
        item: impl FnOnce(usize) -> T,
    ) -> Kept {
        let mut state = self.lock();
        let state = &mut *state;
        let bytes = state.bytes.saturating_add(charge);
        if state.items >= room.items || bytes > room.bytes {
            return Kept::No;
        }
        let mut kept = Kept::Yes;
        if !state.chunks.back_mut().is_some_and(|chunk| chunk.fits(size)) {
            let chunk = Chunk::try_new().and_then(|mut chunk| chunk.fits(size).then_some(chunk));
            let (Some(chunk), Ok(())) = (chunk, state.chunks.try_reserve(1)) else { return Kept::No };
            state.chunks.push_back(chunk);
            kept = Kept::InNewChunk;
        }
        let Some(chunk) = state.chunks.back_mut() else { return Kept::No };
        let start = chunk.bytes.len();
        runs.for_each(|run| chunk.bytes.extend_from_slice(run));
        chunk.items.push(item(start));
        state.items += 1;
        state.bytes = bytes;
        kept
    }

    /// Takes the oldest chunk. Its items count against the limit until they are released.
    #[cfg(feature = "otlp")]
    pub(crate) fn take(&self) -> Option<Chunk<T>> {
        self.lock().chunks.pop_front()
    }

    /// Takes all chunks. Their items count against the limit until they are released.
    #[cfg(feature = "log")]
    pub(crate) fn take_all(&self) -> VecDeque<Chunk<T>> {
        std::mem::take(&mut self.lock().chunks)
    }

    /// Makes room for further items: these are dealt with.
    pub(crate) fn release(&self, items: usize, charge: usize) {
        let mut state = self.lock();
        state.items = state.items.saturating_sub(items);
        state.bytes = state.bytes.saturating_sub(charge);
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, not(obs_loom), feature = "otlp"))]
mod tests {
    use super::*;
    use std::iter;

    const ROOM: Room = Room { items: 2000, bytes: 300_000 };

    fn push(overflow: &Overflow<usize>, room: Room, size: usize) -> Kept {
        let bytes = vec![b'x'; size];
        overflow.push(room, size, size, iter::once(&bytes[..]), |start| start)
    }

    #[test]
    fn chunks_are_taken_in_order_and_their_items_count_until_they_are_released() {
        let overflow = Overflow::new();
        for number in 0..2000 {
            let kept = overflow.push(ROOM, 0, 0, iter::empty(), |_| number);
            let expected = if number % 512 == 0 { Kept::InNewChunk } else { Kept::Yes };
            assert_eq!(kept, expected, "{number}");
        }
        assert_eq!(push(&overflow, ROOM, 0), Kept::No);
        let taken: Vec<usize> = iter::from_fn(|| overflow.take()).flat_map(|chunk| chunk.items).collect();
        assert_eq!(taken, (0..2000).collect::<Vec<_>>());
        assert!(overflow.is_empty());
        assert_eq!(push(&overflow, ROOM, 0), Kept::No, "the reader still holds them");
        overflow.release(2000, 0);
        assert_eq!(overflow.items(), 0);
        assert_eq!(push(&overflow, ROOM, 0), Kept::InNewChunk);
    }

    #[test]
    fn bytes_have_a_limit_of_their_own_and_a_large_item_a_chunk_of_its_size() {
        let overflow = Overflow::new();
        assert_eq!(push(&overflow, ROOM, 10), Kept::InNewChunk);
        assert_eq!(push(&overflow, ROOM, 200_000), Kept::InNewChunk);
        assert_eq!(push(&overflow, ROOM, 10), Kept::InNewChunk);
        assert_eq!(push(&overflow, ROOM, 100_000), Kept::No);
        assert_eq!(push(&overflow, ROOM, 99_980), Kept::InNewChunk);
        assert_eq!(push(&overflow, ROOM, 1), Kept::No);
        let sizes: Vec<usize> = iter::from_fn(|| overflow.take()).map(|chunk| chunk.bytes.len()).collect();
        assert_eq!(sizes, [10, 200_000, 10, 99_980]);
    }

    #[test]
    fn the_last_sixteenth_is_for_items_that_must_not_be_lost() {
        let overflow = Overflow::new();
        let kept = |room| iter::from_fn(|| (push(&overflow, room, 0) != Kept::No).then_some(())).count();
        assert_eq!(kept(ROOM.without_reserve()), 1875);
        assert_eq!(kept(ROOM), 125);
    }

    #[test]
    fn without_memory_an_item_is_dropped() {
        let overflow = Overflow::<usize>::new();
        let room = Room { items: usize::MAX, bytes: usize::MAX };
        let kept = overflow.push(room, 0, usize::MAX / 2 + 1, iter::empty(), |start| start);
        assert_eq!((kept, overflow.items()), (Kept::No, 0));
        assert_eq!(push(&overflow, room, 5), Kept::InNewChunk);
    }
}
