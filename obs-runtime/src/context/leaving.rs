//! How frames are left.

use super::frame::{Frame, FrameKey, FrameKind};
use super::identity::Identity;
use super::stack::Stack;
use super::{Carried, FieldRuns, Fields, Notes, Span};
use std::num::NonZeroU64;
use std::sync::Arc;

/// What there is of a span that is exported, when its frame is left.
pub(crate) struct Left<'a> {
    pub(crate) identity: Identity,
    pub(crate) notes: Notes,
    pub(crate) carried: Option<&'a Arc<Carried>>,
    pub(crate) fields: FieldRuns<'a>,
}

/// What became of a frame that was to be left if it is simple.
pub(crate) enum Simple {
    /// It is left.
    Left,
    /// It is there, and has to be exported.
    Exported,
    /// It is not simple.
    Not,
}

impl Left<'_> {
    /// Whether there is nothing to say of it but its fields.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.notes.is_empty() && self.carried.is_none()
    }
}

impl Span {
    /// What there is of it, if it is exported.
    pub(crate) fn left(&mut self) -> Option<Left<'_>> {
        self.identity.exported.then(|| Left {
            identity: self.identity,
            notes: std::mem::take(&mut self.notes),
            carried: self.carried.as_ref(),
            fields: self.exported_fields(),
        })
    }
}

impl Stack {
    /// Leaves the frame of that name, wherever it is.
    pub(crate) fn pop(&mut self, key: FrameKey) -> Option<Frame> {
        Some(self.remove(self.find(key)?))
    }

    /// Leaves the frame of that name, and hands over what is exported of it.
    #[inline]
    pub(crate) fn leave(&mut self, key: FrameKey, export: impl FnOnce(Left<'_>)) -> bool {
        self.find(key).is_some_and(|place| self.leave_at(place, export))
    }

    /// As [`leave`](Self::leave), unless somebody holds the span by its number.
    #[inline]
    pub(crate) fn leave_unnumbered(&mut self, key: FrameKey, export: impl FnOnce(Left<'_>)) -> bool {
        let place = self.find(key).filter(|place| self.frames[*place].id.is_none());
        place.is_some_and(|place| self.leave_at(place, export))
    }

    /// Leaves the frame of that name if it is the innermost one, and there is nothing to say of it, as nearly always.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the end of nearly every call")]
    pub(crate) fn leave_simple(&mut self, key: FrameKey) -> Simple {
        match self.innermost_simple(key) {
            Some(frame) if !frame.identity.exported => {
                let start = frame.start;
                self.drop_simple(start);
                Simple::Left
            }
            Some(frame) if !frame.carries => Simple::Exported,
            _ => Simple::Not,
        }
    }

    /// The frame of that name, if it is the innermost one and nobody has to hear of its end but who is told of spans.
    #[inline]
    fn innermost_simple(&self, key: FrameKey) -> Option<&Frame> {
        self.frames.innermost().filter(|frame| frame.key == key && frame.is_simple())
    }

    /// Leaves that frame, whose fields begin there.
    #[inline]
    fn drop_simple(&mut self, start: u32) {
        self.frames.drop_simple();
        if self.fields.len() > start as usize {
            self.fields.truncate(start as usize);
        }
    }

    /// Hands over what is exported of the innermost frame, of which nothing else has to be said, and leaves it.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the end of nearly every call that is exported")]
    pub(crate) fn export_simple(&mut self, export: impl FnOnce(&Identity, Option<FieldRuns<'_>>)) {
        let Some(frame) = self.frames.innermost() else { return };
        let (identity, start, end) = (&frame.identity, frame.start, self.fields.len());
        let (base, own) = (frame.base as usize, frame.own as usize);
        let fields = (end > base).then(|| {
            // Nearly always none of those above are exported, and all of its own are visible.
            let alone = (base == own).then(|| self.fields.alone(own..end)).flatten();
            alone.unwrap_or_else(|| {
                let visible = self.visible_at(self.frames.len() - 1);
                self.fields.of_span(visible, visible.len().saturating_sub(end - own))
            })
        });
        export(identity, fields);
        self.drop_simple(start);
    }

    #[inline]
    fn leave_at(&mut self, place: usize, export: impl FnOnce(Left<'_>)) -> bool {
        if self.frames[place].identity.exported {
            let notes = self.frames[place].take_notes();
            let frame = &self.frames[place];
            let visible = self.visible_at(place);
            let own = self.end(place) - frame.own as usize;
            let fields = self.fields.of_span(visible, visible.len().saturating_sub(own));
            export(Left { identity: frame.identity, notes, carried: self.carried(), fields });
        }
        self.drop_at(place);
        true
    }

    /// Leaves the frame at that place.
    #[inline]
    fn drop_at(&mut self, place: usize) {
        if place + 1 == self.frames.len() {
            // As nearly always, and dropped where it is.
            let start = self.frames[place].start as usize;
            self.frames.drop_last();
            if self.fields.len() > start {
                self.fields.truncate(start);
            }
        } else {
            self.remove(place);
        }
    }

    /// Takes the frame of that name off the stack, if it has nothing to take along and there is a span to be used again:
    /// that allocates nothing.
    #[inline]
    pub(crate) fn lift_simple(&mut self, key: FrameKey) -> Option<Box<Span>> {
        let frame = self.frames.innermost().filter(|frame| frame.key == key && frame.is_simple())?;
        if frame.carries || frame.base as usize != self.fields.len() {
            return None;
        }
        let metadata = frame.metadata?;
        let mut span = self.spares.take()?;
        (span.metadata, span.function, span.identity) = (metadata, frame.function, frame.identity);
        self.frames.drop_simple();
        Some(span)
    }

    /// Takes the frame of that name off the stack: a future that waits keeps its span.
    pub(crate) fn lift(&mut self, key: FrameKey) -> Option<Box<Span>> {
        let place = self.find(key)?;
        let frame = &self.frames[place];
        let (metadata, identity) = (frame.metadata?, frame.identity);
        let mut span = self.spares.take().unwrap_or_else(|| Box::new(Span::new(metadata, identity)));
        (span.metadata, span.identity) = (metadata, identity);
        self.write_seen(place, &mut span);
        self.frames[place].give_back(&mut span);
        self.drop_at(place);
        Some(span)
    }

    /// Keeps the span of a future that has ended for the next one, unless something of it has to be dropped: that is to be
    /// done while nobody works on the stack.
    #[inline]
    pub(crate) fn keep(&mut self, span: &mut Option<Box<Span>>) {
        self.spares.keep(span);
    }

    /// Leaves the frame of a poll, with what has to go back to the future's span.
    pub(crate) fn leave_poll(&mut self, key: FrameKey, span: &mut Span) {
        if let Some(frame) = self.innermost_simple(key).filter(|frame| !frame.recorded) {
            return self.drop_simple(frame.start);
        }
        let Some(place) = self.find(key) else { return };
        let end = self.end(place);
        let frame = &mut self.frames[place];
        frame.give_back(span);
        span.id = frame.id;
        if frame.recorded {
            span.shadows = frame.shadows;
            span.fields.clear();
            let start = frame.start as usize;
            span.fields.extend(&self.fields, self.fields.entries(start..end), |_| true);
        }
        self.drop_at(place);
    }

    /// Leaves the innermost frame of that `tracing` id.
    pub(crate) fn exit(&mut self, id: NonZeroU64) -> Option<Frame> {
        let entered = |frame: &Frame| frame.id == Some(id) && frame.kind == FrameKind::Entered;
        Some(self.remove(self.frames.iter().rposition(entered)?))
    }

    fn remove(&mut self, place: usize) -> Frame {
        let (start, end) = (self.frames[place].start as usize, self.end(place));
        let frame = self.frames.remove(place);
        if place == self.frames.len() {
            self.fields.truncate(start);
        } else {
            self.splice(start..end, &Fields::new(), place);
        }
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::{Site, Spec};

    #[test]
    fn a_future_with_fields_waits_in_a_span_that_is_used_again() {
        static SITE: Site = Site::of_tests("waits", Spec::new());
        let mut stack = Stack::new();
        let mut call = Span::new(&SITE.metadata, Identity::NONE);
        call.record(|fields| fields.push_str("a", "1"));
        let mut waits = || {
            let key = stack.enter(&call, FrameKind::Observed);
            assert!(stack.lift_simple(key).is_none());
            let span = stack.lift(key).expect("it is there");
            assert_eq!(span.fields.len(), 1);
            let place = (&raw const *span).addr();
            stack.keep(&mut Some(span));
            place
        };
        assert_eq!(waits(), waits());
    }
}
