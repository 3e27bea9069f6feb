//! What a request carries from service to service besides its place in the trace.

use crate::propagation::{Baggage, TraceState};

/// The same for everything below the span that a request was taken in with, so it is shared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Carried {
    pub(crate) tracestate: TraceState,
    pub(crate) baggage: Baggage,
}

impl Carried {
    pub(crate) fn is_empty(&self) -> bool {
        self.tracestate.as_str().is_empty() && self.baggage.as_str().is_empty()
    }
}
