//! Spans of futures that have ended, for the next that have to wait: nearly all do, and each would allocate.

use super::Span;

/// Those of one thread.
#[allow(clippy::vec_box, reason = "a span that waits is in a box, and stays in it")]
pub(super) struct Spares(Vec<Box<Span>>);

/// No more are kept, nor any with more bytes of fields.
const MOST: usize = 16;
const MOST_BYTES: usize = 1024;

impl Spares {
    pub(super) fn new() -> Self {
        Self(Vec::with_capacity(MOST))
    }

    /// A span that has nothing yet but what it had for metadata and identity.
    #[inline]
    pub(super) fn take(&mut self) -> Option<Box<Span>> {
        self.0.pop()
    }

    /// Keeps a span that has been exported, or is not to be, if that neither allocates nor frees anything.
    #[inline]
    pub(super) fn keep(&mut self, span: &mut Option<Box<Span>>) {
        if self.0.len() >= MOST {
            return;
        }
        if let Some(mut kept) = span.take_if(|span| span.is_bare() && span.fields.room() <= MOST_BYTES) {
            kept.clear();
            self.0.push(kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::identity::Identity;
    use crate::site::{Site, Spec};
    use std::num::NonZeroU64;

    fn new(site: &'static Site) -> Box<Span> {
        Box::new(Span::new(&site.metadata, Identity::NONE))
    }

    #[test]
    fn nothing_is_left_of_the_one_before() {
        static SITE: Site = Site::of_tests("spare", Spec::new());
        let mut spares = Spares::new();
        assert!(spares.take().is_none());
        let mut span = new(&SITE);
        span.record(|fields| fields.push_str("a", "1"));
        (span.inherited, span.shadows, span.id) = (1, true, NonZeroU64::new(7));
        span.function = Some(&SITE.metadata);
        let first = &raw const *span;
        let mut left = Some(span);
        spares.keep(&mut left);
        left.as_mut().expect("it has a number").forget();
        spares.keep(&mut left);
        assert!(left.is_none());
        let span = spares.take().expect("it was kept");
        assert_eq!(&raw const *span, first);
        assert_eq!((span.fields.len(), span.inherited, span.shadows, span.id), (0, 0, false, None));
        assert!(span.function.is_none() && span.carried.is_none());
    }

    #[test]
    fn few_are_kept_and_no_large_ones() {
        static SITE: Site = Site::of_tests("spares", Spec::new());
        let mut spares = Spares::new();
        let mut large = Some(new(&SITE));
        large.as_mut().expect("new").record(|fields| fields.push_str("a", &"x".repeat(2 * MOST_BYTES)));
        spares.keep(&mut large);
        assert!(large.is_some() && spares.0.is_empty());
        let room = spares.0.capacity();
        for _ in 0..2 * MOST {
            spares.keep(&mut Some(new(&SITE)));
        }
        assert_eq!((spares.0.len(), spares.0.capacity()), (MOST, room));
    }
}
