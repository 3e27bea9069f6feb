//! The spans that a thread is in, innermost last, with their fields in one buffer.
//!
//! A call that begins appends a frame and its fields; what a log line needs is then one run of bytes.

use super::failures::Fallen;
use super::fields::{Entry, MAX_VISIBLE, MAX_VISIBLE_BYTES};
use super::frame::{Frame, FrameKey, FrameKind, position};
use super::frames::Frames;
use super::identity::{Identities, Identity, Place};
use super::notes::Notes;
#[cfg(feature = "log")]
use super::said::Said;
use super::spares::Spares;
use super::values::Keyed;
use super::{Carried, Fields, Span};
use crate::site::Site;
use crate::trace::{self, TraceContext};
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;
use tracing_core::Metadata;
use tracing_core::field::Value;

/// The spans that a thread is in.
pub(crate) struct Stack {
    pub(super) frames: Frames,
    last_key: u64,
    pub(super) fields: Fields,
    identities: Identities,
    /// What came to an end without returning, if anything did of late.
    pub(super) fallen: Option<Box<Fallen>>,
    pub(super) spares: Spares,
    #[cfg(feature = "log")]
    pub(super) said: Said,
}

impl Stack {
    pub(super) fn new() -> Self {
        Self {
            frames: Frames::new(),
            last_key: 0,
            fields: Fields::new(),
            identities: Identities::new(),
            fallen: None,
            spares: Spares::new(),
            #[cfg(feature = "log")]
            said: Said::new(),
        }
    }

    /// The innermost frame.
    #[inline]
    pub(crate) fn top(&self) -> Option<&Frame> {
        self.frames.last()
    }

    /// The innermost frame, to be given a `tracing` id.
    pub(crate) fn top_mut(&mut self) -> Option<&mut Frame> {
        self.frames.last_mut()
    }

    /// The frame of that name.
    pub(crate) fn frame(&self, key: FrameKey) -> Option<&Frame> {
        Some(&self.frames[self.find(key)?])
    }

    /// Never samples a trace on this thread, and logs nothing but the runtime's own lines.
    #[cfg(feature = "otlp")]
    pub(crate) fn set_quiet(&mut self) {
        self.identities.quiet = true;
    }

    #[cfg(feature = "log")]
    pub(crate) fn is_quiet(&self) -> bool {
        self.identities.quiet
    }

    /// Enters a call of an observed function without fields, if that takes nothing that would have to be called.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the beginning of nearly every call")]
    pub(crate) fn push_simple_call(&mut self, site: &'static Site) -> Option<FrameKey> {
        // Otherwise it may be a span of the API that is innermost.
        if cfg!(feature = "opentelemetry") || self.fallen.is_some() {
            return None;
        }
        let (start, key) = (self.fields.len(), FrameKey(self.last_key + 1));
        let (below, frame) = self.frames.next()?;
        if !self.identities.write_simple(&below.identity, site.spans(), &mut frame.identity) {
            return None;
        }
        frame.be_call(below, site, key, start);
        self.last_key = key.0;
        self.frames.take_next();
        Some(key)
    }

    /// Enters a call of an observed function, with its fields.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the beginning of every call with fields")]
    pub(crate) fn push_call(&mut self, site: &'static Site, values: &[&dyn Value]) -> FrameKey {
        self.go_on();
        let start = self.fields.len();
        if !values.is_empty() {
            self.record_call(site, values);
        }
        #[cfg(feature = "opentelemetry")]
        let (outer, place) = (self.top().and_then(|below| below.identity.trace), self.place());
        self.last_key += 1;
        let (key, Self { frames, identities, .. }) = (FrameKey(self.last_key), &mut *self);
        let (below, frame) = frames.push();
        frame.be_call(below, site, key, start);
        // It may be a span of the API that is innermost.
        #[cfg(feature = "opentelemetry")]
        let simple = false;
        #[cfg(not(feature = "opentelemetry"))]
        let (place, simple) = (
            below.identity.place(),
            identities.write_simple(&below.identity, site.spans(), &mut frame.identity),
        );
        if !simple {
            frame.identity = identities.elsewhere(place, site.spans());
        }
        if !values.is_empty() {
            self.find_shadows(start);
        }
        #[cfg(feature = "opentelemetry")]
        self.make_current(outer);
        key
    }

    /// Appends the fields of a call that is about to be entered.
    #[inline(never)]
    fn record_call(&mut self, site: &'static Site, values: &[&dyn Value]) {
        self.fields.begin_scope();
        let mut keyed = Keyed { fields: &mut self.fields, key: "" };
        let keys = site.keys.iter().zip(site.metadata.fields().iter());
        for ((key, field), value) in keys.zip(values) {
            keyed.key = key;
            value.record(&field, &mut keyed);
        }
    }

    /// Finds out whether the fields of the innermost frame, which begin there, have keys of those that it sees.
    #[inline(never)]
    fn find_shadows(&mut self, start: usize) {
        let base = self.top().map_or(start, |top| top.base as usize);
        if base == start {
            return;
        }
        let shadows = self.shadows(base..start, start..self.fields.len());
        self.top_mut().into_iter().for_each(|top| top.shadows |= shadows);
    }

    /// Makes a span below the innermost one, to be entered later.
    pub(crate) fn open(
        &mut self,
        metadata: &'static Metadata<'static>,
        record: impl FnOnce(&mut Fields),
    ) -> Span {
        self.go_on();
        let identity = self.identity_below(self.place());
        let mut span = Span::new(metadata, identity);
        span.carried = self.carried().cloned();
        if let Some(top) = self.top() {
            span.inherit(&self.fields, self.visible(top), top.shadows);
            span.function = top.function;
        }
        span.record(record);
        span
    }

    /// Enters a span that was opened before, with all that it sees.
    pub(crate) fn enter(&mut self, span: &Span, kind: FrameKind) -> FrameKey {
        let start = self.fields.begin_scope();
        self.fields.append(&span.fields, span.fields.all());
        #[cfg(feature = "opentelemetry")]
        let below = self.top().and_then(|below| below.identity.trace);
        self.last_key += 1;
        let key = FrameKey(self.last_key);
        let (_, frame) = self.frames.push();
        frame.identity = span.identity;
        frame.key = key;
        frame.kind = kind;
        frame.metadata = Some(span.metadata);
        frame.function = span.function;
        frame.id = span.id;
        (frame.start, frame.base) = (position(start), position(start));
        frame.own = position(start + span.inherited);
        (frame.whole, frame.shadows) = (true, span.shadows);
        (frame.carries, frame.recorded) = (false, false);
        if let Some(carried) = &span.carried {
            frame.carry(Arc::clone(carried));
        }
        #[cfg(feature = "opentelemetry")]
        self.make_current(below);
        key
    }

    /// Enters an observed future's span for a poll.
    pub(crate) fn enter_poll(&mut self, span: &Span) -> FrameKey {
        self.go_on();
        self.enter(span, FrameKind::Observed)
    }

    /// A frame whose fields begin there, that sees what the innermost one sees, and has nothing of its own yet.
    #[inline]
    pub(super) fn frame_at(&mut self, start: usize, kind: FrameKind, identity: Identity) -> Frame {
        self.last_key += 1;
        let start = position(start);
        let (base, whole, carries, shadows, function) =
            self.top().map_or((start, true, false, false, None), |top| {
                (top.base, false, top.carries, top.shadows, top.function)
            });
        Frame {
            identity,
            key: FrameKey(self.last_key),
            metadata: None,
            function,
            id: None,
            base,
            start,
            own: start,
            kind,
            whole,
            carries,
            shadows,
            recorded: false,
            rare: None,
        }
    }

    #[inline]
    pub(super) fn push(&mut self, frame: Frame) -> FrameKey {
        let key = frame.key;
        #[cfg(feature = "opentelemetry")]
        let below = self.top().and_then(|below| below.identity.trace);
        *self.frames.push().1 = frame;
        #[cfg(feature = "opentelemetry")]
        self.make_current(below);
        key
    }

    /// Tells the OpenTelemetry API of the innermost frame, if that brings anything new.
    #[cfg(feature = "opentelemetry")]
    fn make_current(&mut self, below: Option<TraceContext>) {
        let carried = self.carried().cloned();
        let Some(top) = self.top_mut() else { return };
        let anew = top.kind == FrameKind::Scope && top.whole;
        if top.identity.trace != below || top.carried().is_some() || anew {
            let place = top.identity.place();
            top.rare().api = Some(super::api::Current::new(place, carried.as_deref(), anew));
        }
    }

    #[inline]
    pub(super) fn find(&self, key: FrameKey) -> Option<usize> {
        self.frames.iter().rposition(|frame| frame.key == key)
    }

    /// The fields that are visible in a frame, outermost first.
    pub(crate) fn visible(&self, frame: &Frame) -> &[Entry] {
        self.find(frame.key).map_or(&[], |place| self.visible_at(place))
    }

    pub(super) fn visible_at(&self, place: usize) -> &[Entry] {
        let (base, end) = (self.frames[place].base as usize, self.end(place));
        let mut visible = self.fields.entries(base.max(end.saturating_sub(MAX_VISIBLE))..end);
        while self.fields.bytes_of(visible).len() > MAX_VISIBLE_BYTES {
            visible = &visible[1..];
        }
        visible
    }

    /// Where the fields of all frames lie.
    pub(crate) fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Whether two fields that are visible in the frame have the same key.
    #[cfg(feature = "log")]
    pub(crate) fn has_shadows(frame: &Frame) -> bool {
        frame.shadows
    }

    /// A frame as a span of its own, for others to hold.
    pub(crate) fn materialize(&self, frame: &Frame) -> Option<Span> {
        let mut span = Span::new(frame.metadata?, Identity::NONE);
        self.write_span(frame, &mut span);
        Some(span)
    }

    /// Has a span, which is new, be a frame's, for others to hold.
    pub(crate) fn write_span<'a>(&self, frame: &Frame, span: &'a mut Span) -> &'a mut Span {
        // Whoever has the frame exports the span.
        span.identity = Identity { exported: false, ..frame.identity };
        if let Some(place) = self.find(frame.key) {
            self.write_seen(place, span);
        }
        span
    }

    /// Has a span, which is new, see what the frame at that place sees.
    pub(super) fn write_seen(&self, place: usize, span: &mut Span) {
        let (frame, visible) = (&self.frames[place], self.visible_at(place));
        if !visible.is_empty() {
            span.inherit(&self.fields, visible, frame.shadows);
            let own = self.end(place) - frame.own as usize;
            span.inherited = visible.len().saturating_sub(own);
        }
        span.function = frame.function;
        span.carried = self.carried().cloned();
        span.id = frame.id;
    }

    /// The notes of the innermost span that is exported from this stack, if there is none further in that
    /// somebody else exports.
    pub(crate) fn innermost_notes(&mut self) -> Option<&mut Notes> {
        let trace = self.top()?.identity.trace;
        let is_it = |frame: &&mut Frame| frame.identity.exported && frame.identity.trace == trace;
        self.frames.iter_mut().rev().find(is_it).map(|frame| &mut frame.rare().notes)
    }

    /// The number of the innermost span, if it has one.
    pub(crate) fn innermost_number(&self) -> Option<NonZeroU64> {
        self.top()?.id
    }

    /// What the request carries besides its place in the trace.
    pub(crate) fn carried(&self) -> Option<&Arc<Carried>> {
        self.carried_at(self.frames.len().checked_sub(1)?)
    }

    /// The same inside of the frame at that place.
    pub(super) fn carried_at(&self, place: usize) -> Option<&Arc<Carried>> {
        let below = self.frames.iter().take(place + 1);
        for frame in below.rev().take_while(|frame| frame.carries) {
            if frame.carried().is_some() || frame.whole {
                return frame.carried();
            }
        }
        None
    }

    /// The innermost span, and whether it is in another process.
    #[inline]
    pub(crate) fn place(&self) -> Option<Place> {
        let place = self.top().and_then(|top| top.identity.place());
        #[cfg(feature = "opentelemetry")]
        let place = super::api::innermost(place);
        place
    }

    /// The place that an outgoing request names as its parent.
    ///
    /// A span that is not exported has no id of its own. The specification has each request name a parent of its own,
    /// so it gets a new one for each. A caller's place is passed on as it is, as long as there is no span below it.
    pub(crate) fn place_to_send(&mut self) -> Option<TraceContext> {
        let (trace, remote) = self.place()?;
        let is_span = |frame: &Frame| frame.kind != FrameKind::Scope;
        let mut of_trace = self.frames.iter().rev().take_while(|frame| frame.identity.trace == Some(trace));
        let is_exported = trace.sampled && trace::exporting();
        if is_exported || (remote && !of_trace.any(is_span)) {
            return Some(trace);
        }
        Some(TraceContext { span_id: self.identities.span_id(), ..trace })
    }

    /// The identity of a span below one that need not be on this stack, and its parent's.
    pub(crate) fn identity_below(&mut self, above: Option<Place>) -> Identity {
        self.identities.below(above)
    }

    /// Random bytes, for ids of other kinds.
    #[cfg(feature = "http")]
    pub(crate) fn fill_random(&mut self, bytes: &mut [u8]) {
        self.identities.fill(bytes);
    }

    /// The end of the fields of the frame at that place.
    pub(super) fn end(&self, place: usize) -> usize {
        self.frames.get(place + 1).map_or(self.fields.len(), |next| next.start as usize)
    }

    pub(super) fn shadows(&self, outer: Range<usize>, inner: Range<usize>) -> bool {
        let outer = self.fields.entries(outer);
        self.fields.entries(inner).iter().any(|entry| self.fields.shadowed(entry, &self.fields, outer))
    }
}
