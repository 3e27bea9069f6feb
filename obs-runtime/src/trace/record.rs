//! What a sampled span leaves when it ends: a record in a bounded ring of its thread.

use crate::context::Fields;
use crate::site::Site;
use crate::trace::TraceContext;
#[cfg(feature = "otlp")]
pub(crate) use rings::{collect_from, dropped, submit, wake};
#[cfg(feature = "otlp")]
use std::sync::atomic::AtomicU64;
use tracing_core::Metadata;

/// A span that ended, with all that an exporter wants to know.
#[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "read by the exporter alone"))]
pub(crate) struct Finished {
    pub(crate) metadata: &'static Metadata<'static>,
    /// The observed function, and the series its call was counted in.
    pub(crate) call: Option<(&'static Site, usize)>,
    pub(crate) trace: TraceContext,
    /// The parent's span id, and whether that is in another process.
    pub(crate) parent: Option<(u64, bool)>,
    /// In ticks.
    pub(crate) started: u64,
    pub(crate) ended: u64,
    pub(crate) outcome: &'static str,
    pub(crate) error: Option<SpanError>,
    pub(crate) fields: Fields,
}

/// What went wrong.
#[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "read by the exporter alone"))]
pub(crate) struct SpanError {
    pub(crate) kind: Option<String>,
    pub(crate) text: String,
}

/// Without an exporter nothing is sampled, so nothing ends here.
#[cfg(not(feature = "otlp"))]
pub(crate) fn submit(_: Finished) {}

#[cfg(feature = "otlp")]
mod rings {
    use super::{AtomicU64, Finished};
    use rtrb::{Consumer, Producer, RingBuffer};
    use std::cell::RefCell;
    use std::sync::atomic::Ordering;
    use std::sync::{Mutex, OnceLock, PoisonError};
    use std::thread::Thread;

    /// Spans that a thread may finish before the collector comes by.
    const RING_SPANS: usize = 512;

    static CONSUMERS: Mutex<Vec<Consumer<Finished>>> = Mutex::new(Vec::new());
    static COLLECTOR: OnceLock<Thread> = OnceLock::new();
    static DROPPED: AtomicU64 = AtomicU64::new(0);

    thread_local! {
        static RING: RefCell<Option<Producer<Finished>>> = const { RefCell::new(None) };
    }

    /// Hands a span over. A full ring drops it and counts that.
    pub(crate) fn submit(span: Finished) {
        let pushed = RING.try_with(|ring| {
            let mut ring = ring.try_borrow_mut().ok()?;
            let ring = ring.get_or_insert_with(|| {
                let (producer, consumer) = RingBuffer::new(RING_SPANS);
                CONSUMERS.lock().unwrap_or_else(PoisonError::into_inner).push(consumer);
                producer
            });
            ring.push(span).ok()?;
            if ring.slots() == RING_SPANS / 2 {
                wake();
            }
            Some(())
        });
        if !matches!(pushed, Ok(Some(()))) {
            dropped(1);
        }
    }

    /// Counts spans that are lost; returns how many have been.
    pub(crate) fn dropped(more: u64) -> u64 {
        DROPPED.fetch_add(more, Ordering::Relaxed) + more
    }

    /// Makes the thread the one to be woken when a ring is half full.
    pub(crate) fn collect_from(thread: Thread) -> impl FnMut(&mut Vec<Finished>) {
        let _ = COLLECTOR.set(thread);
        |spans| {
            let mut consumers = CONSUMERS.lock().unwrap_or_else(PoisonError::into_inner);
            consumers.retain_mut(|ring| {
                // Asked first: what a thread left before it ended is still read.
                let abandoned = ring.is_abandoned();
                spans.extend(std::iter::from_fn(|| ring.pop().ok()));
                !abandoned
            });
        }
    }

    /// Wakes the collector.
    pub(crate) fn wake() {
        if let Some(thread) = COLLECTOR.get() {
            thread.unpark();
        }
    }
}
