//! What there is to say of a call that has ended: its line, its span, and a word to its caller.

use crate::context::{Failure, Failures, FrameKey, Identity, Left, Notes, with_stack};
use crate::outcome::ErrorRef;
use crate::site::Site;
use crate::trace::{self, Attribute, Attributes, Finished, Rest, Returned, SpanError};
use crate::{panics, subscriber};
use tracing_core::Level;

/// How a call ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End<'a> {
    Ok,
    Error { kind: usize, error: ErrorRef<'a>, type_name: &'static str },
    Panic,
    Cancelled,
}

/// What there is to say of a call that its function does not know.
#[derive(Debug, Default)]
pub(crate) struct Details {
    /// The span's name, if it is not the function's.
    pub(crate) name: Option<String>,
    /// Attributes by the semantic conventions, for line and span. They say all that the labels say.
    pub(crate) attributes: Attributes,
    /// What was counted while it ran, for line and span.
    pub(crate) counted: Option<(&'static str, Attribute)>,
    /// Its failure says no more than that something below has failed.
    pub(crate) reports_others: bool,
}

impl Details {
    fn with_error(self, error: Option<SpanError>) -> Rest {
        Rest { name: self.name, attributes: self.attributes, counted: self.counted, error }
    }
}

/// A call that has ended.
pub(super) struct Ended<'a> {
    pub(super) site: &'static Site,
    pub(super) end: End<'a>,
    /// The series it was counted in.
    pub(super) series: usize,
    /// In ticks.
    pub(super) from: u64,
    pub(super) until: u64,
    pub(super) details: Option<&'a mut Details>,
}

impl Ended<'_> {
    /// Whether it returned, and has no line.
    #[inline]
    pub(super) fn is_quiet(&self) -> bool {
        matches!(self.end, End::Ok) && self.site.is_quiet(self.ticks())
    }

    /// Says all there is to say, and leaves the call's frame.
    pub(super) fn conclude(mut self, frame: FrameKey, failures: Failures, mut notes: Notes) {
        let details = self.details.take().map(std::mem::take).unwrap_or_default();
        // First, for it runs the user's code, which may ask for the span.
        let mut error = self.end.error(self.site);
        let id = with_stack(|stack| stack.frame(frame).and_then(|frame| frame.id)).flatten();
        if let Some((id, recorded)) = id.and_then(|id| Some((id, subscriber::recorded(id)?))) {
            with_stack(|stack| stack.record(id, &recorded));
        }
        let handed_on = self.handed_on(frame, failures, error.as_ref(), &details);
        if let Some(error) = error.as_mut().filter(|_| handed_on.is_some()) {
            // The span below that failed first has the exception.
            error.exception = None;
        }
        // The call below that failed first has logged it.
        let level = if handed_on.is_some() { Level::DEBUG } else { self.level() };
        if self.logs(level) {
            self.log(level, error.as_ref(), &details);
        }
        let written = error.as_ref().filter(|_| self.logs(self.level()));
        let failure = handed_on.or_else(|| written.map(|error| Failure::new(&error.text, self.level())));
        if let Some(id) = id {
            notes.append(&mut subscriber::take_notes(id));
        }
        let left = with_stack(|stack| {
            let left = stack.leave(frame, |mut left| {
                left.notes.append(&mut notes);
                self.submit(left, Some(details.with_error(error)));
            });
            if let Some(failure) = failure.filter(|_| matches!(self.end, End::Error { .. } | End::Panic)) {
                stack.note_failure(&failure);
            }
            left
        });
        if let Some(id) = id {
            subscriber::release(id);
        }
        if left != Some(true) {
            trace::passed_over(self.site);
        }
    }

    /// The end of a call that has nothing to log and whose span nobody holds by number: leaves its frame.
    pub(super) fn leave(&mut self, frame: FrameKey) -> bool {
        with_stack(|stack| stack.leave_unnumbered(frame, |left| self.export(left))) == Some(true)
    }

    /// Hands over the span of a call that returned.
    #[inline]
    pub(super) fn export(&mut self, left: Left<'_>) {
        if self.details.is_none() && left.is_plain() {
            if let Some(returned) = self.returned(&left.identity) {
                return trace::submit_returned(&returned, Some(left.fields));
            }
        }
        let rest = self.details.take().map(|details| std::mem::take(details).with_error(None));
        self.submit(left, rest);
    }

    fn submit(&self, left: Left<'_>, rest: Option<Rest>) {
        if let Some(returned) = self.returned(&left.identity) {
            let finished = Finished {
                outcome: self.end.name(),
                notes: left.notes,
                carried: left.carried.cloned(),
                rest: rest.map(Box::new),
                ..returned.into()
            };
            trace::submit(finished, left.fields);
        }
    }

    fn returned<'a>(&self, identity: &'a Identity) -> Option<Returned<'a>> {
        Returned::of(self.site, self.series, identity, self.from, self.until)
    }

    /// The failure below that this call hands on to its caller, and which has had its line.
    fn handed_on(
        &self,
        frame: FrameKey,
        mut failures: Failures,
        error: Option<&SpanError>,
        details: &Details,
    ) -> Option<Failure> {
        let (error, level) = (error?, self.level());
        // Asks the stack, so before that is taken.
        let logs = self.logs(level);
        with_stack(|stack| {
            if matches!(self.end, End::Panic) && stack.panic().is_none() {
                // Of a panic that did not say anything, who knows whether it is the same.
                return None;
            }
            if matches!(self.end, End::Panic | End::Cancelled) {
                let below = stack.fell(frame, &error.text, logs);
                return below.then(|| Failure::new(&error.text, level));
            }
            failures.append(&mut stack.take_failures(frame));
            if details.reports_others {
                return failures.any(level);
            }
            failures.handed_on(&error.text, level)
        })
        .flatten()
    }

    #[cfg(feature = "log")]
    fn labels(&self, details: &Details) -> crate::label::LabelTexts {
        let shape = self.site.shape().filter(|_| details.attributes.is_empty());
        shape.map(|shape| self.site.labels(shape, self.series)).unwrap_or_default()
    }

    #[inline]
    fn ticks(&self) -> u64 {
        self.until.saturating_sub(self.from)
    }

    fn is_slow(&self) -> bool {
        self.site.is_slow(self.ticks())
    }

    /// The level of its line, if no call below has had that line.
    fn level(&self) -> Level {
        match self.end {
            End::Ok if self.is_slow() => Level::WARN,
            End::Ok => self.site.spec.ok_level,
            End::Error { .. } => self.site.spec.err_level,
            End::Panic => Level::ERROR,
            End::Cancelled => Level::WARN,
        }
    }

    fn logs(&self, level: Level) -> bool {
        self.site.spec.log && self.site.logs(level)
    }

    /// What happened, in a word.
    fn happened(&self) -> &'static str {
        match self.end {
            End::Ok if self.is_slow() => "was slow",
            End::Ok => "returned",
            End::Error { .. } => "failed",
            End::Panic => "panicked",
            End::Cancelled => "was cancelled",
        }
    }

    fn log(&self, level: Level, error: Option<&SpanError>, details: &Details) {
        let function = self.site.function();
        let name =
            details.name.as_deref().unwrap_or_else(|| function.rsplit("::").next().unwrap_or(function));
        let happened = self.happened();
        let error = error.filter(|_| !matches!(self.end, End::Cancelled));
        #[cfg(feature = "layer")]
        if crate::state::layered() {
            #[allow(clippy::cast_precision_loss, reason = "it is shown to three digits")]
            let millis = (crate::clock::nanos(self.ticks()) / 1_000) as f64 / 1e3;
            let error = error.map(|error| (error.text.as_str(), error.kind.as_deref()));
            subscriber::say(
                self.site,
                level,
                format_args!("{name} {happened}"),
                self.end.name(),
                error,
                millis,
            );
        }
        #[cfg(feature = "log")]
        crate::log::call_ended(&crate::log::CallEnded {
            level,
            target: self.site.metadata.target(),
            message: format_args!("{name} {happened}"),
            ended: self.until,
            outcome: self.end.name(),
            error,
            labels: self.labels(details),
            attributes: &details.attributes,
            counted: details.counted.as_ref(),
            nanos: crate::clock::nanos(self.ticks()),
        });
        #[cfg(not(feature = "log"))]
        let _ = (level, name, happened, error);
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
            Self::Error { kind, error, type_name } => Some(SpanError {
                kind: site.spec.error_kinds.map(|kinds| (kinds.value)(kind).into_owned()),
                text: error.text(),
                exception: Some(type_name).filter(|name| !name.is_empty()),
            }),
            Self::Panic => Some(SpanError {
                kind: None,
                text: panics::last().unwrap_or_else(|| "panicked".to_owned()),
                exception: Some("panic"),
            }),
            Self::Cancelled => Some(SpanError { kind: None, text: "cancelled".to_owned(), exception: None }),
        }
    }
}
