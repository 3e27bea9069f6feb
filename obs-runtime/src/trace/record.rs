//! What a sampled span leaves when it ends: a record in a bounded ring of its thread.

use crate::context::{Carried, Fields, Notes};
use crate::site::Site;
use crate::trace::TraceContext;
#[cfg(feature = "opentelemetry")]
pub(super) use exported::submit_api;
#[cfg(feature = "otlp")]
pub(crate) use exported::{Ended, collect_from, dropped, submit, wake};
use std::sync::Arc;
use tracing_core::Metadata;

/// A span that ended, with all that an exporter wants to know.
#[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "read by the exporter alone"))]
pub(crate) struct Finished {
    pub(crate) metadata: &'static Metadata<'static>,
    /// Its name, if that is not the one in the metadata.
    pub(crate) name: Option<String>,
    /// Attributes by the semantic conventions.
    pub(crate) attributes: Attributes,
    /// What was counted while it ran.
    pub(crate) counted: Option<(&'static str, Attribute)>,
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
    pub(crate) notes: Notes,
    pub(crate) carried: Option<Arc<Carried>>,
}

/// What a span is told about itself besides its fields, by the names of the semantic conventions.
pub(crate) type Attributes = Vec<(&'static str, Attribute)>;

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "http"), allow(dead_code, reason = "made by the layers alone"))]
pub(crate) enum Attribute {
    Text(String),
    Static(&'static str),
    Number(i64),
}

/// What went wrong.
#[derive(Debug)]
#[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "read by the exporter alone"))]
pub(crate) struct SpanError {
    pub(crate) kind: Option<String>,
    pub(crate) text: String,
    /// The type of the error, if its text is that of an exception.
    pub(crate) exception: Option<&'static str>,
}

/// Counts a span that found its thread's stack taken or gone, if spans are exported at all.
pub(crate) fn passed_over(site: &Site) {
    #[cfg(feature = "otlp")]
    if site.spans() && super::exporting() {
        dropped(1);
    }
    #[cfg(not(feature = "otlp"))]
    let _ = site;
}

/// Without an exporter nothing is sampled, so nothing ends here.
#[cfg(not(feature = "otlp"))]
pub(crate) fn submit(_: Finished) {}

#[cfg(feature = "otlp")]
mod exported {
    use super::Finished;
    use crate::rings::{Own, Rings};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread::Thread;

    /// Spans that a thread may finish before the collector comes by.
    const RING_SPANS: usize = 512;

    static RINGS: Rings<Ended> = Rings::new(RING_SPANS);
    static COLLECTOR: OnceLock<Thread> = OnceLock::new();
    static DROPPED: AtomicU64 = AtomicU64::new(0);

    thread_local! {
        static OWN: Own<Ended> = const { Own::new() };
    }

    /// A span that ended: one of ours, or of the OpenTelemetry API.
    #[allow(clippy::large_enum_variant, reason = "nearly all of them are the large one")]
    pub(crate) enum Ended {
        Ours(Finished),
        #[cfg(feature = "opentelemetry")]
        Api(Box<opentelemetry_sdk::trace::SpanData>),
    }

    /// Hands a span over. A full ring drops it and counts that.
    pub(crate) fn submit(span: Finished) {
        push(Ended::Ours(span));
    }

    /// As [`submit`], of a span of the OpenTelemetry API.
    #[cfg(feature = "opentelemetry")]
    pub(crate) fn submit_api(span: opentelemetry_sdk::trace::SpanData) {
        push(Ended::Api(Box::new(span)));
    }

    fn push(span: Ended) {
        let push = |own: &Own<Ended>| {
            RINGS.write(own, |ring| {
                let pushed = ring.push(span).is_ok();
                if ring.slots() == RING_SPANS / 2 {
                    wake();
                }
                pushed
            })
        };
        if !matches!(OWN.try_with(push), Ok(Some(true))) {
            dropped(1);
        }
    }

    /// Counts spans that are lost; returns how many have been.
    pub(crate) fn dropped(more: u64) -> u64 {
        DROPPED.fetch_add(more, Ordering::Relaxed) + more
    }

    /// Makes the thread the one to be woken when a ring is half full.
    pub(crate) fn collect_from(thread: Thread) -> impl FnMut(&mut Vec<Ended>) {
        let _ = COLLECTOR.set(thread);
        |spans| RINGS.read(|ring| spans.extend(std::iter::from_fn(|| ring.pop().ok())))
    }

    /// Wakes the collector.
    pub(crate) fn wake() {
        if let Some(thread) = COLLECTOR.get() {
            thread.unpark();
        }
    }
}
