//! The way of finished spans to the exporter: bounded rings of the thread that finished them.
//!
//! Each thread has two: one of records of a fixed size, one of the bytes of fields, so that the usual span takes no
//! memory of its own. A full ring drops the span and counts that.

#[cfg(feature = "opentelemetry")]
pub(super) use exported::submit_api;
#[cfg(feature = "otlp")]
pub(crate) use exported::{Ended, collect_from, dropped, submit, submit_returned, wake};

#[cfg(not(feature = "otlp"))]
use super::{Finished, Returned};
#[cfg(not(feature = "otlp"))]
use crate::context::FieldRuns;
use crate::site::Site;

/// Counts a span that found its thread's stack taken or gone, if spans are exported at all.
pub(crate) fn passed_over(site: &Site) {
    if site.spans() {
        missed();
    }
}

/// Counts a span that nobody can keep, if spans are exported at all.
#[cold]
pub(crate) fn missed() {
    #[cfg(feature = "otlp")]
    if super::exporting() {
        dropped(1);
    }
}

/// Without an exporter nothing is exported.
#[cfg(not(feature = "otlp"))]
pub(crate) fn submit<'a>(_: Finished, _: impl Iterator<Item = &'a [u8]>) {}

#[cfg(not(feature = "otlp"))]
pub(crate) fn submit_returned(_: Returned, _: FieldRuns<'_>) {}

#[cfg(feature = "otlp")]
mod exported {
    use crate::context::{FieldRuns, Fields};
    use crate::rings::{Own, Rings};
    use crate::shared::{Consumer, Producer, RingBuffer, size};
    use crate::site::Site;
    use crate::trace::{Finished, Returned, TraceContext};
    use std::num::NonZeroU64;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread::Thread;

    /// Spans that a thread may finish before the collector comes by.
    const RING_SPANS: usize = size(512, 2);

    /// Bytes of their fields. Those of a span that finds no room here go in a box.
    const RING_BYTES: usize = size(64 * 1024, 36);

    static RINGS: Rings<Write, Read> = Rings::new(rings);
    static COLLECTOR: OnceLock<Thread> = OnceLock::new();
    static DROPPED: AtomicU64 = AtomicU64::new(0);

    thread_local! {
        static OWN: Own<Write> = const { Own::new() };
    }

    struct Write {
        records: Producer<Record>,
        bytes: Producer<u8>,
    }

    struct Read {
        records: Consumer<Record>,
        bytes: Consumer<u8>,
    }

    fn rings() -> (Write, Read) {
        let (write_records, read_records) = RingBuffer::new(RING_SPANS);
        let (write_bytes, read_bytes) = RingBuffer::new(RING_BYTES);
        (
            Write { records: write_records, bytes: write_bytes },
            Read { records: read_records, bytes: read_bytes },
        )
    }

    /// What is in the ring. One cache line each, for the collector takes them from another core.
    #[allow(clippy::large_enum_variant, reason = "nearly all of them are the large one")]
    enum Record {
        Short(Short),
        Boxed(Box<(Finished, Vec<u8>)>),
        #[cfg(feature = "opentelemetry")]
        Api(Box<opentelemetry_sdk::trace::SpanData>),
    }

    /// A call that returned, see [`Returned`].
    #[repr(align(64))]
    struct Short {
        site: &'static Site,
        trace_id: [u64; 2],
        span_id: u64,
        parent: Option<NonZeroU64>,
        started: u64,
        ended: u64,
        series: u32,
        /// So many bytes in the other ring are its fields.
        fields: u16,
        parent_remote: bool,
    }

    const _: () = assert!(size_of::<Record>() == 64);

    /// A span that ended: one of ours, with its fields, or of the OpenTelemetry API.
    #[allow(clippy::large_enum_variant, reason = "nearly all of them are the large one")]
    pub(crate) enum Ended {
        Ours(Finished, Fields),
        #[cfg(feature = "opentelemetry")]
        Api(Box<opentelemetry_sdk::trace::SpanData>),
    }

    /// Hands the span of a call that returned over, with its fields.
    #[inline]
    pub(crate) fn submit_returned(call: Returned, runs: FieldRuns<'_>) {
        push(|write| push_returned(call, runs, write));
    }

    /// Pushes in two places, so that what is pushed in the first is written where it stays.
    #[inline]
    fn push_returned(call: Returned, runs: FieldRuns<'_>, Write { records, bytes }: &mut Write) -> bool {
        let size = runs.size();
        if let (Ok(series), Ok(fields)) = (u32::try_from(call.series), u16::try_from(size))
            && (size <= bytes.cached_slots() || size <= bytes.slots())
        {
            // There is room, so nothing is cut.
            runs.for_each(|run| _ = bytes.push_entire_slice(run));
            return records.push(Record::Short(Short::new(&call, series, fields))).is_ok();
        }
        push_boxed(call.into(), runs, records)
    }

    impl Short {
        #[inline]
        fn new(call: &Returned, series: u32, fields: u16) -> Self {
            let TraceContext { trace_id, span_id, .. } = call.trace;
            let (parent, parent_remote) = call.parent.unwrap_or_default();
            #[allow(clippy::cast_possible_truncation, reason = "the low half is meant")]
            let trace_id = [(trace_id >> 64) as u64, trace_id as u64];
            Self {
                site: call.site,
                trace_id,
                span_id,
                parent: NonZeroU64::new(parent),
                started: call.started,
                ended: call.ended,
                series,
                fields,
                parent_remote,
            }
        }

        fn finished(&self) -> Finished {
            let [high, low] = self.trace_id.map(u128::from);
            let returned = Returned {
                site: self.site,
                series: self.series as usize,
                trace: TraceContext { trace_id: high << 64 | low, span_id: self.span_id, sampled: true },
                parent: self.parent.map(|parent| (parent.get(), self.parent_remote)),
                started: self.started,
                ended: self.ended,
            };
            returned.into()
        }
    }

    /// Hands a span over, with the runs of bytes that its fields are.
    pub(crate) fn submit<'a>(span: Finished, fields: impl Iterator<Item = &'a [u8]>) {
        push(|Write { records, .. }| push_boxed(span, fields, records));
    }

    #[cold]
    #[inline(never)]
    fn push_boxed<'a>(
        span: Finished,
        fields: impl Iterator<Item = &'a [u8]>,
        records: &mut Producer<Record>,
    ) -> bool {
        records.push(Record::Boxed(Box::new((span, fields.flatten().copied().collect())))).is_ok()
    }

    /// As [`submit`], of a span of the OpenTelemetry API.
    #[cfg(feature = "opentelemetry")]
    pub(crate) fn submit_api(span: opentelemetry_sdk::trace::SpanData) {
        push(|Write { records, .. }| records.push(Record::Api(Box::new(span))).is_ok());
    }

    #[inline]
    fn push(push: impl FnOnce(&mut Write) -> bool) {
        if !matches!(OWN.try_with(|own| push_to(&RINGS, own, push)), Ok(Some(true))) {
            dropped(1);
        }
    }

    #[inline]
    fn push_to(
        rings: &'static Rings<Write, Read>,
        own: &Own<Write>,
        push: impl FnOnce(&mut Write) -> bool,
    ) -> Option<bool> {
        rings.write(own, |write| {
            // As far as is known without a look at what the collector writes.
            let mut slots = write.records.cached_slots();
            if slots <= RING_SPANS / 2 {
                slots = write.records.slots();
                if slots == RING_SPANS / 2 {
                    wake();
                }
            }
            // Asked first: bytes without a record would be taken for those of the next.
            slots > 0 && push(write)
        })
    }

    /// Counts spans that are lost; returns how many have been.
    pub(crate) fn dropped(more: u64) -> u64 {
        DROPPED.fetch_add(more, Ordering::Relaxed) + more
    }

    /// Makes the thread the one to be woken when a ring is half full.
    pub(crate) fn collect_from(thread: Thread) -> impl FnMut(&mut Vec<Ended>) {
        let _ = COLLECTOR.set(thread);
        |spans| take(&RINGS, spans)
    }

    fn take(rings: &Rings<Write, Read>, spans: &mut Vec<Ended>) {
        rings.read(|Read { records, bytes }| {
            spans.extend(std::iter::from_fn(|| records.pop().ok()).map(|record| taken(record, bytes)));
        });
    }

    fn taken(record: Record, ring: &mut Consumer<u8>) -> Ended {
        match record {
            Record::Short(span) => {
                let mut bytes = vec![0; usize::from(span.fields)];
                // They were there before the record was.
                let _ = ring.pop_entire_slice(&mut bytes);
                Ended::Ours(span.finished(), Fields::from_bytes(bytes))
            }
            Record::Boxed(boxed) => {
                let (span, bytes) = *boxed;
                Ended::Ours(span, Fields::from_bytes(bytes))
            }
            #[cfg(feature = "opentelemetry")]
            Record::Api(span) => Ended::Api(span),
        }
    }

    /// Wakes the collector.
    pub(crate) fn wake() {
        if let Some(thread) = COLLECTOR.get() {
            thread.unpark();
        }
    }

    #[cfg(all(test, obs_loom))]
    mod models {
        use super::*;
        use crate::shared::explore;
        use crate::site::Spec;
        use loom::thread;
        use std::sync::atomic::AtomicBool;

        /// The fields of a call that began at that tick: of another length for each, so that there is room for any
        /// three, but not always for the last.
        fn fields(started: u64) -> Fields {
            let (mut fields, lengths) = (Fields::new(), [1, 4, 9, 12]);
            fields.push_str("f", &"x".repeat(lengths[usize::try_from(started - 1).expect("few")]));
            fields
        }

        #[test]
        fn a_span_has_its_own_fields_however_full_the_rings_are() {
            static DROPPED: AtomicBool = AtomicBool::new(false);
            static ALL_KEPT: AtomicBool = AtomicBool::new(false);
            static BOXED: AtomicBool = AtomicBool::new(false);
            static SITE: Site = Site::of_tests("modelled", Spec::new());
            let submit = move |rings, own: &Own<Write>, started| {
                let fields = fields(started);
                let trace = TraceContext { trace_id: 1, span_id: started, sampled: true };
                let call = Returned { site: &SITE, series: 0, trace, parent: None, started, ended: started };
                let push = |write: &mut Write| {
                    let runs = fields.of_span(fields.all(), 0);
                    // Unless some is made meanwhile.
                    BOXED.fetch_or(runs.size() > write.bytes.slots(), Ordering::Relaxed);
                    push_returned(call, runs, write)
                };
                push_to(rings, own, push) == Some(true)
            };
            explore(move || {
                let rings: &'static Rings<Write, Read> = Box::leak(Box::new(Rings::new(rings)));
                let writer = thread::spawn(move || {
                    let own = Own::new();
                    [1, 2, 3, 4].map(|started| submit(rings, &own, started))
                });
                let mut spans = Vec::new();
                take(rings, &mut spans);
                take(rings, &mut spans);
                let kept = writer.join().expect("no panic");
                take(rings, &mut spans);
                let started = spans.into_iter().map(|span| {
                    let (span, taken) = match span {
                        Ended::Ours(span, fields) => (span, fields),
                        #[cfg(feature = "opentelemetry")]
                        Ended::Api(_) => unreachable!("none was submitted"),
                    };
                    let expected = fields(span.started);
                    assert_eq!(taken.bytes_of(taken.all()), expected.bytes_of(expected.all()));
                    span.started
                });
                let expected = (1..).zip(kept).filter_map(|(started, kept)| kept.then_some(started));
                assert_eq!(started.collect::<Vec<u64>>(), expected.collect::<Vec<u64>>());
                if kept == [true; 4] { &ALL_KEPT } else { &DROPPED }.store(true, Ordering::Relaxed);
            });
            assert!([&DROPPED, &ALL_KEPT, &BOXED].iter().all(|seen| seen.load(Ordering::Relaxed)));
        }
    }
}
