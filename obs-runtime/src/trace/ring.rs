//! The way of finished spans to the exporter: bounded rings of the thread that finished them.
//!
//! Each thread has two: one of records of a fixed size, one of the bytes of fields, so that the usual span takes no
//! memory of its own. A full ring drops the span and counts that.

#[cfg(feature = "opentelemetry")]
pub(super) use exported::submit_api;
#[cfg(feature = "otlp")]
pub(crate) use exported::{Ended, SpanRing, collect_from, dropped, submit, submit_returned, wake};

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
pub(crate) fn submit_returned(_: &Returned<'_>, _: Option<FieldRuns<'_>>) {}

#[cfg(feature = "otlp")]
mod exported {
    use crate::context::{FieldRuns, Fields, Identity};
    use crate::local::{self, local};
    use crate::rings::{Lease, Rings};
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

    /// Where the spans of one thread go.
    pub(crate) type SpanRing = Lease<Write>;

    pub(crate) struct Write {
        records: Producer<Record>,
        bytes: Producer<u8>,
        /// After so many more, or later, the ring is half full of records.
        before_half: usize,
    }

    struct Read {
        records: Consumer<Record>,
        bytes: Consumer<u8>,
    }

    fn rings() -> (Write, Read) {
        let (write_records, read_records) = RingBuffer::new(RING_SPANS);
        let (write_bytes, read_bytes) = RingBuffer::new(RING_BYTES);
        (
            Write { records: write_records, bytes: write_bytes, before_half: 0 },
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
        random: bool,
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

    /// Hands the span of a call that returned over, with its fields if it has any.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "or all that is known of the span would go through memory")]
    pub(crate) fn submit_returned(call: &Returned<'_>, fields: Option<FieldRuns<'_>>) {
        let mut pushing = Pushing::begin();
        if !pushing.ring().is_some_and(|ring| ring.has_room() && push_returned(call, fields, ring)) {
            dropped(1);
        }
    }

    /// Pushes in two places, so that what is pushed in the first is written where it stays.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "see above")]
    fn push_returned(call: &Returned<'_>, fields: Option<FieldRuns<'_>>, ring: &mut Write) -> bool {
        let size = fields.as_ref().map_or(0, FieldRuns::size);
        if let (Ok(series), Ok(size)) = (u32::try_from(call.series), u16::try_from(size)) {
            if size == 0 || ring.has_room_for(size.into()) {
                if let Some(fields) = fields {
                    // There is room, so nothing is cut.
                    fields.for_each(|run| _ = ring.bytes.push_entire_slice(run));
                }
                return ring.push(Record::Short(Short::new(call, series, size)));
            }
        }
        push_boxed((*call).into(), fields.into_iter().flatten(), ring)
    }

    impl Short {
        #[inline]
        fn new(call: &Returned<'_>, series: u32, fields: u16) -> Self {
            let TraceContext { trace_id, span_id, random, .. } = *call.trace;
            #[allow(clippy::cast_possible_truncation, reason = "the low half is meant")]
            let trace_id = [(trace_id >> 64) as u64, trace_id as u64];
            Self {
                site: call.site,
                trace_id,
                span_id,
                parent: call.identity.parent,
                started: call.started,
                ended: call.ended,
                series,
                fields,
                random,
                parent_remote: call.identity.parent_remote,
            }
        }

        fn finished(&self) -> Finished {
            let [high, low] = self.trace_id.map(u128::from);
            let (trace_id, span_id) = (high << 64 | low, self.span_id);
            let trace = TraceContext { trace_id, span_id, sampled: true, random: self.random };
            let identity = Identity {
                trace: Some(trace),
                parent: self.parent,
                remote: false,
                parent_remote: self.parent_remote,
                exported: true,
            };
            let returned = Returned {
                site: self.site,
                series: self.series as usize,
                trace: &trace,
                identity: &identity,
                started: self.started,
                ended: self.ended,
            };
            returned.into()
        }
    }

    /// Hands a span over, with the runs of bytes that its fields are.
    pub(crate) fn submit<'a>(span: Finished, fields: impl Iterator<Item = &'a [u8]>) {
        push(|ring| push_boxed(span, fields, ring));
    }

    #[cold]
    #[inline(never)]
    fn push_boxed<'a>(span: Finished, fields: impl Iterator<Item = &'a [u8]>, ring: &mut Write) -> bool {
        ring.push(Record::Boxed(Box::new((span, fields.flatten().copied().collect()))))
    }

    /// As [`submit`], of a span of the OpenTelemetry API.
    #[cfg(feature = "opentelemetry")]
    pub(crate) fn submit_api(span: opentelemetry_sdk::trace::SpanData) {
        push(|ring| ring.push(Record::Api(Box::new(span))));
    }

    fn push(push: impl FnOnce(&mut Write) -> bool) {
        let mut pushing = Pushing::begin();
        if !pushing.ring().is_some_and(|ring| ring.has_room() && push(ring)) {
            dropped(1);
        }
    }

    /// This thread's ring while a span goes there. None while another does, which what it allocates by may have finished,
    /// and while the thread is torn down. Put back when this is dropped.
    struct Pushing(Option<Box<SpanRing>>);

    impl Pushing {
        #[inline]
        fn begin() -> Self {
            Self(local(|local| local.spans.take()).or_else(Self::first))
        }

        #[cold]
        #[inline(never)]
        fn first() -> Option<Box<SpanRing>> {
            // What allocates it may finish a span, and finds none.
            let first = local::lasts() && !local(|local| local.has_spans.replace(true));
            first.then(|| Box::new(RINGS.lease()))
        }

        #[inline]
        fn ring(&mut self) -> Option<&mut Write> {
            self.0.as_mut()?.ring()
        }
    }

    impl Drop for Pushing {
        #[inline]
        fn drop(&mut self) {
            if let Some(ring) = self.0.take() {
                local(|local| local.spans.put(Some(ring)));
            }
        }
    }

    impl Write {
        /// Whether there is room for a record. Asked first: bytes without a record would be taken for those of the next.
        #[inline]
        fn has_room(&mut self) -> bool {
            match self.before_half.checked_sub(1) {
                Some(before_half) => {
                    self.before_half = before_half;
                    true
                }
                None => self.has_room_now(),
            }
        }

        /// The same, with a look at how far the collector is.
        #[inline(never)]
        fn has_room_now(&mut self) -> bool {
            let slots = self.records.slots();
            if slots == RING_SPANS / 2 {
                wake();
            }
            self.before_half = slots.saturating_sub(RING_SPANS / 2 + 1);
            slots > 0
        }

        /// Whether there is room for so many bytes of fields.
        fn has_room_for(&self, bytes: usize) -> bool {
            bytes <= self.bytes.cached_slots() || bytes <= self.bytes.slots()
        }

        #[inline(always)]
        #[allow(clippy::inline_always, reason = "it is to be written where it stays")]
        fn push(&mut self, record: Record) -> bool {
            match self.records.push(record) {
                Ok(()) => true,
                Err(full) => {
                    discard(full);
                    false
                }
            }
        }
    }

    /// Drops what is rarely there, out of the way of what is.
    #[cold]
    #[inline(never)]
    fn discard<T>(_: T) {}

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
            let submit = move |ring: &mut SpanRing, started| {
                let fields = fields(started);
                let trace = TraceContext { trace_id: 1, span_id: started, sampled: true, random: true };
                let identity = Identity { trace: Some(trace), exported: true, ..Identity::default() };
                let call = Returned::of(&SITE, 0, &identity, started, started).expect("in a trace");
                let push = |write: &mut Write| {
                    let runs = fields.of_span(fields.all(), 0);
                    // Unless some is made meanwhile.
                    BOXED.fetch_or(runs.size() > write.bytes.slots(), Ordering::Relaxed);
                    push_returned(&call, Some(runs), write)
                };
                ring.ring().is_some_and(|write| write.has_room() && push(write))
            };
            explore(move || {
                let rings: &'static Rings<Write, Read> = Box::leak(Box::new(Rings::new(rings)));
                let writer = thread::spawn(move || {
                    let mut ring = rings.lease();
                    [1, 2, 3, 4].map(|started| submit(&mut ring, started))
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
