//! New traces and spans: their ids, and whether they are sampled.

use crate::trace::{self, TraceContext};
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU64;
use std::time::{SystemTime, UNIX_EPOCH};

/// A place in a trace, and whether it is a span in another process.
pub(crate) type Place = (TraceContext, bool);

/// What a span is called in its trace, and what its parent is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Identity {
    /// What log lines and children see: the span's own, or the one above it where it has none.
    pub(crate) trace: Option<TraceContext>,
    /// The parent's span id.
    pub(crate) parent: Option<NonZeroU64>,
    /// Whether `trace` is a span in another process.
    pub(crate) remote: bool,
    /// Whether the parent is in another process.
    pub(crate) parent_remote: bool,
    /// Whether it is a span that is exported when it ends.
    pub(crate) exported: bool,
}

impl Identity {
    pub(super) const NONE: Self =
        Self { trace: None, parent: None, remote: false, parent_remote: false, exported: false };

    /// Of what has no identity but the one above it.
    #[inline]
    pub(super) fn of(above: Option<Place>) -> Self {
        let (trace, remote) = above.unzip();
        Self { trace, remote: remote.unwrap_or(false), ..Self::default() }
    }

    /// What children see.
    #[inline]
    pub(crate) fn place(&self) -> Option<Place> {
        Some((self.trace?, self.remote))
    }

    /// The parent's span id, and whether that is in another process.
    pub(crate) fn parent(&self) -> Option<(u64, bool)> {
        Some((self.parent?.get(), self.parent_remote))
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

    /// The identity of a span below another, which may be in another process.
    ///
    /// A span that is not exported has no id of its own: nobody will ever see it, so lines and spans further down
    /// belong to the one above.
    #[inline]
    pub(super) fn below(&mut self, above: Option<Place>) -> Identity {
        match above {
            Some((trace, false)) if trace.sampled && trace::exporting() && !self.quiet => {
                self.exported(trace, Some((trace.span_id, false)))
            }
            Some((_, false)) => Identity::of(above),
            Some((caller, true)) => self.below_caller(caller),
            None => self.root(),
        }
    }

    /// Writes the identity of a span below another one of this thread, as [`elsewhere`](Self::elsewhere) makes it. Returns
    /// whether it has: not if there is none, or it is in another process, nor if an id is wanted of a thread that is
    /// quiet or has made none yet.
    #[inline]
    pub(super) fn write_simple(&mut self, above: &Identity, own: bool, into: &mut Identity) -> bool {
        let (Some(context), false) = (&above.trace, above.remote) else { return false };
        if !context.sampled || !own || !trace::exporting() {
            into.trace = above.trace;
            into.parent = None;
            into.exported = false;
        } else if let (Some(random), false) = (&mut self.random, self.quiet) {
            let span_id = random.u64(..).max(1);
            into.trace = Some(TraceContext { span_id, ..*context });
            into.parent = NonZeroU64::new(context.span_id);
            into.exported = true;
        } else {
            return false;
        }
        (into.remote, into.parent_remote) = (false, false);
        true
    }

    /// The identity of a span below a place that may be anywhere; or, if it is to have none of its own, that place's.
    #[inline(never)]
    pub(super) fn elsewhere(&mut self, above: Option<Place>, own: bool) -> Identity {
        if own { self.below(above) } else { Identity::of(above) }
    }

    fn root(&mut self) -> Identity {
        let random = self.random();
        let (high, low) = (random.u64(..), random.u64(..));
        let trace_id = (u128::from(high) << 64 | u128::from(low)).max(1);
        let sampled = trace::sampled(trace_id, None) && !self.quiet;
        // Any number but 0 will do for a span that nobody sees.
        let trace = TraceContext { trace_id, span_id: high.max(1), sampled, random: true };
        if sampled && trace::exporting() {
            return self.exported(trace, None);
        }
        Identity::of(Some((trace, false)))
    }

    fn below_caller(&mut self, caller: TraceContext) -> Identity {
        if !trace::exporting() {
            return Identity::of(Some((caller, true)));
        }
        let sampled = trace::sampled(caller.trace_id, Some(caller.sampled)) && !self.quiet;
        if sampled {
            return self.exported(caller, Some((caller.span_id, true)));
        }
        Identity::of(Some((TraceContext { sampled, ..caller }, false)))
    }

    #[inline]
    fn exported(&mut self, of: TraceContext, parent: Option<(u64, bool)>) -> Identity {
        let span_id = self.span_id();
        let (parent, parent_remote) = parent.unwrap_or_default();
        Identity {
            trace: Some(TraceContext { span_id, sampled: true, ..of }),
            parent: NonZeroU64::new(parent),
            remote: false,
            parent_remote,
            exported: true,
        }
    }

    /// The id of a new span.
    #[inline]
    pub(super) fn span_id(&mut self) -> u64 {
        self.random().u64(..).max(1)
    }

    /// Random bytes, for ids of other kinds.
    #[cfg(feature = "http")]
    pub(super) fn fill(&mut self, bytes: &mut [u8]) {
        self.random().fill(bytes);
    }

    #[inline]
    fn random(&mut self) -> &mut fastrand::Rng {
        self.random.get_or_insert_with(seeded)
    }
}

/// Seeded by the operating system, so that processes started alike do not share ids.
#[cold]
fn seeded() -> fastrand::Rng {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    fastrand::Rng::with_seed(RandomState::new().hash_one((nanos, std::thread::current().id())))
}
