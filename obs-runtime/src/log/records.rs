//! Lines for the collector: the JSON of each, once more, in rings of their own.

use super::framed::{self, Taken};
use crate::rings::{Own, Rings};
use crate::shared::{Consumer, Producer, RingBuffer};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Thread;

/// What one thread may log before the collector of lines comes by.
const RING_BYTES: usize = 256 * 1024;

static RINGS: Rings<Producer<u8>, Consumer<u8>> = Rings::new(|| RingBuffer::new(RING_BYTES));
static COLLECTOR: OnceLock<Thread> = OnceLock::new();
static DROPPED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static OWN: Own<Producer<u8>> = const { Own::new() };
}

/// Takes lines from now on; this thread is woken when a ring is half full.
pub(crate) fn start(collector: Thread) {
    let _ = COLLECTOR.set(collector);
}

/// Whether lines are sent anywhere.
pub(super) fn wanted() -> bool {
    COLLECTOR.get().is_some()
}

/// Hands a line over, as JSON. A full ring drops it and counts that.
pub(super) fn push(ticks: u64, line: &mut [u8]) {
    let push = |own: &Own<Producer<u8>>| {
        RINGS.write(own, |ring| {
            let pushed = framed::push(ring, ticks, line);
            if ring.slots() < RING_BYTES / 2 {
                if let Some(collector) = COLLECTOR.get() {
                    collector.unpark();
                }
            }
            pushed
        })
    };
    if !matches!(OWN.try_with(push), Ok(Some(true))) {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

/// How many lines did not fit since this was asked last.
pub(crate) fn take_dropped() -> u64 {
    DROPPED.swap(0, Ordering::Relaxed)
}

/// Hands over all lines there are, each with its time in ticks, in the order of time.
pub(crate) fn take(mut each: impl FnMut(u64, &[u8])) {
    let (mut batch, mut taken): (Vec<u8>, Vec<Taken>) = (Vec::new(), Vec::new());
    RINGS.read(|ring| framed::take(ring, &mut batch, &mut taken));
    taken.sort_by_key(|line| line.ticks);
    for line in taken {
        each(line.ticks, &batch[line.start..line.end]);
    }
}
