//! What a request carries from service to service besides its place in the trace.

use crate::propagation::{Baggage, TraceState};
use crate::subscriber::Asked;
use std::sync::Arc;

/// The same for everything below the span that a request was taken in with, so it is shared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Carried {
    pub(crate) tracestate: TraceState,
    pub(crate) baggage: Baggage,
    /// The level up to which its lines are written whatever the filter says. It stays in this process.
    pub(crate) asked: Option<Arc<Asked>>,
}

impl Carried {
    pub(crate) fn is_empty(&self) -> bool {
        self.tracestate.as_str().is_empty() && self.baggage.as_str().is_empty() && self.asked.is_none()
    }
}
