//! The way of finished spans to the exporter: buffers of the thread that finished them.
//!
//! Each thread has two rings: one of records of a fixed size, one of the bytes of fields, so that the usual span takes
//! no memory of its own. A burst that fills them goes on in chunks of memory, see [`overflow`](crate::overflow). A
//! buffer at its limit drops the span and counts that; its last sixteenth takes only the spans by which a trace enters
//! the process, because these end last.

#[cfg(feature = "opentelemetry")]
pub(super) use exported::submit_api;
#[cfg(feature = "otlp")]
pub(crate) use exported::{Ended, SpanReader, SpanRing, submit, submit_returned, waiting, wake};

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
        exported::drop_one();
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
    use crate::export::delivery::{Reason, Signal};
    use crate::local::{self, local};
    use crate::overflow::{Kept, Overflow, Room};
    use crate::rings::{Lease, Rings};
    use crate::shared::{Producer, RingBuffer, size};
    use crate::site::{Site, SpanKind};
    use crate::trace::{Finished, Returned, TraceContext};
    use std::iter;
    use std::num::NonZeroU64;
    use std::sync::{Arc, OnceLock};
    use std::thread::Thread;

    /// Spans that a thread may finish before the collector comes by.
    const RING_SPANS: usize = size(512, 2);

    /// Bytes of their fields. Those of a span that finds no room here go in a box.
    const RING_BYTES: usize = size(64 * 1024, 36);

    static RINGS: Rings<Write, Read> = Rings::new(rings);
    static COLLECTOR: OnceLock<Thread> = OnceLock::new();

    mod read;

    use read::Read;
    pub(crate) use read::{SpanReader, waiting};

    /// Where the spans of one thread go.
    pub(crate) type SpanRing = Lease<Write>;

    pub(crate) struct Write {
        records: Producer<Record>,
        bytes: Producer<u8>,
        /// After so many more, or later, the ring is half full of records.
        before_half: usize,
        /// Whether records go to the overflow, until the reader has taken all of it.
        spilling: bool,
        overflow: Arc<Overflow<Record>>,
    }

    fn rings() -> (Write, Read) {
        let (write_records, read_records) = RingBuffer::new(RING_SPANS);
        let (write_bytes, read_bytes) = RingBuffer::new(RING_BYTES);
        let overflow = Arc::new(Overflow::new());
        let write = Write {
            records: write_records,
            bytes: write_bytes,
            before_half: 0,
            spilling: false,
            overflow: Arc::clone(&overflow),
        };
        (write, Read { records: read_records, bytes: read_bytes, overflow, chunk: None, due: 0 })
    }

    /// What is in the ring. One cache line each, for the collector takes them from another core.
    #[allow(clippy::large_enum_variant, reason = "nearly all of them are the large one")]
    enum Record {
        Short(Short),
        Boxed(Box<[(Finished, Vec<u8>); 1]>),
        #[cfg(feature = "opentelemetry")]
        Api(Box<[opentelemetry_sdk::trace::SpanData; 1]>),
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

    impl Record {
        /// Bytes that it counts for in the overflow.
        fn charge(&self) -> usize {
            size_of::<Self>()
                + match self {
                    Self::Short(span) => span.fields.into(),
                    Self::Boxed(boxed) => size_of_val(&**boxed) + boxed[0].1.len(),
                    #[cfg(feature = "opentelemetry")]
                    Self::Api(boxed) => size_of_val(&**boxed),
                }
        }

        /// Whether the trace enters the process by this span: a local root, or a server's or consumer's.
        fn enters(&self) -> bool {
            let by_kind = |site: &Site| matches!(site.spec.kind, SpanKind::Server | SpanKind::Consumer);
            match self {
                Self::Short(span) => span.parent.is_none() || span.parent_remote || by_kind(span.site),
                Self::Boxed(boxed) => {
                    let span = &boxed[0].0;
                    span.parent.is_none_or(|(_, remote)| remote)
                        || span.call.is_some_and(|(site, _)| by_kind(site))
                }
                #[cfg(feature = "opentelemetry")]
                Self::Api(boxed) => {
                    use opentelemetry::trace::{SpanId, SpanKind};
                    let span = &boxed[0];
                    let by_kind = matches!(span.span_kind, SpanKind::Server | SpanKind::Consumer);
                    span.parent_span_id == SpanId::INVALID || span.parent_span_is_remote || by_kind
                }
            }
        }
    }

    /// A span that ended: one of ours, with its fields, or of the OpenTelemetry API.
    #[allow(clippy::large_enum_variant, reason = "nearly all of them are the large one")]
    pub(crate) enum Ended {
        Ours(Finished, Fields),
        #[cfg(feature = "opentelemetry")]
        Api(opentelemetry_sdk::trace::SpanData),
    }

    /// Hands the span of a call that returned over, with its fields if it has any.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "or all that is known of the span would go through memory")]
    pub(crate) fn submit_returned(call: &Returned<'_>, fields: Option<FieldRuns<'_>>) {
        let mut pushing = Pushing::begin();
        let Some(ring) = pushing.ring() else { return drop_one() };
        let kept = if ring.has_room() {
            push_returned(call, fields, ring)
        } else {
            spill_returned(*call, fields, ring)
        };
        if !kept {
            drop_one();
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

    /// The same, while the ring is full.
    #[cold]
    #[inline(never)]
    fn spill_returned(call: Returned<'_>, fields: Option<FieldRuns<'_>>, ring: &mut Write) -> bool {
        let size = fields.as_ref().map_or(0, FieldRuns::size);
        let runs = fields.into_iter().flatten();
        match (u32::try_from(call.series), u16::try_from(size)) {
            (Ok(series), Ok(fields)) => {
                ring.spill(Record::Short(Short::new(&call, series, fields)), size, runs)
            }
            _ => push_boxed(call.into(), runs, ring),
        }
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
        let mut bytes = Vec::new();
        for run in fields {
            if bytes.try_reserve(run.len()).is_err() {
                return false;
            }
            bytes.extend_from_slice(run);
        }
        boxed((span, bytes)).is_some_and(|boxed| ring.push_or_spill(Record::Boxed(boxed)))
    }

    /// A box of one value, if there is memory for it.
    fn boxed<T>(value: T) -> Option<Box<[T; 1]>> {
        let mut one = Vec::new();
        one.try_reserve_exact(1).ok()?;
        one.push(value);
        one.into_boxed_slice().try_into().ok()
    }

    /// As [`submit`], of a span of the OpenTelemetry API.
    #[cfg(feature = "opentelemetry")]
    pub(crate) fn submit_api(span: opentelemetry_sdk::trace::SpanData) {
        push(|ring| boxed(span).is_some_and(|boxed| ring.push_or_spill(Record::Api(boxed))));
    }

    fn push(push: impl FnOnce(&mut Write) -> bool) {
        let mut pushing = Pushing::begin();
        if !pushing.ring().is_some_and(push) {
            drop_one();
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
            if self.spilling && !self.overflow.is_empty() {
                return false;
            }
            let slots = self.records.slots();
            if slots == RING_SPANS / 2 {
                wake();
            }
            self.before_half = slots.saturating_sub(RING_SPANS / 2 + 1);
            self.spilling = slots == 0;
            slots > 0
        }

        /// Pushes a record that brings its fields along.
        fn push_or_spill(&mut self, record: Record) -> bool {
            if self.has_room() { self.push(record) } else { self.spill(record, 0, iter::empty()) }
        }

        /// Appends a record to the overflow, with `size` bytes of fields.
        #[cold]
        #[inline(never)]
        fn spill<'a>(&mut self, record: Record, size: usize, fields: impl Iterator<Item = &'a [u8]>) -> bool {
            let room = Room::beside(RING_SPANS);
            let room = if record.enters() { room } else { room.without_reserve() };
            let kept = self.overflow.push(room, record.charge(), size, fields, |_| record);
            if kept == Kept::InNewChunk {
                wake();
            }
            kept != Kept::No
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

    /// Counts a span for which the thread's buffer has no room.
    #[cold]
    #[inline(never)]
    pub(super) fn drop_one() {
        Signal::Traces.dropped(Reason::Buffer, 1);
    }

    /// Wakes the collector.
    pub(crate) fn wake() {
        if let Some(thread) = COLLECTOR.get() {
            thread.unpark();
        }
    }

    #[cfg(all(test, obs_loom))]
    mod models;
}
