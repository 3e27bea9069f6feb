//! A call that is observed: how it begins, and how it ends.

use super::ended::{Details, End, Ended};
use crate::context::{Failures, FrameKey, FrameKind, Notes, Span, with_stack};
use crate::label::{LabelIndex, Values};
use crate::outcome::{ErrorRef, Verdict};
use crate::site::Site;
use crate::store::{self, FunctionCells, Shape, outcome};
use crate::subscriber::{self, Foreign};
use crate::trace::{self, Returned};
use crate::{busy, clock};
use tracing_core::field::Value;
use tracing_core::span::Id;

/// What is kept of a call while it runs. Dropped before its end, it panicked or was cancelled.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) site: &'static Site,
    /// Where it is counted, as long as it has not left the thread that it began on, and ticks are those of the counter.
    cells: Option<&'static FunctionCells>,
    pub(super) started: u64,
    /// The position of the call's labels, those of the result included as far as they are known.
    labels: u32,
    /// How many labels of the result are known.
    result_labels: u8,
    pub(super) progress: Progress,
    /// It began while the thread was unwinding: in a destructor.
    unwinding: bool,
    pub(super) span: Open,
    /// The same span for the other layers of the application's stack.
    pub(super) beside: Option<Box<Foreign>>,
    #[cfg(feature = "profile")]
    pub(super) depth: crate::profile::Depth,
    #[cfg(feature = "profile")]
    pub(super) waits: crate::profile::Waits,
}

/// A call that has been counted, if it is: where, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    site: &'static Site,
    /// The function's number.
    #[cfg(feature = "profile")]
    function: usize,
    cells: Option<&'static FunctionCells>,
    started: u64,
}

impl Counted {
    /// Where a call that begins can be counted, if that takes nothing that has to be called: the function has been
    /// counted on this thread before, and nothing is out of the ordinary.
    #[inline]
    pub(super) fn place(site: &Site) -> Option<&'static FunctionCells> {
        // In this order, so that nothing but the arguments is known when the thread-local is looked for.
        if std::thread::panicking() { None } else { store::ready()?.called(site.quick()) }
    }

    /// Counts a call that begins now.
    #[inline]
    pub(super) fn at(cells: &'static FunctionCells, site: &'static Site) -> Self {
        cells.begin();
        Self {
            site,
            #[cfg(feature = "profile")]
            function: site.quick(),
            cells: Some(cells),
            started: clock::counter(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Begun,
    /// A poll of the future is under way, or was the last; a call that is dropped now panicked.
    Polling,
    /// All is said.
    Ended,
}

/// Where the call's span is.
#[derive(Debug)]
pub(super) enum Open {
    Nowhere,
    /// On this thread's stack, in that frame.
    Frame(FrameKey),
    /// A future that has waited: here, and on the stack of whoever polls it.
    Own(Box<Span>),
    /// In a subscriber that is not ours.
    Foreign(Box<Foreign>),
}

impl Live {
    /// Begins a call, whatever that takes.
    pub(super) fn begin(site: &'static Site, labels: LabelIndex, values: &[&dyn Value]) -> Option<Self> {
        let shape = site.shape().filter(|_| !busy::is_busy())?;
        let (mode, spec) = (site.mode(), &site.spec);
        let framed = mode.has_frame() && (!mode.if_asked() || subscriber::anything_asked());
        if !framed && !spec.metrics {
            return None;
        }
        let span = if framed { Self::open(site, values) } else { Open::Nowhere };
        let shown = mode.is_shown() && matches!(span, Open::Frame(_));
        let beside = shown.then(|| Box::new(Foreign::open_beside(site, values)));
        let cells = if spec.metrics { store::started(shape) } else { None };
        // Where they are looked at, ticks are those of the counter.
        let cells = cells.filter(|_| site.quick() == shape.id);
        let counted = Counted {
            site,
            #[cfg(feature = "profile")]
            function: shape.id,
            cells,
            started: clock::now(),
        };
        let mut live = Self::new(counted, labels, span);
        live.beside = beside;
        live.unwinding = std::thread::panicking();
        Some(live)
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "it is to be written where it stays")]
    pub(super) fn new(counted: Counted, labels: LabelIndex, span: Open) -> Self {
        let Counted { site, cells, started, .. } = counted;
        Self {
            site,
            cells,
            labels: labels.0,
            result_labels: 0,
            progress: Progress::Begun,
            unwinding: false,
            span,
            beside: None,
            started,
            #[cfg(feature = "profile")]
            depth: crate::profile::Depth::begin(counted.function, started),
            #[cfg(feature = "profile")]
            waits: crate::profile::Waits::default(),
        }
    }

    fn open(site: &'static Site, values: &[&dyn Value]) -> Open {
        if !subscriber::is_ours() {
            let _busy = busy::now();
            return if site.spec.span {
                Open::Foreign(Box::new(Foreign::open(site, values)))
            } else {
                Open::Nowhere
            };
        }
        if let Some(frame) = with_stack(|stack| stack.push_call(site, values)) {
            return Open::Frame(frame);
        }
        // Inside a formatter that is being run for another span.
        trace::passed_over(site);
        Open::Nowhere
    }

    /// Takes the span off this thread's stack, if it is there.
    pub(super) fn lift(&mut self) {
        // It may go on elsewhere.
        self.cells = None;
        if let Open::Frame(frame) = self.span {
            let span = {
                // What it allocates by may be observed, and finds the stack taken.
                let _busy = busy::now();
                with_stack(|stack| stack.lift(frame)).flatten()
            };
            self.span = span.map_or(Open::Nowhere, Open::Own);
            self.beside.iter_mut().for_each(|beside| beside.exit());
        }
        self.is_gone();
    }

    /// Says that the call has to do with another span.
    pub(super) fn follow(&mut self, cause: &Id) {
        if let Some(beside) = &self.beside {
            // Whose number it is, that subscriber knows, and tells our layer.
            return beside.follows_from(cause);
        }
        match &mut self.span {
            Open::Nowhere => {}
            Open::Frame(_) => {
                subscriber::link_to(cause, |link| subscriber::note(|notes| notes.link(link, false)));
            }
            Open::Own(span) => subscriber::link_to(cause, |link| span.notes.link(link, false)),
            Open::Foreign(foreign) => foreign.follows_from(cause),
        }
    }

    /// Adds a label of the result.
    #[inline]
    pub(super) fn result_label<L>(&mut self, values: Values<L>, label: &L) {
        let labels = (self.labels as usize)
            .saturating_mul(values.cardinality() + 1)
            .saturating_add(values.index(label));
        self.labels = u32::try_from(labels).unwrap_or(u32::MAX);
        self.result_labels = self.result_labels.saturating_add(1);
    }

    /// Ends the call: the function has returned, and has not failed. All labels of the result are known.
    #[inline(never)]
    pub(super) fn leave_ok(&mut self) {
        match (self.cells, &self.span, &self.beside) {
            (Some(cells), Open::Nowhere, None) => _ = self.finish(cells),
            _ => self.leave_frame_ok(),
        }
    }

    /// The same of a call that has a frame.
    #[inline(never)]
    fn leave_frame_ok(&mut self) {
        let (Some(cells), &Open::Frame(frame), None) = (self.cells, &self.span, &self.beside) else {
            return self.leave_waited_ok();
        };
        let (series, until) = self.finish(cells);
        let Self { site, started, .. } = *self;
        if !site.is_quiet(until.saturating_sub(started))
            || with_stack(|stack| {
                stack.leave_simple(frame, move |identity, fields| {
                    if let Some(returned) = Returned::of(site, series, identity, started, until) {
                        trace::submit_returned(&returned, fields);
                    }
                })
            }) != Some(true)
        {
            self.close_ok(series, until);
        }
    }

    /// The same of a future that has waited.
    #[inline(never)]
    fn leave_waited_ok(&mut self) {
        let (Some(cells), Open::Own(_), None) = (Counted::place(self.site), &self.span, &self.beside) else {
            return self.end(End::Ok, None);
        };
        let (series, until) = self.finish(cells);
        let Self { site, started, .. } = *self;
        match &self.span {
            Open::Own(span) if span.is_simple() && site.is_quiet(until.saturating_sub(started)) => {
                if span.identity.exported
                    && let Some(returned) = Returned::of(site, series, &span.identity, started, until)
                {
                    let fields = span.exported_fields();
                    trace::submit_returned(&returned, (span.fields.len() > 0).then_some(fields));
                }
                self.keep();
            }
            _ => self.close_ok(series, until),
        }
    }

    /// Keeps the span for the next future that has to wait.
    fn keep(&mut self) {
        if let Open::Own(span) = std::mem::replace(&mut self.span, Open::Nowhere) {
            let _busy = busy::now();
            with_stack(|stack| stack.keep(span));
        }
    }

    /// Counts the end of a call that has returned, and has not failed. In which series, and when.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the end of nearly every call")]
    fn finish(&mut self, cells: &FunctionCells) -> (usize, u64) {
        let until = clock::counter();
        self.progress = Progress::Ended;
        self.is_over(until);
        let series = cells.series_ok(self.labels);
        cells.count(series, until.saturating_sub(self.started));
        (series, until)
    }

    #[cold]
    #[inline(never)]
    fn close_ok(&mut self, series: usize, until: u64) {
        self.close(Ended { site: self.site, end: End::Ok, series, from: self.started, until, details: None });
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
        if let Some(beside) = self.beside.take() {
            beside.close();
        }
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
                let _busy = busy::now();
                with_stack(|stack| stack.keep(span));
                return;
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

impl Drop for Live {
    #[inline]
    fn drop(&mut self) {
        // The end of every call whose body stays where it is.
        if self.progress == Progress::Begun && self.site.ends_ok_when_dropped && !std::thread::panicking() {
            self.leave_ok();
        } else if let Some(end) = self.dropped() {
            self.end(end, None);
        }
    }
}
