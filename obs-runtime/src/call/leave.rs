//! How a call that is observed ends. First what nearly all of them take, then all that may be.

use super::ended::{Details, End, Ended};
use super::live::{Counted, Live, Open, Progress};
use crate::context::{Failures, FrameKind, Notes, Simple, Span, with_stack, with_stack_if_any};
use crate::outcome::{ErrorRef, Verdict};
use crate::store::{self, FunctionCells, Shape, outcome};
use crate::subscriber::{self, Foreign};
use crate::trace::{self, Returned};
use crate::{busy, clock};

impl Live {
    /// Ends the call: the function has returned, and has not failed. All labels of the result are known.
    #[inline(never)]
    pub(super) fn leave_ok(&mut self) {
        match (self.cells, &self.span) {
            // What has cells has not left its thread, and has nothing beside without a frame.
            (Some(cells), Open::Nowhere) => _ = self.finish(cells),
            _ => self.leave_frame_ok(),
        }
    }

    /// The same of a call that has a frame. What nearly all take calls nothing; the rest is jumped to.
    #[inline(never)]
    fn leave_frame_ok(&mut self) {
        let (Some(cells), &Open::Frame(frame)) = (self.cells, &self.span) else {
            return self.leave_waited_ok();
        };
        let until = clock::counter();
        let (series, ticks) = (cells.series_ok(self.labels), until.saturating_sub(self.started));
        if !self.site.is_quiet(ticks) || !cells.count_simple(series, ticks) {
            return self.leave_anyhow_ok(until);
        }
        self.is_over(until);
        match with_stack_if_any(|stack| stack.leave_simple(frame)) {
            Some(Simple::Left) => self.close_beside(),
            Some(Simple::Exported) => self.export_ok(series, until),
            _ => self.close_ok(series, until),
        }
    }

    /// Exports the span of a call that has been counted, and leaves its frame, which is the innermost one.
    #[inline(never)]
    fn export_ok(&mut self, series: usize, until: u64) {
        with_stack(|stack| {
            stack.export_simple(|identity, fields| {
                if let Some(returned) = Returned::of(self.site, series, identity, self.started, until) {
                    trace::submit_returned(&returned, fields);
                }
            });
        });
        self.close_beside();
    }

    /// Ends a call, whatever that takes, that has not been counted.
    #[inline(never)]
    fn leave_anyhow_ok(&mut self, until: u64) {
        let Some(cells) = self.cells else { return };
        self.is_over(until);
        let series = cells.series_ok(self.labels);
        cells.count(series, until.saturating_sub(self.started));
        self.close_ok(series, until);
    }

    /// The same of a future that has waited.
    #[inline(never)]
    fn leave_waited_ok(&mut self) {
        let (Some(cells), Open::Own(_)) = (Counted::place(self.site), &self.span) else {
            return self.end(End::Ok, None);
        };
        let (series, until) = self.finish(cells);
        let Self { site, started, .. } = *self;
        match &self.span {
            Open::Own(span) if span.is_simple() && site.is_quiet(until.saturating_sub(started)) => {
                if span.identity.exported {
                    if let Some(returned) = Returned::of(site, series, &span.identity, started, until) {
                        let fields = span.exported_fields();
                        trace::submit_returned(&returned, (span.fields.len() > 0).then_some(fields));
                    }
                }
                self.keep();
                self.close_beside();
            }
            _ => self.close_ok(series, until),
        }
    }

    /// Ends the span that other layers see, if there is one.
    #[inline]
    fn close_beside(&mut self) {
        if self.beside.is_some() {
            self.close_shown();
        }
    }

    #[inline(never)]
    fn close_shown(&mut self) {
        // Those layers may panic, and the call is not to be counted again for that.
        self.progress = Progress::Ended;
        self.beside.take().into_iter().for_each(Foreign::close);
    }

    /// Keeps the span for the next future that has to wait.
    fn keep(&mut self) {
        if let Open::Own(span) = std::mem::replace(&mut self.span, Open::Nowhere) {
            let mut span = Some(span);
            with_stack_if_any(|stack| stack.keep(&mut span));
            if let Some(span) = span {
                forget(span);
            }
        }
    }

    /// Counts the end of a call that has returned, and has not failed. In which series, and when.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the end of nearly every call")]
    fn finish(&mut self, cells: &FunctionCells) -> (usize, u64) {
        let until = clock::counter();
        self.is_over(until);
        let series = cells.series_ok(self.labels);
        cells.count(series, until.saturating_sub(self.started));
        (series, until)
    }

    #[cold]
    #[inline(never)]
    fn close_ok(&mut self, series: usize, until: u64) {
        // This may run the code of others, which may panic; and the call has been counted.
        self.progress = Progress::Ended;
        self.close(Ended { site: self.site, end: End::Ok, series, from: self.started, until, details: None });
        self.close_beside();
    }

    /// Ends the call: the function has returned.
    pub(super) fn leave(&mut self, verdict: Verdict<'_>) {
        if self.progress != Progress::Ended {
            let end = match verdict {
                Verdict::Ok => End::Ok,
                Verdict::Error { kind, error, type_name } => End::Error { kind, error, type_name },
            };
            self.end(end, None);
        }
    }

    /// Ends the call in any way, with what else there is to say of it.
    #[inline(never)]
    pub(super) fn end(&mut self, end: End<'_>, details: Option<&mut Details>) {
        self.progress = Progress::Ended;
        let until = clock::now();
        self.is_over(until);
        let Some(shape) = self.site.shape() else { return };
        let series = self.series(shape, end);
        if self.site.spec.metrics {
            store::finished(shape, self.cells, series, until.saturating_sub(self.started));
        }
        if !matches!(self.span, Open::Nowhere) {
            self.close(Ended { site: self.site, end, series, from: self.started, until, details });
        }
        self.close_beside();
    }

    /// Ends the call's span.
    fn close(&mut self, mut call: Ended<'_>) {
        match self.span {
            // A frame's name has nothing to drop.
            Open::Frame(frame) if call.is_quiet() && call.leave(frame) => {
                std::mem::forget(std::mem::replace(&mut self.span, Open::Nowhere));
            }
            _ => self.conclude(call),
        }
    }

    /// Ends the call's span, and says what there is to say.
    #[cold]
    #[inline(never)]
    fn conclude(&mut self, mut call: Ended<'_>) {
        let quiet = call.is_quiet();
        let (frame, failures, notes) = match std::mem::replace(&mut self.span, Open::Nowhere) {
            Open::Nowhere => return,
            Open::Foreign(foreign) => return foreign.close(),
            Open::Own(mut span) if quiet && span.id.is_none() => {
                span.left().into_iter().for_each(|left| call.export(left));
                return forget(span);
            }
            Open::Frame(frame) => (Some(frame), Failures::new(), Notes::new()),
            Open::Own(mut span) => {
                let (failures, notes) = (std::mem::take(&mut span.failures), std::mem::take(&mut span.notes));
                let frame = with_stack(|stack| stack.enter(&span, FrameKind::Observed));
                if let (None, Some(id)) = (frame, span.id) {
                    subscriber::release(id);
                }
                (frame, failures, notes)
            }
        };
        // Whatever this calls, an allocator say, may be observed, and would end here as well.
        let _busy = busy::now();
        match frame {
            Some(frame) => call.conclude(frame, failures, notes),
            None => trace::passed_over(self.site),
        }
    }

    #[inline]
    fn series(&self, shape: &Shape, end: End<'_>) -> usize {
        let outcome = match end {
            End::Ok => outcome::OK,
            End::Error { kind, .. } => shape.error(kind),
            End::Panic => shape.panic(),
            End::Cancelled => shape.cancelled(),
        };
        let combination = match shape.result_values {
            1 => self.labels as usize,
            _ => self.with_result(shape),
        };
        // Numbers that are too large are those of no series.
        combination.wrapping_mul(shape.outcomes).wrapping_add(outcome)
    }

    /// Of a call that did not return, the result's labels all have the value behind their last.
    #[inline(never)]
    fn with_result(&self, shape: &Shape) -> usize {
        let (labels, of_result) = (self.labels as usize, self.site.spec.result_labels);
        let known = usize::from(self.result_labels);
        if known == of_result.len() {
            return labels;
        }
        // One of them may have panicked behind others.
        let values: usize = of_result.iter().take(known).map(|label| label.cardinality + 1).product();
        (labels / values.max(1)).wrapping_mul(shape.result_values).wrapping_add(shape.result_values - 1)
    }

    /// Whether a panic has begun since the call has.
    #[inline]
    fn panicked(&self) -> bool {
        std::thread::panicking() && !self.unwinding
    }

    /// Whether it is plain to see that it has returned, and has not failed, if it is dropped now.
    #[inline]
    pub(super) fn ends_ok_when_dropped(&self) -> bool {
        self.progress == Progress::Begun && self.site.ends_ok_when_dropped && !std::thread::panicking()
    }

    /// How the call has ended if it is dropped now.
    pub(super) fn dropped(&self) -> Option<End<'static>> {
        match self.progress {
            Progress::Ended => None,
            Progress::Begun if self.site.spec.future => Some(End::Cancelled),
            Progress::Begun if self.site.spec.stays && !self.panicked() => {
                Some(if self.site.spec.fallible && !self.site.spec.early_is_ok {
                    // A `?`, or a `return` that a macro wrote, has left it.
                    let error = ErrorRef::Type("returned early");
                    End::Error { kind: 0, error, type_name: "" }
                } else {
                    End::Ok
                })
            }
            Progress::Begun | Progress::Polling => Some(End::Panic),
        }
    }
}

/// Drops what there is of a span, and keeps it for the next future that has to wait.
#[inline(never)]
fn forget(mut span: Box<Span>) {
    // What frees it may be observed, and finds the stack where it is.
    let _busy = busy::now();
    span.forget();
    let mut left = Some(span);
    with_stack(|stack| stack.keep(&mut left));
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(end) = self.dropped() {
            self.end(end, None);
        }
    }
}
