//! A finished span: all that an exporter wants to know.

use crate::context::{Carried, Identity, Notes};
use crate::site::Site;
use crate::trace::TraceContext;
use std::sync::Arc;
use tracing_core::Metadata;

/// A span that ended.
pub(crate) struct Finished {
    pub(crate) metadata: &'static Metadata<'static>,
    /// The observed function, and the series its call was counted in.
    pub(crate) call: Option<(&'static Site, usize)>,
    pub(crate) trace: TraceContext,
    /// The parent's span id, and whether that is in another process.
    pub(crate) parent: Option<(u64, bool)>,
    /// In ticks.
    pub(crate) started: u64,
    pub(crate) ended: u64,
    pub(crate) outcome: &'static str,
    pub(crate) notes: Notes,
    pub(crate) carried: Option<Arc<Carried>>,
    /// What most spans don't have.
    pub(crate) rest: Option<Box<Rest>>,
}

/// The span of an observed call that returned, as long as there is no more to say of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Returned<'a> {
    pub(crate) site: &'static Site,
    /// The series it was counted in.
    pub(crate) series: usize,
    pub(crate) trace: &'a TraceContext,
    /// Where its parent is found: where it lies, so that it is read when it is written down.
    pub(crate) identity: &'a Identity,
    /// In ticks.
    pub(crate) started: u64,
    pub(crate) ended: u64,
}

impl<'a> Returned<'a> {
    /// The span of a call, if it has one.
    #[inline]
    pub(crate) fn of(
        site: &'static Site,
        series: usize,
        identity: &'a Identity,
        started: u64,
        ended: u64,
    ) -> Option<Self> {
        Some(Self { site, series, trace: identity.trace.as_ref()?, identity, started, ended })
    }
}

impl From<Returned<'_>> for Finished {
    fn from(call: Returned<'_>) -> Self {
        Self {
            metadata: &call.site.metadata,
            call: Some((call.site, call.series)),
            trace: *call.trace,
            parent: call.identity.parent(),
            started: call.started,
            ended: call.ended,
            outcome: "ok",
            notes: Notes::new(),
            carried: None,
            rest: None,
        }
    }
}

/// What there is to say of few spans.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    /// Its name, if that is not the one in the metadata.
    pub(crate) name: Option<String>,
    /// Attributes by the semantic conventions.
    pub(crate) attributes: Attributes,
    /// What was counted while it ran.
    pub(crate) counted: Option<(&'static str, Attribute)>,
    pub(crate) error: Option<SpanError>,
}

/// What a span is told about itself besides its fields, by the names of the semantic conventions.
pub(crate) type Attributes = Vec<(&'static str, Attribute)>;

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "http"), allow(dead_code, reason = "made by the layers alone"))]
pub(crate) enum Attribute {
    Text(String),
    Static(&'static str),
    Number(i64),
}

/// What went wrong.
#[derive(Debug)]
#[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "read by the exporter alone"))]
pub(crate) struct SpanError {
    pub(crate) kind: Option<String>,
    pub(crate) text: String,
    /// The type of the error, if its text is that of an exception.
    pub(crate) exception: Option<&'static str>,
}
