//! Lines for the collector: the JSON of each, once more, in buffers of their own.

use super::framed::{self, Batch};
use crate::export::delivery::{Reason, Signal};
use crate::overflow::Kept;
use crate::rings::{Own, Rings};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Thread;

/// Bytes of the ring in front of a thread's growing buffer.
const RING_BYTES: usize = 256 * 1024;

static RINGS: Rings<framed::Write, framed::Read> = Rings::new(|| framed::buffer(RING_BYTES));
static COLLECTOR: OnceLock<Thread> = OnceLock::new();

thread_local! {
    static OWN: Own<framed::Write> = const { Own::new() };
}

/// Lines that the collector has taken out of the buffers and not handed over.
static IN_HAND: AtomicU64 = AtomicU64::new(0);

/// The number of lines that wait for the collector. Exact while no thread logs and the collector is idle.
pub(crate) fn waiting() -> u64 {
    let mut lines = 0;
    RINGS.read(|buffer| lines += buffer.count());
    lines + IN_HAND.load(Ordering::Relaxed)
}

/// Whether lines are sent anywhere.
pub(super) fn wanted() -> bool {
    COLLECTOR.get().is_some()
}

/// Hands a line over, as JSON. A buffer at its limit drops it and counts that.
pub(super) fn push(ticks: u64, line: &mut [u8]) {
    let push = |own: &Own<framed::Write>| {
        RINGS.write(own, |buffer| {
            let kept = buffer.push(ticks, line);
            if kept == Kept::InNewChunk || buffer.is_half_full() {
                if let Some(collector) = COLLECTOR.get() {
                    collector.unpark();
                }
            }
            kept
        })
    };
    if !matches!(OWN.try_with(push), Ok(Some(Kept::Yes | Kept::InNewChunk))) {
        Signal::Logs.dropped(Reason::Buffer, 1);
    }
}

/// The collector's end of all threads' buffers.
pub(crate) struct Reader {
    /// Lines that were taken from the buffers, and are handed over one by one.
    batch: Batch,
    next: usize,
    /// Whether the batch was taken after the last mark.
    fresh: bool,
}

impl Reader {
    /// Takes lines from now on; `collector` is woken when a ring is half full.
    pub(crate) fn start(collector: Thread) -> Self {
        let _ = COLLECTOR.set(collector);
        Self { batch: Batch::default(), next: 0, fresh: false }
    }

    /// Hands over at most `room` lines, each with its time in ticks, in the order of time.
    pub(crate) fn take(&mut self, room: usize, mut each: impl FnMut(u64, &[u8])) {
        let mut left = room;
        for read in [false, true] {
            // Buffers are read when all that was read before is handed over.
            if read && left > 0 {
                self.batch.clear();
                RINGS.read(|buffer| buffer.take(&mut self.batch));
                self.batch.sort();
                (self.next, self.fresh) = (0, true);
            }
            for (ticks, line) in self.batch.lines().skip(self.next).take(left) {
                each(ticks, line);
                self.next += 1;
                left -= 1;
            }
        }
        if self.next == self.batch.len() {
            self.batch.clear();
            self.next = 0;
        }
        IN_HAND.store((self.batch.len() - self.next) as u64, Ordering::Relaxed);
    }

    /// Notes the lines that there are now.
    pub(crate) fn mark(&mut self) {
        self.fresh = false;
    }

    /// Whether all that there was at the last mark has been taken.
    pub(crate) fn reached(&self) -> bool {
        self.fresh && self.next == self.batch.len()
    }
}
