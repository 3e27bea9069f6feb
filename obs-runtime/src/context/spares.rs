//! Spans of futures that have ended, for the next that have to wait: nearly all do, and each would allocate.

use super::Span;
use super::identity::Identity;
use tracing_core::Metadata;

/// Those of one thread.
#[allow(clippy::vec_box, reason = "a span that waits is in a box, and stays in it")]
pub(super) struct Spares(Vec<Box<Span>>);

/// No more are kept, nor any with more bytes of fields.
const MOST: usize = 16;
const MOST_BYTES: usize = 1024;

impl Spares {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// A span that has nothing yet.
    pub(super) fn take(&mut self, metadata: &'static Metadata<'static>, identity: Identity) -> Box<Span> {
        let Some(mut span) = self.0.pop() else { return Box::new(Span::new(metadata, identity)) };
        (span.metadata, span.identity) = (metadata, identity);
        span
    }

    /// Keeps a span that has been exported, or is not to be.
    pub(super) fn keep(&mut self, mut span: Box<Span>) {
        if self.0.len() < MOST && span.fields.room() <= MOST_BYTES {
            span.forget();
            self.0.push(span);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::{Site, Spec};
    use std::num::NonZeroU64;

    #[test]
    fn nothing_is_left_of_the_one_before() {
        static SITE: Site = Site::of_tests("spare", Spec::new());
        let mut spares = Spares::new();
        let mut span = spares.take(&SITE.metadata, Identity::NONE);
        span.record(|fields| fields.push_str("a", "1"));
        (span.inherited, span.shadows, span.id) = (1, true, NonZeroU64::new(7));
        span.function = Some(&SITE.metadata);
        let first = &raw const *span;
        spares.keep(span);
        let span = spares.take(&SITE.metadata, Identity::NONE);
        assert_eq!(&raw const *span, first);
        assert_eq!((span.fields.len(), span.inherited, span.shadows, span.id), (0, 0, false, None));
        assert!(span.function.is_none() && span.carried.is_none());
    }

    #[test]
    fn few_are_kept_and_no_large_ones() {
        static SITE: Site = Site::of_tests("spares", Spec::new());
        let mut spares = Spares::new();
        let mut large = spares.take(&SITE.metadata, Identity::NONE);
        large.record(|fields| fields.push_str("a", &"x".repeat(2 * MOST_BYTES)));
        spares.keep(large);
        assert!(spares.0.is_empty());
        let many: Vec<_> = (0..2 * MOST).map(|_| spares.take(&SITE.metadata, Identity::NONE)).collect();
        for span in many {
            spares.keep(span);
        }
        assert_eq!(spares.0.len(), MOST);
    }
}
