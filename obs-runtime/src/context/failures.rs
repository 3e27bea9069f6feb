//! Errors that calls below have returned and logged: who returns the same one hands it on, and need
//! not log it again.

use super::frame::{FrameKey, FrameKind};
use super::stack::Stack;
use crate::site::level_number;
use tracing_core::Level;

/// The last few failures below a call. Most have none, so they are a box away.
#[derive(Clone, Debug, Default)]
#[allow(clippy::box_collection, reason = "a vector is three words, and this one is usually not there")]
pub(crate) struct Failures(Option<Box<Vec<Failure>>>);

#[derive(Clone, Debug)]
pub(crate) struct Failure {
    text: String,
    /// The level of the line in which it was written, as a number; more severe is less.
    written: u8,
}

/// Calls that are awaited at once may fail together; a loop that goes on after failures forgets.
const KEPT: usize = 4;

impl Failure {
    /// A failure whose line was written at that level.
    pub(crate) fn new(text: &str, written: Level) -> Self {
        Self { text: text.to_owned(), written: level_number(written) }
    }
}

impl Failures {
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn note(&mut self, failure: Failure) {
        let kept = self.0.get_or_insert_default();
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push(failure);
    }

    pub(crate) fn append(&mut self, other: &mut Self) {
        for failure in other.0.take().into_iter().flat_map(|kept| *kept) {
            self.note(failure);
        }
    }

    /// The failure below that this text hands on, if that one's line was at least as severe.
    ///
    /// The same text, or one that ends in it as a source does: `reading the order: connection refused`.
    pub(crate) fn handed_on(&self, text: &str, level: Level) -> Option<Failure> {
        let same = |below: &&Failure| {
            text.strip_suffix(below.text.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with(": "))
        };
        self.severe(level).find(same).cloned()
    }

    /// The last failure below whose line was at least as severe.
    pub(crate) fn any(&self, level: Level) -> Option<Failure> {
        self.severe(level).next().cloned()
    }

    /// Those whose line was at least as severe, the last first.
    fn severe(&self, level: Level) -> impl Iterator<Item = &Failure> {
        self.0
            .iter()
            .flat_map(|kept| kept.iter().rev())
            .filter(move |below| below.written <= level_number(level))
    }
}

/// What came to an end without returning.
#[derive(Default)]
pub(super) struct Fallen {
    /// The last call that did, see [`Stack::fell`].
    call: Option<FallenCall>,
    /// What the last panic said.
    panic: Option<String>,
}

/// A call that ended without returning.
struct FallenCall {
    /// The trace and span that it was below.
    below: (u128, u64),
    reason: String,
}

impl Stack {
    /// The failures below a frame.
    pub(crate) fn take_failures(&mut self, key: FrameKey) -> Failures {
        self.find(key).map(|place| self.frames[place].take_failures()).unwrap_or_default()
    }

    /// Tells the call that this thread is in, and the spans between, of a failure below.
    pub(crate) fn note_failure(&mut self, failure: &Failure) {
        for frame in self.frames.iter_mut().rev() {
            frame.rare().failures.note(failure.clone());
            if frame.kind == FrameKind::Observed {
                return;
            }
        }
    }

    /// Notes that the call was cancelled or unwound, and whether a line said so; returns whether one
    /// directly below it just was, for the same reason, and had its line.
    ///
    /// Futures that are dropped are not being polled, so the inner call does not find the outer one on
    /// the stack; but it is dropped right before it, on the same thread.
    pub(crate) fn fell(&mut self, key: FrameKey, reason: &str, written: bool) -> bool {
        let Some(frame) = self.frame(key) else { return false };
        let (Some(trace), parent) = (frame.identity.trace, frame.identity.parent()) else { return false };
        let here = (trace.trace_id, trace.span_id);
        let same = |fallen: &FallenCall| fallen.below == here && fallen.reason == reason;
        let fallen = self.fallen.get_or_insert_default();
        let handed_on = fallen.call.as_ref().is_some_and(same);
        fallen.call = (handed_on || written).then(|| {
            // Without a span of its own, a call is where its parent is.
            let below = parent.map_or(here, |parent| (trace.trace_id, parent.0));
            FallenCall { below, reason: reason.to_owned() }
        });
        handed_on
    }

    /// Something begins: what fell before has been dealt with.
    #[inline]
    pub(super) fn go_on(&mut self) {
        if self.fallen.is_some() {
            self.forget_fallen();
        }
    }

    #[cold]
    fn forget_fallen(&mut self) {
        self.fallen = None;
    }

    pub(crate) fn set_panic(&mut self, text: String) {
        self.fallen.get_or_insert_default().panic = Some(text);
    }

    pub(crate) fn panic(&self) -> Option<String> {
        self.fallen.as_ref()?.panic.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_failure_that_was_written_is_handed_on() {
        let mut failures = Failures::new();
        failures.note(Failure::new("io", Level::ERROR));
        failures.note(Failure::new("not so bad", Level::WARN));
        let handed_on = |text, level| failures.handed_on(text, level).is_some();
        assert!(handed_on("io", Level::ERROR));
        assert!(handed_on("reading: io", Level::WARN));
        assert!(!handed_on("subscription", Level::ERROR), "contains it, but is something else");
        assert!(!handed_on("radio", Level::ERROR));
        assert!(!handed_on("io: disk full", Level::ERROR));
        assert!(handed_on("not so bad", Level::WARN));
        assert!(!handed_on("not so bad", Level::ERROR), "whoever watches ERROR has not seen it");
    }

    #[test]
    fn few_are_kept() {
        let mut failures = Failures::new();
        for number in 0..100 {
            failures.note(Failure::new(&number.to_string(), Level::ERROR));
        }
        assert_eq!(failures.0.as_ref().map(|kept| kept.len()), Some(KEPT));
        assert!(failures.handed_on("99", Level::ERROR).is_some());
    }
}
