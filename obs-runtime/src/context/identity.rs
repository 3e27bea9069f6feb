//! New traces and spans: their ids, and whether they are sampled.

use super::span::Parent;
use crate::trace::{self, TraceContext};
use std::hash::{BuildHasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

/// What a span is called in its trace, and what its parent is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) trace: Option<TraceContext>,
    /// Whether that is a span in another process.
    pub(crate) remote: bool,
    pub(crate) parent: Option<Parent>,
    /// Whether it is the span's own, and not the one above it.
    pub(crate) own: bool,
}

impl Identity {
    /// Of what has no identity but the one above it.
    pub(super) fn of(above: Option<(TraceContext, bool)>) -> Self {
        let (trace, remote) = above.unzip();
        Self { trace, remote: remote.unwrap_or(false), parent: None, own: false }
    }

    /// Whether a span of this identity is exported when it ends.
    pub(super) fn exported(&self) -> bool {
        self.own && trace::exporting() && self.trace.is_some_and(|trace| trace.sampled)
    }
}

/// Makes ids for the spans of one thread.
pub(crate) struct Identities {
    random: Option<fastrand::Rng>,
    /// On threads of the runtime itself: their spans are never exported, or exporting would not end.
    pub(super) quiet: bool,
}

impl Identities {
    pub(super) const fn new() -> Self {
        Self { random: None, quiet: false }
    }

    /// The identity of a span below another, which may be in another process, and its parent's.
    pub(super) fn below(&mut self, above: Option<(TraceContext, bool)>) -> Identity {
        if let Some((_, true)) = above
            && !trace::exporting()
        {
            // Nobody will ever see a span of ours: those further down belong below the caller's.
            return Identity::of(above);
        }
        let (trace_id, sampled) = match above {
            Some((trace, false)) => (trace.trace_id, trace.sampled),
            Some((trace, true)) => (trace.trace_id, trace::sampled(trace.trace_id, Some(trace.sampled))),
            None => {
                let random = self.random();
                let trace_id = (u128::from(random.u64(..)) << 64 | u128::from(random.u64(..))).max(1);
                (trace_id, trace::sampled(trace_id, None))
            }
        };
        let parent = above.map(|(trace, remote)| Parent { span_id: trace.span_id, remote });
        let span_id = self.random().u64(..).max(1);
        let trace = TraceContext { trace_id, span_id, sampled: sampled && !self.quiet };
        Identity { trace: Some(trace), remote: false, parent, own: true }
    }

    /// Random bytes, for ids of other kinds.
    #[cfg(feature = "http")]
    pub(super) fn fill(&mut self, bytes: &mut [u8]) {
        self.random().fill(bytes);
    }

    fn random(&mut self) -> &mut fastrand::Rng {
        // Seeded by the operating system, so that processes started alike do not share ids.
        self.random.get_or_insert_with(|| {
            let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            fastrand::Rng::with_seed(RandomState::new().hash_one((nanos, std::thread::current().id())))
        })
    }
}
