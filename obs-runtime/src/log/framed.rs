//! Lines in a ring of bytes: each behind its length and its time.

use rtrb::{Consumer, Producer};

/// In front of each line: its length and its time in ticks.
const HEADER_BYTES: usize = 12;

/// The room that a line takes.
pub(super) fn size(line: &[u8]) -> usize {
    HEADER_BYTES + line.len()
}

/// Appends a line. False if it does not fit.
pub(super) fn push(ring: &mut Producer<u8>, ticks: u64, line: &[u8]) -> bool {
    let Ok(len) = u32::try_from(line.len()) else { return false };
    // One chunk, so that the reader never sees a header without its line.
    let Ok(mut chunk) = ring.write_chunk(size(line)) else { return false };
    let (first, second) = chunk.as_mut_slices();
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(&len.to_le_bytes());
    header[4..].copy_from_slice(&ticks.to_le_bytes());
    fill(first, second, [&header, line]);
    chunk.commit_all();
    true
}

/// A line taken from a ring: when, and where in the batch.
pub(super) struct Taken {
    pub(super) ticks: u64,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Copies the header and the line into the two parts of a chunk.
fn fill(mut first: &mut [u8], mut second: &mut [u8], parts: [&[u8]; 2]) {
    for part in parts {
        let (now, later) = part.split_at(part.len().min(first.len()));
        let (filled, rest) = std::mem::take(&mut first).split_at_mut(now.len());
        filled.copy_from_slice(now);
        first = rest;
        let (filled, rest) = std::mem::take(&mut second).split_at_mut(later.len());
        filled.copy_from_slice(later);
        second = rest;
    }
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
