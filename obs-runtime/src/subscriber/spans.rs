//! Spans that `tracing` knows by number: its own, and those of observed calls that somebody asked for.
//!
//! A number can be forged, used after its span closed, or closed twice: the slab checks each one's
//! generation, and whoever holds a span's data keeps it alive, so the worst is a span that is missed. Generations
//! repeat after half a million uses of one place: a number that old may be taken for that of a newer span.

use super::span_directives;
use crate::clock;
use crate::context::{Fields, FrameKey, FrameKind, Notes, Span, Stack, with_stack};
use crate::trace::{self, Finished, TraceContext};
use sharded_slab::{Clear, Config, Pool};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use tracing_core::Metadata;
use tracing_core::span::{Attributes, Id, Record};

static SPANS: LazyLock<Pool<Slot, SlabConfig>> = LazyLock::new(Pool::new_with_config);

/// As the slab's own, with more threads and as many fewer spans on each.
struct SlabConfig;

impl Config for SlabConfig {
    const MAX_THREADS: usize = 1 << 14;
    const MAX_PAGES: usize = 24;
}

/// Threads that have opened spans and not ended. The slab has places for so many and panics beyond.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static PLACE: Place = Place(THREADS.fetch_add(1, Ordering::Relaxed));
}

/// A thread's place in the slab.
struct Place(usize);

impl Drop for Place {
    fn drop(&mut self) {
        THREADS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether this thread may use the slab. Some places stay free for threads that are just ending.
fn has_place() -> bool {
    PLACE.try_with(|place| place.0 < SlabConfig::MAX_THREADS / 2).unwrap_or(false)
}

/// What a span gets for a number when the slab is full or the stack is taken: it is not tracked.
const UNTRACKED: NonZeroU64 = NonZeroU64::MAX;

#[derive(Debug, Default)]
struct Slot {
    span: Option<Span>,
    /// Fields recorded after it opened.
    recorded: Mutex<Fields>,
    /// What happened in it on threads that have left it, or was said of it from elsewhere.
    notes: Mutex<Notes>,
    handles: AtomicUsize,
    /// When it opened, in ticks.
    opened: u64,
    /// An observed call exports its span itself.
    observed: bool,
}

impl Clear for Slot {
    fn clear(&mut self) {
        self.span = None;
        self.recorded.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        *self.notes.get_mut().unwrap_or_else(PoisonError::into_inner) = Notes::new();
    }
}

impl Slot {
    fn recorded(&self) -> MutexGuard<'_, Fields> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key of a number that may be anything.
fn key(id: NonZeroU64) -> Option<usize> {
    usize::try_from(id.get() - 1).ok()
}

/// Gives a span a number. `write` puts it where it stays: it is large.
fn insert(observed: bool, write: impl FnOnce(&mut Option<Span>) -> &mut Span) -> Option<NonZeroU64> {
    if !has_place() {
        return None;
    }
    let mut slot = SPANS.create()?;
    let id = NonZeroU64::MIN.saturating_add(slot.key() as u64);
    write(&mut slot.span).id = Some(id);
    slot.handles = AtomicUsize::new(1);
    slot.opened = clock::now();
    slot.observed = observed;
    Some(id)
}

/// Gives the innermost span of a stack a number.
fn insert_innermost(stack: &Stack) -> Option<NonZeroU64> {
    let top = stack.top()?;
    let metadata = top.metadata?;
    insert(true, |span| stack.write_span(top, span.insert(Span::new(metadata, top.identity))))
}

/// Opens a span of plain `tracing`, below the one of that number if it names one.
pub(super) fn open(attributes: &Attributes<'_>, parent: Option<NonZeroU64>) -> NonZeroU64 {
    let metadata = attributes.metadata();
    let record = |fields: &mut Fields| attributes.record(fields);
    let span = if attributes.is_contextual() {
        with_stack(|stack| stack.open(metadata, record))
    } else {
        open_below(parent, metadata, record)
    };
    let mut span = span;
    if span_directives::any() {
        span.iter_mut().for_each(span_directives::compare_span);
    }
    let sampled = span.as_ref().is_none_or(|span| span.identity.exported);
    let id = span.and_then(|span| insert(false, |place| place.insert(span)));
    if id.is_none() && sampled {
        trace::missed();
    }
    id.unwrap_or(UNTRACKED)
}

/// The innermost span of this thread, an observed call's, for those who will know it by number alone.
#[cfg(feature = "layer")]
pub(super) fn show() -> NonZeroU64 {
    with_stack(|stack| insert_innermost(stack)).flatten().unwrap_or(UNTRACKED)
}

/// Has the frame of an observed call know its number, if it is on this thread: something is recorded by that.
#[cfg(feature = "layer")]
pub(super) fn adopt(number: NonZeroU64) {
    let Some(slot) = key(number).and_then(|key| SPANS.get(key)).filter(|slot| slot.observed) else { return };
    let Some(span) = &slot.span else { return };
    let adopted = with_stack(|stack| stack.number(span.metadata, &span.identity, number));
    if adopted == Some(true) {
        slot.handles.fetch_add(1, Ordering::Relaxed);
    }
}

/// Opens a span below one that the caller names, or at the root of a trace.
fn open_below(
    parent: Option<NonZeroU64>,
    metadata: &'static Metadata<'static>,
    record: impl FnOnce(&mut Fields),
) -> Option<Span> {
    let above = parent.and_then(key).and_then(|key| SPANS.get(key));
    let above = above.as_ref().and_then(|slot| Some((slot.span.as_ref()?, slot.recorded())));
    let trace = above.as_ref().and_then(|(span, _)| span.identity.place());
    let identity = with_stack(|stack| stack.identity_below(trace))?;
    let mut span = Span::new(metadata, identity);
    if let Some((above, recorded)) = &above {
        span.inherit(&above.fields, above.fields.all(), above.shadows);
        span.inherit(recorded, recorded.all(), recorded.len() > 0);
        span.function = above.function;
        span.carried.clone_from(&above.carried);
    }
    drop(above);
    span.record(record);
    Some(span)
}

/// Runs with a span that is to be entered.
pub(super) fn with<R>(id: NonZeroU64, run: impl FnOnce(&Span) -> R) -> Option<R> {
    let slot = SPANS.get(key(id)?)?;
    let span = slot.span.as_ref()?;
    let recorded = slot.recorded();
    if recorded.len() == 0 {
        drop(recorded);
        return Some(run(span));
    }
    let mut complete = span.copied();
    complete.set(&recorded);
    drop(recorded);
    if span_directives::any() {
        // Whoever asks for the level inside of it does not enter it.
        span_directives::compare_span(&mut complete);
    }
    Some(run(&complete))
}

/// Enters a span on this thread, until its frame is popped.
pub(crate) fn enter(id: NonZeroU64) -> Option<FrameKey> {
    let frame = with(id, |span| with_stack(|stack| stack.enter(span, FrameKind::Entered))).flatten();
    if span_directives::any() {
        frame.into_iter().for_each(span_directives::compare_frame);
    }
    frame
}

/// Adds fields to a span, and to the lines of this thread if it is in that span.
pub(super) fn record(id: NonZeroU64, values: &Record<'_>) {
    let Some(slot) = key(id).and_then(|key| SPANS.get(key)) else { return };
    let mut fields = Fields::new();
    // A formatter of a value may look for the span that it is in: the stack is not taken yet.
    values.record(&mut fields);
    slot.recorded().set(&fields);
    with_stack(|stack| stack.record(id, &fields));
    if span_directives::any() {
        span_directives::compare_numbered(id);
    }
}

/// Leaves a span on this thread, and takes from there what happened in it.
pub(super) fn exit(id: NonZeroU64) {
    let left = with_stack(|stack| stack.exit(id)).flatten();
    let mut notes = left.map(|mut frame| frame.take_notes()).unwrap_or_default();
    if !notes.is_empty() {
        append_notes(id, &mut notes);
    }
}

/// Notes something of a span by its number.
pub(crate) fn append_notes(id: NonZeroU64, notes: &mut Notes) {
    if let Some(slot) = key(id).and_then(|key| SPANS.get(key)) {
        slot.notes().append(notes);
    }
}

/// What was noted of a span by its number since it opened.
pub(crate) fn take_notes(id: NonZeroU64) -> Notes {
    let slot = key(id).and_then(|key| SPANS.get(key));
    slot.map(|slot| std::mem::take(&mut *slot.notes())).unwrap_or_default()
}

/// The place of a span in its trace.
pub(super) fn trace_of(id: NonZeroU64) -> Option<TraceContext> {
    SPANS.get(key(id)?)?.span.as_ref()?.identity.trace
}

/// Runs with the place of a span in its trace, if it is known.
pub(crate) fn link_to(id: &Id, link: impl FnOnce(TraceContext)) {
    if let Some(trace) = trace_of(id.into_non_zero_u64()) {
        link(trace);
    }
}

/// Counts one more handle.
pub(crate) fn retain(id: NonZeroU64) {
    if let Some(slot) = key(id).and_then(|key| SPANS.get(key)) {
        slot.handles.fetch_add(1, Ordering::Relaxed);
    }
}

/// Gives a handle back; with the last one, the span ends.
pub(super) fn close(id: NonZeroU64) -> bool {
    let Some(key) = key(id) else { return false };
    let Some(slot) = SPANS.get(key) else { return false };
    let before =
        slot.handles.fetch_update(Ordering::AcqRel, Ordering::Acquire, |handles| handles.checked_sub(1));
    if before != Ok(1) {
        return false;
    }
    if !slot.observed {
        export(&slot);
    }
    SPANS.clear(key);
    true
}

/// The fields that were recorded by number since the span opened.
pub(crate) fn recorded(id: NonZeroU64) -> Option<Fields> {
    let recorded = SPANS.get(key(id)?)?.recorded().clone();
    (recorded.len() > 0).then_some(recorded)
}

/// Gives back the handle of an observed call that ends.
pub(crate) fn release(id: NonZeroU64) {
    close(id);
}

/// The innermost span of this thread, given a number if it has none.
pub(super) fn current() -> Option<(Id, &'static Metadata<'static>)> {
    with_stack(|stack| {
        let top = stack.top()?;
        let metadata = top.metadata?;
        if let Some(id) = top.id {
            return Some((Id::from_non_zero_u64(id), metadata));
        }
        let id = insert_innermost(stack)?;
        stack.top_mut()?.id = Some(id);
        Some((Id::from_non_zero_u64(id), metadata))
    })
    .flatten()
}

fn export(slot: &Slot) {
    let Some(span) = &slot.span else { return };
    let Some(trace) = span.identity.trace.filter(|_| span.identity.exported) else { return };
    let recorded = slot.recorded();
    let finished = Finished {
        metadata: span.metadata,
        call: None,
        trace,
        parent: span.identity.parent(),
        started: slot.opened,
        ended: clock::now(),
        outcome: "",
        notes: std::mem::take(&mut *slot.notes()),
        carried: span.carried.clone(),
        rest: None,
    };
    trace::submit(finished, span.exported_fields().chain([recorded.bytes_of(recorded.all())]));
}
