//! The spans that a thread is in, innermost last, with their fields in one buffer.
//!
//! A call that begins appends a frame and its fields; what a log line needs is then one run of bytes.
//! The stack is borrowed while a user's formatter runs, so an observed function or an event inside
//! such a formatter finds it taken and is passed over, instead of recursing.

use super::failures::{Failures, Fallen};
use super::fields::Entry;
use super::identity::{Identities, Identity};
use super::notes::Notes;
use super::span::Parent;
use super::{Carried, Fields, Span};
use crate::site::Site;
use crate::trace::{self, Finished, TraceContext};
use std::cell::RefCell;
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;
use tracing_core::Metadata;

/// A span that this thread is in.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each says another thing, and none of them a state")]
pub(crate) struct Frame {
    /// Names the frame on its stack.
    pub(super) key: FrameKey,
    pub(crate) kind: FrameKind,
    pub(crate) metadata: Option<&'static Metadata<'static>>,
    /// The nearest observed function, this frame's own included.
    pub(crate) function: Option<&'static str>,
    /// The identity that log lines and children see.
    pub(crate) trace: Option<TraceContext>,
    /// Whether that is the identity of a span in another process.
    pub(crate) remote: bool,
    pub(crate) parent: Option<Parent>,
    /// What the request carries besides, if this frame brought it.
    pub(crate) carried: Option<Arc<Carried>>,
    /// Whether it is a span that is exported when it ends.
    pub(crate) exported: bool,
    /// What happened in it, for the exporter.
    pub(crate) notes: Notes,
    pub(crate) failures: Failures,
    /// The number by which `tracing` knows the span, if anybody asked for it.
    pub(crate) id: Option<NonZeroU64>,
    /// Whether it brought all it sees along. Otherwise it also sees what the frame below it sees.
    pub(super) whole: bool,
    /// The first field that is visible here.
    pub(super) base: usize,
    /// The first field that this frame brought.
    pub(super) start: usize,
    /// The first field of its own, behind those it copied from elsewhere.
    pub(super) own: usize,
    /// Whether two visible fields have the same key.
    pub(super) shadows: bool,
    /// Whether fields were recorded since it was entered.
    pub(super) recorded: bool,
    /// Makes it current for the OpenTelemetry API too, as long as the frame is there.
    #[cfg(feature = "opentelemetry")]
    api: Option<super::api::Current>,
}

/// Names a frame as long as it is on its thread's stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameKey(u64);

/// Why a frame is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// A call of an observed function.
    Observed,
    /// A span that `tracing` entered.
    Entered,
    /// A context without a span of its own.
    Scope,
}

/// The spans that a thread is in.
pub(crate) struct Stack {
    pub(super) frames: Vec<Frame>,
    last_key: u64,
    pub(super) fields: Fields,
    identities: Identities,
    /// The last call that ended without returning, see [`Stack::fell`].
    pub(super) fallen: Option<Fallen>,
    /// What the last panic said.
    pub(super) panic: Option<String>,
}

/// So many fields, and so many bytes of them, are seen at once: the innermost ones.
const MAX_VISIBLE: usize = 256;
const MAX_VISIBLE_BYTES: usize = 64 * 1024;

thread_local! {
    static STACK: RefCell<Stack> = const {
        RefCell::new(Stack {
            frames: Vec::new(),
            last_key: 0,
            fields: Fields::new(),
            identities: Identities::new(),
            fallen: None,
            panic: None,
        })
    };
}

/// Runs with this thread's stack. `None` inside a formatter that the runtime called, and while the
/// thread is torn down.
#[inline]
pub(crate) fn with_stack<R>(run: impl FnOnce(&mut Stack) -> R) -> Option<R> {
    STACK.try_with(|stack| stack.try_borrow_mut().ok().map(|mut stack| run(&mut stack))).ok().flatten()
}

impl Stack {
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

    /// Enters a call of an observed function, with its fields.
    ///
    /// On the way of nearly every call, so the frame is made in its place, in one go.
    #[inline]
    pub(crate) fn push_call(&mut self, site: &'static Site, record: impl FnOnce(&mut Fields)) -> FrameKey {
        self.go_on();
        let start = self.fields.begin_scope();
        record(&mut self.fields);
        let identity = self.identity(site.spans());
        let (base, mut shadows) = self.top().map_or((start, false), |top| (top.base, top.shadows));
        if self.fields.len() > start {
            shadows |= self.shadows(base..start, start..self.fields.len());
        }
        let key = self.next_key();
        let whole = self.frames.is_empty();
        #[cfg(feature = "opentelemetry")]
        let below = self.top().and_then(|below| below.trace);
        self.frames.push(Frame {
            key,
            kind: FrameKind::Observed,
            metadata: Some(&site.metadata),
            function: Some(site.function()),
            trace: identity.trace,
            remote: identity.remote,
            parent: identity.parent,
            carried: None,
            exported: identity.exported(),
            notes: Notes::new(),
            failures: Failures::new(),
            id: None,
            whole,
            base,
            start,
            own: start,
            shadows,
            recorded: false,
            #[cfg(feature = "opentelemetry")]
            api: None,
        });
        #[cfg(feature = "opentelemetry")]
        self.make_current(below);
        key
    }

    /// Makes a span below the innermost one, to be entered later.
    pub(crate) fn open(
        &mut self,
        metadata: &'static Metadata<'static>,
        record: impl FnOnce(&mut Fields),
    ) -> Span {
        self.go_on();
        let identity = self.identity(true);
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
        self.fields.append(&span.fields);
        let key = self.next_key();
        self.push(Frame {
            key,
            kind,
            metadata: Some(span.metadata),
            function: span.function,
            trace: span.trace,
            remote: span.remote,
            parent: span.parent,
            carried: span.carried.clone(),
            exported: span.exported,
            notes: Notes::new(),
            failures: Failures::new(),
            id: span.id,
            whole: true,
            base: start,
            start,
            own: start + span.inherited,
            shadows: span.shadows,
            recorded: false,
            #[cfg(feature = "opentelemetry")]
            api: None,
        });
        key
    }

    /// Enters an observed future's span for a poll.
    pub(crate) fn enter_poll(&mut self, span: &Span) -> FrameKey {
        self.go_on();
        self.enter(span, FrameKind::Observed)
    }

    /// A frame that sees what the innermost one sees, and has nothing of its own yet.
    pub(super) fn frame_here(&mut self, kind: FrameKind) -> Frame {
        let (start, key) = (self.fields.begin_scope(), self.next_key());
        let top = self.top();
        Frame {
            key,
            kind,
            metadata: None,
            function: top.and_then(|top| top.function),
            trace: None,
            remote: false,
            parent: None,
            carried: None,
            exported: false,
            notes: Notes::new(),
            failures: Failures::new(),
            id: None,
            whole: top.is_none(),
            base: top.map_or(start, |top| top.base),
            start,
            own: start,
            shadows: top.is_some_and(|top| top.shadows),
            recorded: false,
            #[cfg(feature = "opentelemetry")]
            api: None,
        }
    }

    fn next_key(&mut self) -> FrameKey {
        self.last_key += 1;
        FrameKey(self.last_key)
    }

    pub(super) fn push(&mut self, frame: Frame) {
        #[cfg(feature = "opentelemetry")]
        let below = self.top().and_then(|below| below.trace);
        self.frames.push(frame);
        #[cfg(feature = "opentelemetry")]
        self.make_current(below);
    }

    /// Tells the OpenTelemetry API of the innermost frame, if that brings anything new.
    #[cfg(feature = "opentelemetry")]
    fn make_current(&mut self, below: Option<TraceContext>) {
        let carried = self.carried().cloned();
        let Some(top) = self.top_mut() else { return };
        let anew = top.kind == FrameKind::Scope && top.whole;
        if top.trace != below || top.carried.is_some() || anew {
            let place = top.trace.map(|trace| (trace, top.remote));
            top.api = Some(super::api::Current::new(place, carried.as_deref(), anew));
        }
    }

    #[inline]
    pub(super) fn find(&self, key: FrameKey) -> Option<usize> {
        self.frames.iter().rposition(|frame| frame.key == key)
    }

    /// Leaves the frame of that name, wherever it is.
    pub(crate) fn pop(&mut self, key: FrameKey) -> Option<Frame> {
        Some(self.remove(self.find(key)?))
    }

    /// Leaves the frame of that name, and hands over what is exported of it.
    #[inline]
    pub(crate) fn leave(&mut self, key: FrameKey, finished: impl FnOnce(&mut Frame) -> Option<Finished>) -> bool {
        self.find(key).is_some_and(|place| self.leave_at(place, finished))
    }

    /// As [`leave`](Self::leave), unless somebody holds the span by its number.
    #[inline]
    pub(crate) fn leave_unnumbered(
        &mut self,
        key: FrameKey,
        finished: impl FnOnce(&mut Frame) -> Option<Finished>,
    ) -> bool {
        let place = self.find(key).filter(|place| self.frames[*place].id.is_none());
        place.is_some_and(|place| self.leave_at(place, finished))
    }

    #[inline]
    fn leave_at(&mut self, place: usize, finished: impl FnOnce(&mut Frame) -> Option<Finished>) -> bool {
        if self.frames[place].exported {
            self.export(place, finished);
        }
        if place + 1 == self.frames.len() {
            // As nearly always, and dropped where it is.
            let start = self.frames[place].start;
            self.frames.truncate(place);
            self.fields.truncate(start);
        } else {
            self.remove(place);
        }
        true
    }

    fn export(&mut self, place: usize, finished: impl FnOnce(&mut Frame) -> Option<Finished>) {
        let carried = self.carried().cloned();
        let Some(span) = finished(&mut self.frames[place]) else { return };
        let frame = &self.frames[place];
        let visible = self.visible_at(place);
        let own = self.end(place) - frame.own;
        trace::submit(Finished { carried, ..span }, self.fields.of_span(visible, visible.len().saturating_sub(own)));
    }

    /// Takes the frame of that name off the stack: a future that waits keeps its span.
    pub(crate) fn lift(&mut self, key: FrameKey) -> Option<Span> {
        let place = self.find(key)?;
        let mut span = self.materialize(&self.frames[place])?;
        let frame = self.remove(place);
        (span.exported, span.failures, span.notes) = (frame.exported, frame.failures, frame.notes);
        Some(span)
    }

    /// Leaves the innermost frame of that `tracing` id.
    pub(crate) fn exit(&mut self, id: NonZeroU64) -> Option<Frame> {
        let entered = |frame: &Frame| frame.id == Some(id) && frame.kind == FrameKind::Entered;
        Some(self.remove(self.frames.iter().rposition(entered)?))
    }

    fn remove(&mut self, place: usize) -> Frame {
        let (start, end) = (self.frames[place].start, self.end(place));
        let frame = self.frames.remove(place);
        if place == self.frames.len() {
            self.fields.truncate(start);
        } else {
            self.splice(start..end, &Fields::new(), place);
        }
        frame
    }

    /// The fields that are visible in a frame, outermost first.
    pub(crate) fn visible(&self, frame: &Frame) -> &[Entry] {
        self.find(frame.key).map_or(&[], |place| self.visible_at(place))
    }

    fn visible_at(&self, place: usize) -> &[Entry] {
        let (base, end) = (self.frames[place].base, self.end(place));
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
        // Whoever has the frame exports the span.
        let (trace, remote, parent) = (frame.trace, frame.remote, frame.parent);
        let mut span = Span::new(frame.metadata?, Identity { trace, remote, parent, own: false });
        let visible = self.visible(frame);
        span.inherit(&self.fields, visible, frame.shadows);
        let own = self.find(frame.key).map_or(0, |place| self.end(place) - frame.own);
        span.inherited = visible.len().saturating_sub(own);
        span.function = frame.function;
        span.carried = self.carried().cloned();
        span.id = frame.id;
        Some(span)
    }

    /// The notes of the innermost span that is exported from this stack, if there is none further in that
    /// somebody else exports.
    pub(crate) fn innermost_notes(&mut self) -> Option<&mut Notes> {
        let trace = self.top()?.trace;
        let is_it = |frame: &&mut Frame| frame.exported && frame.trace == trace;
        self.frames.iter_mut().rev().find(is_it).map(|frame| &mut frame.notes)
    }

    /// The number of the innermost span, if it has one.
    pub(crate) fn innermost_number(&self) -> Option<NonZeroU64> {
        self.top()?.id
    }

    /// What the request carries besides its place in the trace.
    pub(crate) fn carried(&self) -> Option<&Arc<Carried>> {
        for frame in self.frames.iter().rev() {
            if frame.carried.is_some() || frame.whole {
                return frame.carried.as_ref();
            }
        }
        None
    }

    /// The innermost span, and whether it is in another process.
    pub(crate) fn place(&self) -> Option<(TraceContext, bool)> {
        let place = self.top().and_then(|top| Some((top.trace?, top.remote)));
        #[cfg(feature = "opentelemetry")]
        let place = super::api::innermost(place);
        place
    }

    /// A new span's identity and its parent's; without one of its own, the parent's.
    fn identity(&mut self, own: bool) -> Identity {
        let above = self.place();
        if own { self.identity_below(above) } else { Identity::of(above) }
    }

    /// The identity of a span below one that need not be on this stack, and its parent's.
    pub(crate) fn identity_below(&mut self, above: Option<(TraceContext, bool)>) -> Identity {
        self.identities.below(above)
    }

    /// Random bytes, for ids of other kinds.
    #[cfg(feature = "http")]
    pub(crate) fn fill_random(&mut self, bytes: &mut [u8]) {
        self.identities.fill(bytes);
    }

    /// The end of the fields of the frame at that place.
    pub(super) fn end(&self, place: usize) -> usize {
        self.frames.get(place + 1).map_or(self.fields.len(), |next| next.start)
    }

    pub(super) fn shadows(&self, outer: Range<usize>, inner: Range<usize>) -> bool {
        let outer = self.fields.entries(outer);
        self.fields.entries(inner).iter().any(|entry| self.fields.shadowed(entry, &self.fields, outer))
    }
}
