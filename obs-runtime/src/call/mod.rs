//! One observed call, from its first line to its outcome.

mod running;

pub use running::Running;

use crate::context::{Failure, Failures, FrameKey, FrameKind, Span, with_stack};
use crate::label::{LabelIndex, Values};
use crate::outcome::{ErrorRef, Outcome};
use crate::site::Site;
use crate::store::{self, Shape, outcome};
use crate::subscriber::{self, Foreign};
use crate::trace::{self, Finished, SpanError};
use crate::{Label, clock, panics, state};
use tracing_core::Level;
use tracing_core::field::{Value, Visit};

/// A call of an observed function. Dropped before [`leave`](Call::leave), it panicked or was cancelled.
#[derive(Debug)]
pub struct Call {
    site: &'static Site,
    started: u64,
    /// The position of the call's labels; those of the result follow when it is there.
    labels: usize,
    result: usize,
    result_labels: usize,
    progress: Progress,
    span: Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Nobody listens, or all is said.
    Silent,
    Begun,
    /// A poll of the future is under way, or was the last; a call that is dropped now panicked.
    Polling,
}

/// Where the call's span is.
#[derive(Debug)]
enum Open {
    Nowhere,
    /// A synchronous call: on this thread's stack, at this place.
    Frame(FrameKey),
    /// A future: here, and on the stack of whoever polls it.
    Own(Box<Span>),
    /// In a subscriber that is not ours.
    Foreign(Box<Foreign>),
}

/// How a call ended.
#[derive(Clone, Copy, Debug)]
enum End<'a> {
    Ok,
    Error { kind: usize, error: ErrorRef<'a> },
    Panic,
    Cancelled,
}

impl Call {
    /// A call that has not begun.
    #[inline]
    #[must_use]
    pub fn new(site: &'static Site) -> Self {
        Self {
            site,
            started: 0,
            labels: 0,
            result: 0,
            result_labels: 0,
            progress: Progress::Silent,
            span: Open::Nowhere,
        }
    }

    /// A call without labels and fields, begun if anybody listens.
    #[inline]
    #[must_use]
    pub fn enter(site: &'static Site) -> Self {
        let mut call = Self::new(site);
        if call.on() {
            call.begin(LabelIndex::default(), &[]);
        }
        call
    }

    /// Whether anybody listens.
    #[inline]
    #[must_use]
    pub fn on(&self) -> bool {
        state::running()
    }

    /// Begins the call.
    pub fn begin(&mut self, labels: LabelIndex, values: &[&dyn Value]) {
        let Some(shape) = self.site.shape() else { return };
        self.labels = labels.0;
        self.progress = Progress::Begun;
        if self.site.spec.metrics {
            store::started(shape);
        }
        if self.site.spec.span || self.site.spec.log {
            self.open(values);
        }
        self.started = clock::now();
    }

    fn open(&mut self, values: &[&dyn Value]) {
        let site = self.site;
        if !subscriber::is_ours() {
            self.span = if site.spec.span {
                Open::Foreign(Box::new(Foreign::open(site, values)))
            } else {
                Open::Nowhere
            };
            return;
        }
        let record = |visitor: &mut dyn Visit| {
            for (field, value) in site.metadata.fields().iter().zip(values) {
                value.record(&field, visitor);
            }
        };
        let open = with_stack(|stack| {
            if site.spec.future {
                let span =
                    stack.open(&site.metadata, Some(site.function()), site.spans(), |fields| record(fields));
                Open::Own(Box::new(span))
            } else {
                Open::Frame(stack.push_call(site, |fields| record(fields)))
            }
        });
        if open.is_none() && site.spans() {
            // Inside a formatter that is being run for another span: passed over, and counted.
            trace::passed_over();
        }
        self.span = open.unwrap_or(Open::Nowhere);
    }

    /// Adds a label of the result.
    #[inline]
    pub fn result_label<L>(&mut self, values: Values<L>, label: &L) {
        self.result = self.result * (values.cardinality() + 1) + values.index(label);
        self.result_labels += 1;
    }

    /// Polls the body's future inside the call's span.
    #[inline]
    pub fn run<F: Future>(&mut self, future: F) -> Running<'_, F> {
        Running::new(self, future)
    }

    /// Ends the call: the function has returned.
    #[inline]
    pub fn leave(&mut self, outcome: Outcome<'_>) {
        if self.progress != Progress::Silent {
            self.end(match outcome {
                Outcome::Ok => End::Ok,
                Outcome::Error { kind, error } => End::Error { kind, error },
            });
        }
    }

    /// As [`leave`](Self::leave), of a function whose failures are told apart by the error's label.
    #[inline]
    pub fn leave_with_kind<K: Label, T>(&mut self, outcome: Outcome<'_>, result: &Result<T, K>) {
        self.leave(match (outcome, result) {
            (Outcome::Error { error, .. }, Err(kind)) => Outcome::Error { kind: kind.index(), error },
            (outcome, _) => outcome,
        });
    }

    fn end(&mut self, end: End<'_>) {
        let ended = clock::now();
        self.progress = Progress::Silent;
        let Some(shape) = self.site.shape() else { return };
        let ticks = ended.saturating_sub(self.started);
        let series = self.series(shape, end);
        if self.site.spec.metrics {
            store::finished(shape, series, ticks);
        }
        let slow = ticks >= shape.slow_ticks;
        let quiet = matches!(end, End::Ok) && !self.logs(self.ok_level(slow));
        match std::mem::replace(&mut self.span, Open::Nowhere) {
            Open::Nowhere => {}
            Open::Foreign(foreign) => foreign.close(),
            // The usual end: nothing to log, nothing to export, nobody holds the span.
            Open::Frame(frame) if quiet && with_stack(|stack| stack.pop_unseen(frame)) == Some(true) => {}
            Open::Own(span) if quiet && span.unseen() => {}
            Open::Frame(frame) => self.conclude(end, shape, series, ended, frame, Failures::new()),
            Open::Own(mut span) => {
                let failures = std::mem::take(&mut span.failures);
                if let Some(frame) = with_stack(|stack| stack.enter(&span, FrameKind::Observed)) {
                    self.conclude(end, shape, series, ended, frame, failures);
                }
            }
        }
    }

    fn series(&self, shape: &Shape, end: End<'_>) -> usize {
        let outcome = match end {
            End::Ok => outcome::OK,
            End::Error { kind, .. } => shape.error(kind),
            End::Panic => shape.panic(),
            End::Cancelled => shape.cancelled(),
        };
        // Of a call that did not return, the result's labels all have the value behind their last.
        let complete = self.result_labels == self.site.spec.result_labels.len();
        let result = if complete { self.result } else { shape.result_values - 1 };
        (self.labels * shape.result_values + result) * shape.outcomes + outcome
    }

    /// Log line, exported span and the word to the caller, of a frame that is then left.
    fn conclude(
        &self,
        end: End<'_>,
        shape: &Shape,
        series: usize,
        ended: u64,
        frame: FrameKey,
        mut failures: Failures,
    ) {
        let Some(Some(id)) = with_stack(|stack| stack.frame(frame).map(|frame| frame.id)) else { return };
        if let Some((id, recorded)) = id.and_then(|id| Some((id, subscriber::recorded(id)?))) {
            with_stack(|stack| stack.record(id, &recorded));
        }
        let slow = ended.saturating_sub(self.started) >= shape.slow_ticks;
        let error = end.error(self.site);
        let level = match end {
            End::Ok => self.ok_level(slow),
            End::Error { .. } => self.site.spec.err_level,
            End::Panic => Level::ERROR,
            End::Cancelled => Level::WARN,
        };
        let below = with_stack(|stack| {
            failures.append(&mut stack.take_failures(frame));
            let cancelled = matches!(end, End::Cancelled) && stack.cancelled(frame, self.logs(level));
            let text = error.as_ref().filter(|_| !matches!(end, End::Cancelled)).map(|error| &error.text);
            (cancelled, text.and_then(|text| failures.handed_on(text, level)))
        });
        let (cancelled_below, handed_on) = below.unwrap_or_default();
        // The call below that failed first has logged it.
        let quieter = if cancelled_below || handed_on.is_some() { Level::DEBUG } else { level };
        if self.logs(quieter) {
            self.log(quieter, end, slow, shape, series, error.as_ref(), ended);
        }
        let sampled = with_stack(|stack| {
            let seen = stack.frame(frame).map(|frame| (frame.trace, frame.parent));
            let fields = seen.and_then(|(trace, _)| trace.filter(|trace| trace.sampled && self.site.spans()));
            let sampled =
                fields.map(|trace| (trace, seen.and_then(|(_, parent)| parent), stack.own_fields(frame)));
            stack.pop(frame);
            let written = error.as_ref().filter(|_| !matches!(end, End::Cancelled) && self.logs(level));
            let failure = handed_on.or_else(|| written.map(|error| Failure::new(&error.text, level)));
            if let Some(failure) = &failure {
                stack.note_failure(failure);
            }
            sampled
        });
        if let Some(id) = id {
            subscriber::release(id);
        }
        if let Some((trace, parent, fields)) = sampled.flatten() {
            trace::submit(Finished {
                metadata: &self.site.metadata,
                call: Some((self.site, series)),
                trace,
                parent: parent.map(|parent| (parent.span_id, parent.remote)),
                started: self.started,
                ended,
                outcome: end.name(),
                error,
                fields,
            });
        }
    }

    /// The level of the line of a call that returned.
    fn ok_level(&self, slow: bool) -> Level {
        if slow { Level::WARN } else { self.site.spec.ok_level }
    }

    fn logs(&self, level: Level) -> bool {
        self.site.spec.log && self.site.logs(level)
    }

    #[cfg(feature = "log")]
    #[allow(clippy::too_many_arguments, reason = "all that is known of the end, once")]
    fn log(
        &self,
        level: Level,
        end: End<'_>,
        slow: bool,
        shape: &Shape,
        series: usize,
        error: Option<&SpanError>,
        ended: u64,
    ) {
        let function = self.site.function();
        let name = function.rsplit("::").next().unwrap_or(function);
        let happened = match end {
            End::Ok if slow => "was slow",
            End::Ok => "returned",
            End::Error { .. } => "failed",
            End::Panic => "panicked",
            End::Cancelled => "was cancelled",
        };
        crate::log::call_ended(&crate::log::CallEnded {
            level,
            target: self.site.metadata.target(),
            message: format_args!("{name} {happened}"),
            ended,
            outcome: end.name(),
            error: error.filter(|_| !matches!(end, End::Cancelled)),
            labels: self.site.labels(shape, series),
            nanos: clock::nanos(ended.saturating_sub(self.started)),
        });
    }

    #[cfg(not(feature = "log"))]
    #[allow(clippy::unused_self, clippy::too_many_arguments, reason = "as with the feature")]
    fn log(&self, _: Level, _: End<'_>, _: bool, _: &Shape, _: usize, _: Option<&SpanError>, _: u64) {}
}

impl Drop for Call {
    fn drop(&mut self) {
        match self.progress {
            Progress::Silent => {}
            Progress::Begun if self.site.spec.future => self.end(End::Cancelled),
            Progress::Begun | Progress::Polling => self.end(End::Panic),
        }
    }
}

impl End<'_> {
    /// The outcome's name in metrics, spans and logs.
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error { .. } => "error",
            Self::Panic => "panic",
            Self::Cancelled => "cancelled",
        }
    }

    /// What went wrong.
    fn error(self, site: &Site) -> Option<SpanError> {
        match self {
            Self::Ok => None,
            Self::Error { kind, error } => Some(SpanError {
                kind: site.spec.error_kinds.map(|kinds| (kinds.value)(kind).into_owned()),
                text: error.text(),
            }),
            Self::Panic => Some(SpanError { kind: None, text: panics::last() }),
            Self::Cancelled => Some(SpanError { kind: None, text: "cancelled".to_owned() }),
        }
    }
}
