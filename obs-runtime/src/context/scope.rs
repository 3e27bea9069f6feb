//! Contexts on the stack: fields, or a caller's place, or all that another thread was in, brought here
//! without a span.

use super::frame::{FrameKey, FrameKind};
use super::identity::Identity;
use super::stack::Stack;
use super::{Carried, Fields, Span};
use crate::propagation::TraceState;
use crate::trace::TraceContext;
use std::num::NonZeroU64;
use std::sync::Arc;
use tracing_core::subscriber::Interest;
use tracing_core::{Callsite, Kind, Level, Metadata, metadata};

/// Gives contexts metadata, so that `Span::current()` has something to hold on to inside one.
struct ContextCallsite;

static CALLSITE: ContextCallsite = ContextCallsite;
static METADATA: Metadata<'static> = metadata! {
    name: "context",
    target: "obs_runtime",
    level: Level::ERROR,
    fields: &[],
    callsite: &CALLSITE,
    kind: Kind::SPAN
};

impl Callsite for ContextCallsite {
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        &METADATA
    }
}

impl Span {
    /// A context with fields, and a caller's place in a trace.
    pub(crate) fn context(trace: Option<TraceContext>, record: impl FnOnce(&mut Fields)) -> Self {
        let identity = Identity { trace, remote: trace.is_some(), ..Identity::default() };
        let mut span = Self::new(&METADATA, identity);
        span.record(record);
        span.fields.share();
        span
    }

    /// Adds to what is carried.
    pub(crate) fn carry(&mut self, change: impl FnOnce(&mut Carried)) {
        let carried = self.carried.get_or_insert_default();
        change(Arc::make_mut(carried));
    }
}

/// What directives of the filter are compared with, and where their answer goes.
impl Stack {
    /// The place of the frame of that name.
    pub(crate) fn place_of(&self, key: FrameKey) -> Option<usize> {
        self.find(key)
    }

    /// The places of the frames of that `tracing` id.
    pub(crate) fn places_of(&self, id: NonZeroU64) -> Vec<usize> {
        (0..self.frames.len()).filter(|place| self.frames[*place].id == Some(id)).collect()
    }

    /// The metadata of the frame at that place.
    pub(crate) fn metadata_at(&self, place: usize) -> Option<&'static Metadata<'static>> {
        self.frames[place].metadata
    }

    /// The value, as JSON, that is visible in the frame at that place under a key, which is JSON without quotes.
    pub(crate) fn value_at(&self, place: usize, key: &[u8]) -> Option<&[u8]> {
        let entry = self.visible_at(place).iter().rev().find(|entry| self.fields.key(entry) == key)?;
        Some(self.fields.value(entry))
    }

    /// The level that is asked for inside of the frame at that place.
    pub(crate) fn asked_at(&self, place: usize) -> Option<Level> {
        self.carried_at(place)?.asked.as_ref()?.level()
    }

    /// Changes what is carried inside of the frame at that place.
    pub(crate) fn carry_at(&mut self, place: usize, change: impl FnOnce(&mut Carried)) {
        let mut carried = self.carried_at(place).map(|carried| Carried::clone(carried)).unwrap_or_default();
        change(&mut carried);
        self.frames[place].carry(Arc::new(carried));
        // Those that see this one see what it carries.
        for above in place + 1..self.frames.len() {
            if self.frames[above].whole {
                break;
            }
            self.frames[above].carries = true;
        }
    }
}

impl Stack {
    /// All that this thread is in, for other threads and later.
    pub(crate) fn capture(&self) -> Option<Span> {
        let mut span = match self.top() {
            Some(top) => self.materialize(top)?,
            None => Span::context(None, |_| ()),
        };
        span.identity = Identity::of(self.place());
        span.inherited = span.fields.len();
        Some(span)
    }

    /// Enters a context. One that is `whole` hides what this thread is in; another adds to it.
    pub(crate) fn enter_context(&mut self, context: &Span, whole: bool) -> FrameKey {
        if whole {
            return self.enter(context, FrameKind::Scope);
        }
        let start = self.fields.begin_scope();
        self.fields.append(&context.fields, context.fields.all());
        let identity = match context.identity.trace {
            Some(_) => context.identity,
            None => Identity::of(self.top().and_then(|top| top.identity.place())),
        };
        let mut frame = self.frame_at(start, FrameKind::Scope, identity);
        frame.shadows |=
            context.shadows || self.shadows(frame.base as usize..start, start..self.fields.len());
        frame.metadata = Some(context.metadata);
        if let Some(carried) = self.carried_in(context) {
            frame.carry(carried);
        }
        self.push(frame)
    }

    /// What a request carries inside a context that adds to where this thread is, if it is something else than here.
    fn carried_in(&self, context: &Span) -> Option<Arc<Carried>> {
        match &context.carried {
            None if context.identity.trace.is_none() => None,
            // Another trace has no part in the state of this one.
            None => {
                let here = self.carried().map(|here| Carried::clone(here)).unwrap_or_default();
                Some(Arc::new(Carried { tracestate: TraceState::default(), ..here }))
            }
            Some(own) => {
                let asked =
                    self.carried().and_then(|here| here.asked.as_ref()).filter(|_| own.asked.is_none());
                Some(asked.map_or_else(
                    || Arc::clone(own),
                    |asked| Arc::new(Carried { asked: Some(Arc::clone(asked)), ..Carried::clone(own) }),
                ))
            }
        }
    }
}
