//! Fields of a span that is entered, recorded or left while other frames stand above it.

use super::Fields;
#[cfg(feature = "layer")]
use super::frame::Frame;
use super::frame::position;
#[cfg(feature = "layer")]
use super::identity::Identity;
use super::stack::Stack;
use std::num::NonZeroU64;
use std::ops::Range;
#[cfg(feature = "layer")]
use tracing_core::Metadata;

impl Stack {
    /// Puts other fields in the place of some, and sets the frames above right.
    pub(super) fn splice(&mut self, range: Range<usize>, new: &Fields, above: usize) {
        #[cfg(feature = "log")]
        self.said.forget();
        let mut behind = Fields::new();
        behind.extend(&self.fields, self.fields.entries(range.end..self.fields.len()), |_| true);
        self.fields.truncate(range.start);
        self.fields.extend(new, new.all(), |_| true);
        let end = self.fields.len();
        self.fields.extend(&behind, behind.all(), |_| true);
        for frame in &mut self.frames[above..] {
            frame.start = position(frame.start as usize - range.end + end);
            frame.own = position(frame.own as usize - range.end + end);
        }
        for place in above.saturating_sub(1)..self.frames.len() {
            let below = place.checked_sub(1).map(|below| self.frames[below].base);
            let base = below.filter(|_| !self.frames[place].whole).unwrap_or(self.frames[place].start);
            let seen = base as usize..self.end(place);
            let shadows = seen.clone().any(|field| self.shadows(seen.start..field, field..field + 1));
            (self.frames[place].base, self.frames[place].shadows) = (base, shadows);
        }
    }

    /// Sets fields of every frame of that `tracing` id.
    pub(crate) fn record(&mut self, id: NonZeroU64, new: &Fields) {
        for place in 0..self.frames.len() {
            if self.frames[place].id == Some(id) {
                let own = self.frames[place].own as usize..self.end(place);
                let mut fields = Fields::new();
                fields.extend(&self.fields, self.fields.entries(own.clone()), |_| true);
                fields.set(new);
                self.splice(own, &fields, place + 1);
                self.frames[place].recorded = true;
            }
        }
    }

    /// Gives the innermost frame of that span its number, if it has none.
    #[cfg(feature = "layer")]
    pub(crate) fn number(
        &mut self,
        metadata: &'static Metadata<'static>,
        identity: &Identity,
        number: NonZeroU64,
    ) -> bool {
        let is_it = |frame: &&mut Frame| {
            let same = frame.metadata.is_some_and(|of| std::ptr::eq(of, metadata));
            same && frame.identity.trace == identity.trace
        };
        let frame = self.frames.iter_mut().rev().find(is_it).filter(|frame| frame.id.is_none());
        frame.map(|frame| frame.id = Some(number)).is_some()
    }
}
