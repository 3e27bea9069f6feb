//! The spans that a thread is in, innermost last, with their fields in one buffer.
//!
//! A call that begins appends a frame and its fields; what a log line needs is then one run of bytes.
//! The stack is borrowed while a user's formatter runs, so an observed function or an event inside
//! such a formatter finds it taken and is passed over, instead of recursing.

use super::span::Parent;
use super::{Fields, Span};
use crate::clock;
use crate::site::Site;
use crate::trace::{self, TraceContext};
use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use tracing_core::Metadata;

/// A span that this thread is in.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: FrameKind,
    pub(crate) metadata: Option<&'static Metadata<'static>>,
    /// The nearest observed function, this frame's own included.
    pub(crate) function: Option<&'static str>,
    /// The identity that log lines and children see.
    pub(crate) trace: Option<TraceContext>,
    pub(crate) parent: Option<Parent>,
    /// Texts of errors that calls below this one returned: if it returns the same, it hands one on.
    pub(crate) failures: Vec<String>,
    /// The number by which `tracing` knows the span, if anybody asked for it.
    pub(crate) id: Option<u64>,
    pub(crate) started: u64,
    /// The first field that is visible here.
    base: usize,
    /// The first field that this frame brought.
    start: usize,
    /// The first field of its own, behind those it copied from elsewhere.
    own: usize,
    /// Whether two visible fields have the same key.
    shadows: bool,
    /// Left, but not the last: it goes when those above it have.
    left: bool,
}

/// Why a frame is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// A call of an observed function.
    Observed,
    /// A span that `tracing` entered.
    Entered,
    /// A parent in another process.
    Remote,
}

/// The spans that a thread is in.
pub(crate) struct Stack {
    frames: Vec<Frame>,
    fields: Fields,
    ids: Option<fastrand::Rng>,
    /// On threads of the runtime itself: their spans are never exported, or exporting would not end.
    quiet: bool,
    /// The trace and span above the last call that was cancelled, see [`Stack::cancelled`].
    cancelled_below: Option<(u128, u64)>,
}

thread_local! {
    static STACK: RefCell<Stack> = const {
        RefCell::new(Stack {
            frames: Vec::new(),
            fields: Fields::new(),
            ids: None,
            quiet: false,
            cancelled_below: None,
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
    pub(crate) fn top(&self) -> Option<&Frame> {
        self.frames.iter().rev().find(|frame| !frame.left)
    }

    /// The frame at that place.
    pub(crate) fn frame(&self, depth: usize) -> Option<&Frame> {
        self.frames.get(depth)
    }

    /// Never samples a trace that begins on this thread.
    #[cfg(feature = "otlp")]
    pub(crate) fn set_quiet(&mut self) {
        self.quiet = true;
    }

    /// Enters a call of an observed function, with its fields. Returns the frame's place.
    pub(crate) fn push_call(&mut self, site: &'static Site, record: impl FnOnce(&mut Fields)) -> usize {
        let mut frame = self.frame_here(FrameKind::Observed);
        record(&mut self.fields);
        frame.shadows |= self.shadows(frame.base..frame.start, frame.start..self.fields.len());
        (frame.trace, frame.parent) = self.identity(site.spans());
        frame.metadata = Some(&site.metadata);
        frame.function = Some(site.function());
        frame.started = clock::now();
        self.push(frame)
    }

    /// Makes a span below the innermost one, to be entered later.
    pub(crate) fn open(
        &mut self,
        metadata: &'static Metadata<'static>,
        function: Option<&'static str>,
        identity: bool,
        record: impl FnOnce(&mut Fields),
    ) -> Span {
        let (trace, parent) = self.identity(identity);
        let mut span = Span::new(metadata, trace, parent);
        span.function = function;
        if let Some(top) = self.top() {
            span.inherit(&self.fields, self.visible(top), top.shadows);
            span.function = function.or(top.function);
        }
        span.record(record);
        span
    }

    /// Enters a span that was opened before. Returns the frame's place.
    pub(crate) fn enter(&mut self, span: &Span, kind: FrameKind) -> usize {
        let mut frame = self.frame_here(kind);
        // It brings what it inherits along.
        frame.base = frame.start;
        frame.own = frame.start + span.inherited;
        frame.shadows = span.shadows;
        frame.metadata = Some(span.metadata);
        frame.function = span.function;
        (frame.trace, frame.parent) = (span.trace, span.parent);
        frame.id = span.id;
        frame.started = span.started;
        self.fields.extend(&span.fields, span.fields.entries(0..span.fields.len()), |_| true);
        self.push(frame)
    }

    /// Enters a place that brings an identity and no fields. Returns the frame's place.
    pub(crate) fn push_scope(&mut self, trace: TraceContext, kind: FrameKind) -> usize {
        let mut frame = self.frame_here(kind);
        frame.trace = Some(trace);
        self.push(frame)
    }

    /// A frame that sees what the innermost one sees, and has nothing of its own yet.
    fn frame_here(&mut self, kind: FrameKind) -> Frame {
        if self.frames.is_empty() {
            // A formatter that panicked may have left something behind.
            self.fields.clear();
        }
        let start = self.fields.len();
        let top = self.top();
        Frame {
            kind,
            metadata: None,
            function: top.and_then(|top| top.function),
            trace: None,
            parent: None,
            failures: Vec::new(),
            id: None,
            started: 0,
            base: top.map_or(start, |top| top.base),
            start,
            own: start,
            shadows: top.is_some_and(|top| top.shadows),
            left: false,
        }
    }

    fn push(&mut self, frame: Frame) -> usize {
        self.frames.push(frame);
        self.frames.len() - 1
    }

    /// Leaves the frame at that place. Those that were entered inside it and not yet left stay.
    pub(crate) fn pop(&mut self, depth: usize) {
        if let Some(frame) = self.frames.get_mut(depth) {
            frame.left = true;
        }
        while self.frames.last().is_some_and(|last| last.left) {
            let last = self.frames.pop();
            self.fields.truncate(last.map_or(0, |last| last.start));
        }
    }

    /// Leaves the frame at that place if neither an exporter nor a handle waits for its end.
    pub(crate) fn pop_unseen(&mut self, depth: usize) -> bool {
        let unseen = self
            .frames
            .get(depth)
            .is_some_and(|frame| frame.id.is_none() && !frame.trace.is_some_and(|trace| trace.sampled));
        if unseen {
            self.pop(depth);
        }
        unseen
    }

    /// Leaves the innermost frame of that `tracing` id.
    pub(crate) fn exit(&mut self, id: u64) -> bool {
        let found = self
            .frames
            .iter()
            .rposition(|frame| frame.id == Some(id) && frame.kind == FrameKind::Entered && !frame.left);
        if let Some(depth) = found {
            self.pop(depth);
        }
        found.is_some()
    }

    /// What has to go back to a span that was entered, before its frame is left.
    pub(crate) fn give_back(&mut self, depth: usize, span: &mut Span) {
        let end = self.end(depth);
        let Some(frame) = self.frames.get_mut(depth) else { return };
        span.failures.append(&mut frame.failures);
        span.id = frame.id;
        let copied = frame.start + span.fields.len();
        if end > copied {
            // Recorded while it was entered.
            span.shadows = frame.shadows;
            let new = self.fields.entries(copied..end).to_vec();
            span.fields.extend(&self.fields, &new, |_| true);
        }
    }

    /// Adds fields to every frame of that `tracing` id.
    pub(crate) fn record(&mut self, id: u64, new: &Fields) {
        for depth in
            (0..self.frames.len()).filter(|depth| self.frames[*depth].id == Some(id)).collect::<Vec<_>>()
        {
            self.insert(depth, new);
        }
    }

    /// Puts fields behind those of the frame at `depth`, in front of those entered inside it.
    fn insert(&mut self, depth: usize, new: &Fields) {
        let at = self.end(depth);
        let mut behind = Fields::new();
        behind.extend(&self.fields, self.fields.entries(at..self.fields.len()), |_| true);
        self.fields.truncate(at);
        self.fields.extend(new, new.entries(0..new.len()), |_| true);
        let added = self.fields.len() - at;
        self.fields.extend(&behind, behind.entries(0..behind.len()), |_| true);
        for frame in &mut self.frames[depth + 1..] {
            frame.base += if frame.base >= at { added } else { 0 };
            frame.start += added;
            frame.own += added;
        }
        for depth in depth..self.frames.len() {
            let (base, end) = (self.frames[depth].base, self.end(depth));
            self.frames[depth].shadows = (base..end).any(|i| self.shadows(base..i, i..i + 1));
        }
    }

    /// The fields that are visible in a frame, outermost first.
    pub(crate) fn visible(&self, frame: &Frame) -> &[super::fields::Entry] {
        let depth = self.frames.iter().position(|other| std::ptr::eq(other, frame));
        let end = depth.map_or(self.fields.len(), |depth| self.end(depth));
        self.fields.entries(frame.base..end)
    }

    /// The fields that the call at `depth` brought itself.
    pub(crate) fn own_fields(&self, depth: usize) -> Fields {
        let mut own = Fields::new();
        if let Some(frame) = self.frames.get(depth) {
            own.extend(&self.fields, self.fields.entries(frame.own..self.end(depth)), |_| true);
        }
        own
    }

    /// Where the fields of all frames lie.
    #[cfg(feature = "log")]
    pub(crate) fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Whether two fields that are visible in the frame have the same key.
    #[cfg(feature = "log")]
    pub(crate) fn has_shadows(frame: &Frame) -> bool {
        frame.shadows
    }

    /// Tells the call that this thread is in, and the spans around it up to there, of an error below.
    pub(crate) fn note_failure(&mut self, text: &str) {
        const KEPT: usize = 4;
        for frame in self.frames.iter_mut().rev().filter(|frame| !frame.left) {
            if frame.failures.len() == KEPT {
                frame.failures.remove(0);
            }
            frame.failures.push(text.to_owned());
            if frame.kind != FrameKind::Entered {
                return;
            }
        }
    }

    /// Notes that the call at `depth` was cancelled; returns whether one directly below it just was.
    ///
    /// Futures that are dropped are not being polled, so the inner call does not find the outer one on
    /// the stack; but it is dropped right before it, on the same thread.
    pub(crate) fn cancelled(&mut self, depth: usize) -> bool {
        let Some(frame) = self.frames.get(depth) else { return false };
        let Some(trace) = frame.trace else { return false };
        let handed_on = self.cancelled_below == Some((trace.trace_id, trace.span_id));
        if let Some(parent) = frame.parent {
            self.cancelled_below = Some((trace.trace_id, parent.span_id));
        }
        handed_on
    }

    /// The innermost frame, to be given a `tracing` id.
    pub(crate) fn top_mut(&mut self) -> Option<&mut Frame> {
        self.frames.iter_mut().rev().find(|frame| !frame.left)
    }

    /// A frame as a span of its own, for others to hold.
    pub(crate) fn materialize(&self, frame: &Frame) -> Option<Span> {
        let mut span = Span::new(frame.metadata?, frame.trace, frame.parent);
        span.inherit(&self.fields, self.visible(frame), frame.shadows);
        span.inherited = frame.own - frame.base;
        span.function = frame.function;
        (span.id, span.started) = (frame.id, frame.started);
        Some(span)
    }

    /// A new span's identity and its parent's; without one of its own, the parent's.
    fn identity(&mut self, own: bool) -> (Option<TraceContext>, Option<Parent>) {
        let above = self.top().and_then(|top| Some((top.trace?, top.kind == FrameKind::Remote)));
        self.identity_below(above, own)
    }

    /// As [`identity`](Self::identity), below a span that need not be on this stack.
    pub(crate) fn identity_below(
        &mut self,
        above: Option<(TraceContext, bool)>,
        own: bool,
    ) -> (Option<TraceContext>, Option<Parent>) {
        if !own {
            return (above.map(|(trace, _)| trace), None);
        }
        let quiet = self.quiet;
        let (trace_id, decision) = match above {
            Some((trace, false)) => (trace.trace_id, Some(trace.sampled)),
            Some((trace, true)) => {
                (trace.trace_id, Some(trace::sampled(trace.trace_id, Some(trace.sampled))))
            }
            None => (self.trace_id(), None),
        };
        let sampled = !quiet && decision.unwrap_or_else(|| trace::sampled(trace_id, None));
        let parent = above.map(|(trace, remote)| Parent { span_id: trace.span_id, remote });
        (Some(TraceContext { trace_id, span_id: self.span_id(), sampled }), parent)
    }

    fn ids(&mut self) -> &mut fastrand::Rng {
        // Seeded by the operating system, so that processes started alike do not share ids.
        self.ids.get_or_insert_with(|| {
            let nanos =
                std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            fastrand::Rng::with_seed(RandomState::new().hash_one((nanos, std::thread::current().id())))
        })
    }

    fn trace_id(&mut self) -> u128 {
        self.ids().u128(1..)
    }

    fn span_id(&mut self) -> u64 {
        self.ids().u64(1..)
    }

    /// The end of the fields of the frame at `depth`.
    fn end(&self, depth: usize) -> usize {
        self.frames.get(depth + 1).map_or(self.fields.len(), |next| next.start)
    }

    fn shadows(&self, outer: Range<usize>, inner: Range<usize>) -> bool {
        let outer = self.fields.entries(outer);
        self.fields.entries(inner).iter().any(|entry| self.fields.shadowed(entry, &self.fields, outer))
    }
}
