//! What every line says of where its thread is: put together once for all lines of a frame.

use super::frame::FrameKey;
#[cfg(feature = "opentelemetry")]
use super::identity::Place;
use super::stack::Stack;

/// What the last line of this thread has said.
pub(super) struct Said {
    /// The frame that was the innermost one.
    frame: FrameKey,
    /// The span that was, which may be one of the API.
    #[cfg(feature = "opentelemetry")]
    place: Option<Place>,
    text: Vec<u8>,
    /// Whose fields have none of the keys in there, by an address.
    apart: usize,
}

/// Where there is no frame.
const OUTSIDE: FrameKey = FrameKey(0);
/// Before there was any line.
const NOWHERE: FrameKey = FrameKey(u64::MAX);

impl Said {
    pub(super) const fn new() -> Self {
        Self {
            frame: NOWHERE,
            #[cfg(feature = "opentelemetry")]
            place: None,
            text: Vec::new(),
            apart: 0,
        }
    }

    /// The fields of frames that are still there are others now.
    pub(super) fn forget(&mut self) {
        self.frame = NOWHERE;
    }
}

impl Stack {
    /// What a line says of where this thread is, as `write` puts it together; `None` if that is not
    /// [apart](Self::is_apart).
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "every line of an event runs it")]
    pub(crate) fn said(
        &mut self,
        callsite: usize,
        has: impl Fn(&[u8]) -> bool,
        write: impl FnOnce(&Self, &mut Vec<u8>),
    ) -> Option<&[u8]> {
        if !self.is_apart(callsite, has) {
            return None;
        }
        if self.said.text.is_empty() {
            let mut text = std::mem::take(&mut self.said.text);
            write(self, &mut text);
            self.said.text = text;
        }
        Some(&self.said.text)
    }

    /// Whether none of the fields that are visible here has a key of those of an event's callsite, which has that address:
    /// `has` says of a key whether it is one.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "every line of an event runs it twice")]
    pub(crate) fn is_apart(&mut self, callsite: usize, has: impl Fn(&[u8]) -> bool) -> bool {
        self.see();
        if self.said.apart != callsite {
            let visible = self.top().map(|top| self.visible(top)).unwrap_or_default();
            if visible.iter().any(|entry| has(self.fields().key(entry))) {
                return false;
            }
            self.said.apart = callsite;
        }
        true
    }

    /// Forgets what was said elsewhere.
    #[inline]
    fn see(&mut self) {
        let frame = self.top().map_or(OUTSIDE, |top| top.key);
        #[cfg(feature = "opentelemetry")]
        let (place, here) = (self.place(), &mut self.said);
        #[cfg(feature = "opentelemetry")]
        if std::mem::replace(&mut here.place, place) != place {
            here.forget();
        }
        if self.said.frame != frame {
            self.said.frame = frame;
            self.said.text.clear();
            self.said.apart = 0;
        }
    }
}
