//! Lines in a ring of bytes: each behind its length and its time.

use crate::shared::{Consumer, Producer};

/// In front of each line: its length and its time in ticks.
const HEADER_BYTES: usize = 12;

/// Empties a buffer for the next line, with room for what goes in front of it.
pub(super) fn begin(line: &mut Vec<u8>) {
    line.clear();
    line.extend_from_slice(&[0; HEADER_BYTES]);
}

/// Appends a line that was put together behind [`begin`]. False if it does not fit.
pub(super) fn push(ring: &mut Producer<u8>, ticks: u64, line: &mut [u8]) -> bool {
    let Some((header, text)) = line.split_first_chunk_mut::<HEADER_BYTES>() else { return false };
    let Ok(len) = u32::try_from(text.len()) else { return false };
    header[..4].copy_from_slice(&len.to_le_bytes());
    header[4..].copy_from_slice(&ticks.to_le_bytes());
    // At once, so that the reader never sees a header without its line.
    ring.push_entire_slice(line).is_ok()
}

/// A line taken from a ring: when, and where in the batch.
pub(super) struct Taken {
    pub(super) ticks: u64,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Takes what is in a ring.
pub(super) fn take(ring: &mut Consumer<u8>, batch: &mut Vec<u8>, taken: &mut Vec<Taken>) {
    let Ok(chunk) = ring.read_chunk(ring.slots()) else { return };
    let mut at = batch.len();
    let (first, second) = chunk.as_slices();
    batch.extend_from_slice(first);
    batch.extend_from_slice(second);
    chunk.commit_all();
    while let Some((header, _)) = batch[at..].split_first_chunk::<HEADER_BYTES>() {
        let [l0, l1, l2, l3, t0, t1, t2, t3, t4, t5, t6, t7] = *header;
        let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let ticks = u64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]);
        let start = at + HEADER_BYTES;
        taken.push(Taken { ticks, start, end: start + len });
        at = start + len;
    }
}

/// Counts the lines that are in a ring, and leaves them there.
pub(super) fn count(ring: &mut Consumer<u8>) -> u64 {
    let Ok(chunk) = ring.read_chunk(ring.slots()) else { return 0 };
    let (first, second) = chunk.as_slices();
    let byte = |at: usize| first.get(at).or_else(|| second.get(at.checked_sub(first.len())?)).copied();
    let (mut lines, mut at) = (0, 0);
    while let (Some(l0), Some(l1), Some(l2), Some(l3)) = (byte(at), byte(at + 1), byte(at + 2), byte(at + 3))
    {
        lines += 1;
        at += HEADER_BYTES + u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtrb::RingBuffer;

    #[test]
    fn lines_are_counted_around_the_end_of_the_ring_and_stay_there() {
        let (mut write, mut read) = RingBuffer::new(100);
        let mut push = |text: &str| {
            let mut line = Vec::new();
            begin(&mut line);
            line.extend_from_slice(text.as_bytes());
            super::push(&mut write, 1, &mut line)
        };
        for round in 0..100 {
            let texts = ["", "a", "0123456789"].map(|text| &text[..text.len().min(round)]);
            for (before, text) in texts.iter().enumerate() {
                assert_eq!(count(&mut read), before as u64);
                assert!(push(text), "{round}");
            }
            assert_eq!(count(&mut read), 3);
            let (mut batch, mut taken) = (Vec::new(), Vec::new());
            take(&mut read, &mut batch, &mut taken);
            let lines = taken.iter().map(|line| &batch[line.start..line.end]);
            assert!(lines.eq(texts.iter().map(|text| text.as_bytes())));
        }
    }
}

#[cfg(all(test, obs_loom))]
mod models {
    use super::*;
    use crate::shared::{RingBuffer, explore};
    use loom::thread;

    #[test]
    fn lines_are_taken_whole_and_in_order_or_not_at_all() {
        explore(|| {
            // Room for two, so that the third finds a full ring or goes around its end.
            let (mut write, mut read) = RingBuffer::new(2 * HEADER_BYTES + 5);
            let writer = thread::spawn(move || {
                ["a", "bc", "d"].map(|text| {
                    let mut line = Vec::new();
                    begin(&mut line);
                    line.extend_from_slice(text.as_bytes());
                    push(&mut write, text.len() as u64, &mut line)
                })
            });
            let (mut batch, mut taken) = (Vec::new(), Vec::new());
            take(&mut read, &mut batch, &mut taken);
            take(&mut read, &mut batch, &mut taken);
            let fitted = writer.join().expect("no panic");
            take(&mut read, &mut batch, &mut taken);
            let lines: Vec<_> = taken.iter().map(|line| (line.ticks, &batch[line.start..line.end])).collect();
            let expected: [(u64, &[u8]); 3] = [(1, b"a"), (2, b"bc"), (1, b"d")];
            let expected = expected.into_iter().zip(fitted).filter_map(|(line, fits)| fits.then_some(line));
            assert_eq!(lines, expected.collect::<Vec<_>>());
            assert_eq!(&fitted[..2], [true, true]);
        });
    }
}
