//! Lines in a buffer of one thread: a ring of bytes, where each is behind its length and its time, and chunks.

use crate::overflow::{Chunk, Kept, Overflow, Room};
use crate::shared::{Consumer, Producer, RingBuffer};
use std::iter;
use std::sync::Arc;

/// In front of each line: its length and its time in ticks.
const HEADER_BYTES: usize = 12;

/// Empties a buffer for the next line, with room for what goes in front of it.
pub(super) fn begin(line: &mut Vec<u8>) {
    line.clear();
    line.extend_from_slice(&[0; HEADER_BYTES]);
}

/// The writer's end of a thread's buffer: a ring of bytes, and chunks for a burst.
pub(super) struct Write {
    ring: Producer<u8>,
    half: usize,
    /// Whether lines go to the overflow, until the reader has taken all of it.
    spilling: bool,
    overflow: Arc<Overflow<Mark>>,
}

/// The reader's end.
pub(super) struct Read {
    ring: Consumer<u8>,
    overflow: Arc<Overflow<Mark>>,
}

/// A line in a chunk: when, and where.
pub(super) struct Mark {
    ticks: u64,
    start: usize,
    end: usize,
}

impl Mark {
    /// Bytes that a line of that length counts for.
    fn charge(line: usize) -> usize {
        line + size_of::<Self>()
    }
}

/// A buffer of one thread, with a ring of `bytes` bytes.
pub(super) fn buffer(bytes: usize) -> (Write, Read) {
    let (write, read) = RingBuffer::new(bytes);
    let overflow = Arc::new(Overflow::new());
    let write = Write { ring: write, half: bytes / 2, spilling: false, overflow: Arc::clone(&overflow) };
    (write, Read { ring: read, overflow })
}

impl Write {
    /// Appends a line that was put together behind [`begin`].
    pub(super) fn push(&mut self, ticks: u64, line: &mut [u8]) -> Kept {
        let Some((header, text)) = line.split_first_chunk_mut::<HEADER_BYTES>() else { return Kept::No };
        let Ok(len) = u32::try_from(text.len()) else { return Kept::No };
        header[..4].copy_from_slice(&len.to_le_bytes());
        header[4..].copy_from_slice(&ticks.to_le_bytes());
        if !self.spilling || self.overflow.is_empty() {
            // At once, so that the reader never sees a header without its line.
            self.spilling = self.ring.push_entire_slice(line).is_err();
            if !self.spilling {
                return Kept::Yes;
            }
        }
        self.spill(ticks, &line[HEADER_BYTES..])
    }

    #[cold]
    #[inline(never)]
    fn spill(&self, ticks: u64, text: &[u8]) -> Kept {
        let mark = |start| Mark { ticks, start, end: start + text.len() };
        let charge = Mark::charge(text.len());
        self.overflow.push(Room::beside(0), charge, text.len(), iter::once(text), mark)
    }

    /// Whether the reader is to be woken.
    pub(super) fn is_half_full(&self) -> bool {
        self.ring.cached_slots() < self.half && self.ring.slots() < self.half
    }
}

impl Read {
    /// Takes all lines that there are.
    pub(super) fn take(&mut self, batch: &mut Batch) {
        // Before the ring: with a line of the overflow, all lines before it are taken.
        let chunks = self.overflow.take_all();
        self.take_ring(batch);
        for chunk in chunks {
            let place = batch.chunks.len() + 1;
            let lines = chunk.items.iter();
            batch.lines.extend(lines.map(|&Mark { ticks, start, end }| Place {
                ticks,
                chunk: place,
                start,
                end,
            }));
            batch.chunks.push(Held { chunk, overflow: Arc::clone(&self.overflow) });
        }
    }

    /// Counts the lines that there are, and leaves them there.
    pub(super) fn count(&mut self) -> u64 {
        let waiting = self.overflow.waiting() as u64;
        let Ok(chunk) = self.ring.read_chunk(self.ring.slots()) else { return waiting };
        let (first, second) = chunk.as_slices();
        let byte = |at: usize| first.get(at).or_else(|| second.get(at.checked_sub(first.len())?)).copied();
        let (mut lines, mut at) = (waiting, 0);
        while let (Some(l0), Some(l1), Some(l2), Some(l3)) =
            (byte(at), byte(at + 1), byte(at + 2), byte(at + 3))
        {
            lines += 1;
            at += HEADER_BYTES + u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        }
        lines
    }

    fn take_ring(&mut self, batch: &mut Batch) {
        let Ok(chunk) = self.ring.read_chunk(self.ring.slots()) else { return };
        let mut at = batch.bytes.len();
        let (first, second) = chunk.as_slices();
        batch.bytes.extend_from_slice(first);
        batch.bytes.extend_from_slice(second);
        chunk.commit_all();
        while let Some((header, _)) = batch.bytes[at..].split_first_chunk::<HEADER_BYTES>() {
            let [l0, l1, l2, l3, t0, t1, t2, t3, t4, t5, t6, t7] = *header;
            let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
            let ticks = u64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]);
            let start = at + HEADER_BYTES;
            batch.lines.push(Place { ticks, chunk: 0, start, end: start + len });
            at = start + len;
        }
    }
}

/// Lines that were taken from buffers. Those of chunks count against their buffer's limit until they are cleared.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    chunks: Vec<Held>,
    lines: Vec<Place>,
}

/// A line of a batch.
struct Place {
    ticks: u64,
    /// 0 for the batch's own bytes, else one more than the chunk's index.
    chunk: usize,
    start: usize,
    end: usize,
}

/// A chunk that was taken, which makes room in its buffer when it is dropped.
struct Held {
    chunk: Chunk<Mark>,
    overflow: Arc<Overflow<Mark>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let lines = &self.chunk.items;
        let charge = lines.iter().map(|line| Mark::charge(line.end - line.start)).sum();
        self.overflow.release(lines.len(), charge);
    }
}

impl Batch {
    /// Bytes of its own that an empty batch keeps.
    const KEPT_BYTES: usize = 512 * 1024;

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(Self::KEPT_BYTES);
        self.chunks.clear();
        self.lines.clear();
        self.lines.shrink_to(Self::KEPT_BYTES / 128);
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Sorts lines by time. Each buffer is in order; a stable sort merges them.
    pub(super) fn sort(&mut self) {
        self.lines.sort_by_key(|line| line.ticks);
    }

    /// The lines, each with its time in ticks.
    pub(super) fn lines(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.lines.iter().map(|line| {
            let bytes = match line.chunk.checked_sub(1) {
                None => &self.bytes,
                Some(chunk) => &self.chunks[chunk].chunk.bytes,
            };
            (line.ticks, &bytes[line.start..line.end])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_around_the_end_of_the_ring_and_stay_there() {
        let (mut write, mut read) = buffer(100);
        let mut push = |text: &str| {
            let mut line = Vec::new();
            begin(&mut line);
            line.extend_from_slice(text.as_bytes());
            write.push(1, &mut line) != Kept::No
        };
        for round in 0..100 {
            // Those of the last have no room in the ring, and spill.
            let lengths = if round % 3 == 2 { [0, 60, 60] } else { [0, 1, 10] };
            let texts = lengths.map(|length| "x".repeat(length.min(round)));
            for (before, text) in texts.iter().enumerate() {
                assert_eq!(read.count(), before as u64);
                assert!(push(text), "{round}");
            }
            assert_eq!(read.count(), 3);
            let mut batch = Batch::default();
            read.take(&mut batch);
            assert!(batch.lines().map(|(_, line)| line).eq(texts.iter().map(String::as_bytes)));
        }
    }
}

#[cfg(all(test, obs_loom))]
mod models {
    use super::*;
    use crate::shared::explore;
    use loom::thread;

    #[test]
    fn lines_are_taken_whole_and_in_order_also_when_they_spill() {
        explore(|| {
            // Room for two, so that the third finds a full ring or goes around its end.
            let (mut write, mut read) = buffer(2 * HEADER_BYTES + 5);
            let writer = thread::spawn(move || {
                for (ticks, text) in (1..).zip(["a", "bc", "d", "e"]) {
                    let mut line = Vec::new();
                    begin(&mut line);
                    line.extend_from_slice(text.as_bytes());
                    assert_ne!(write.push(ticks, &mut line), Kept::No);
                }
            });
            let mut all = Vec::new();
            let mut take = || {
                let mut batch = Batch::default();
                read.take(&mut batch);
                batch.sort();
                all.extend(batch.lines().map(|(ticks, line)| (ticks, line.to_vec())));
            };
            take();
            take();
            writer.join().expect("no panic");
            take();
            let expected = (1..).zip(["a", "bc", "d", "e"].map(|text| text.as_bytes().to_vec()));
            assert_eq!(all, expected.collect::<Vec<(u64, Vec<u8>)>>());
        });
    }
}
