//! A frame: a span, or a context, that a thread is in.

use super::identity::Identity;
use super::{Carried, Failures, Notes, Span};
use crate::site::Site;
use std::num::NonZeroU64;
use std::sync::Arc;
use tracing_core::Metadata;

/// A span that this thread is in. Made and left by every call, so it is small, and what is rare is a box away.
#[derive(Debug)]
#[repr(align(64))]
#[allow(clippy::struct_excessive_bools, reason = "each says another thing, and none of them a state")]
pub(crate) struct Frame {
    /// The identity that log lines and children see.
    pub(crate) identity: Identity,
    /// Names the frame on its stack.
    pub(super) key: FrameKey,
    pub(crate) metadata: Option<&'static Metadata<'static>>,
    /// The nearest observed function, this frame's own included.
    pub(crate) function: Option<&'static Metadata<'static>>,
    /// The number by which `tracing` knows the span, if anybody asked for it.
    pub(crate) id: Option<NonZeroU64>,
    /// The first field that is visible here.
    pub(super) base: u32,
    /// The first field that this frame brought.
    pub(super) start: u32,
    /// The first field of its own, behind those it copied from elsewhere.
    pub(super) own: u32,
    pub(crate) kind: FrameKind,
    /// Whether it brought all it sees along. Otherwise it also sees what the frame below it sees.
    pub(super) whole: bool,
    /// Whether it, or one that it sees, has brought something that the request carries.
    pub(super) carries: bool,
    /// Whether two visible fields have the same key.
    pub(super) shadows: bool,
    /// Whether fields were recorded since it was entered.
    pub(super) recorded: bool,
    /// What most frames don't have.
    pub(super) rare: Option<Box<Rare>>,
}

/// What few frames have.
#[derive(Debug, Default)]
pub(super) struct Rare {
    /// What the request carries besides, if this frame brought it.
    pub(super) carried: Option<Arc<Carried>>,
    /// What happened in it, for the exporter.
    pub(super) notes: Notes,
    pub(super) failures: Failures,
    /// Makes it current for the OpenTelemetry API too, as long as the frame is there.
    #[cfg(feature = "opentelemetry")]
    pub(super) api: Option<super::api::Current>,
}

impl Frame {
    /// Where no frame is.
    pub(super) const BLANK: Self = Self {
        identity: Identity::NONE,
        key: FrameKey(0),
        metadata: None,
        function: None,
        id: None,
        base: 0,
        start: 0,
        own: 0,
        kind: FrameKind::Scope,
        whole: true,
        carries: false,
        shadows: false,
        recorded: false,
        rare: None,
    };

    /// Makes it that of a call, less its identity, above another one that ends where its fields begin.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the beginning of nearly every call")]
    pub(super) fn be_call(&mut self, below: &Self, site: &'static Site, key: FrameKey, start: usize) {
        self.key = key;
        self.kind = FrameKind::Observed;
        self.metadata = Some(&site.metadata);
        self.function = Some(&site.metadata);
        self.id = None;
        (self.start, self.own) = (position(start), position(start));
        (self.recorded, self.whole) = (false, false);
        (self.base, self.carries, self.shadows) = (below.base, below.carries, below.shadows);
    }

    pub(super) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Has it bring what a request carries.
    pub(super) fn carry(&mut self, carried: Arc<Carried>) {
        self.carries = true;
        self.rare().carried = Some(carried);
    }

    pub(super) fn carried(&self) -> Option<&Arc<Carried>> {
        self.rare.as_ref()?.carried.as_ref()
    }

    /// What happened in it.
    #[inline]
    pub(crate) fn take_notes(&mut self) -> Notes {
        self.rare.as_mut().map(|rare| std::mem::take(&mut rare.notes)).unwrap_or_default()
    }

    /// Hands what happened in it and below it over to its span.
    #[inline]
    pub(super) fn give_back(&mut self, span: &mut Span) {
        if let Some(rare) = &mut self.rare {
            span.failures.append(&mut rare.failures);
            span.notes.append(&mut rare.notes);
        }
    }

    /// Whether nobody has to hear of its end but who is told of spans.
    #[inline]
    pub(super) fn is_simple(&self) -> bool {
        self.id.is_none() && self.rare.is_none()
    }

    /// The failures below it.
    pub(super) fn take_failures(&mut self) -> Failures {
        self.rare.as_mut().map(|rare| std::mem::take(&mut rare.failures)).unwrap_or_default()
    }
}

/// Names a frame as long as it is on its thread's stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameKey(pub(super) u64);

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

/// A position in the fields. The limits on scopes, and the depth of a stack, keep it far below four billion.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "see above")]
pub(super) fn position(field: usize) -> u32 {
    field as u32
}

const _: () = assert!(size_of::<Frame>() == 128);
