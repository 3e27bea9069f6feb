//! One observed call, from its first line to its outcome.

mod ended;
mod made;
mod running;
mod stream;

pub use made::Made;
pub use running::Running;
pub use stream::Streamed;

use ended::Ended;
pub(crate) use ended::{Details, End};
use running::Entered;

use crate::context::{Failures, FrameKey, FrameKind, Notes, Span, with_stack};
use crate::label::{LabelIndex, Values};
use crate::outcome::{ErrorRef, Verdict};
use crate::site::Site;
use crate::store::{self, Shape, outcome};
use crate::subscriber::{self, Foreign};
use crate::trace;
use crate::{busy, clock, state};
use futures_core::Stream;
use tracing_core::field::{Value, Visit};
use tracing_core::span::Id;

/// A call of an observed function. Dropped before [`leave`](Call::leave), it panicked or was cancelled.
#[derive(Debug)]
pub struct Call {
    site: &'static Site,
    started: u64,
    /// The position of the call's labels; those of the result follow when it is there.
    labels: u32,
    result: u32,
    result_labels: u8,
    progress: Progress,
    /// It began while the thread was unwinding: in a destructor.
    unwinding: bool,
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
            unwinding: false,
            span: Open::Nowhere,
        }
    }

    /// A call without labels and fields, begun if anybody listens.
    #[must_use]
    pub fn enter(site: &'static Site) -> Self {
        let mut call = Self::new(site);
        if call.on() {
            call.begin(LabelIndex::default(), &[]);
        }
        call
    }

    /// Whether anybody listens, and not to what the runtime does itself.
    #[inline]
    #[must_use]
    pub fn on(&self) -> bool {
        state::running() && !busy::is_busy()
    }

    /// Begins the call.
    pub fn begin(&mut self, labels: LabelIndex, values: &[&dyn Value]) {
        let Some(shape) = self.site.shape() else { return };
        // A future holds the call, so it is small; nobody has more series than this counts.
        self.labels = u32::try_from(labels.0).unwrap_or(u32::MAX);
        self.progress = Progress::Begun;
        self.unwinding = std::thread::panicking();
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
            let _busy = busy::now();
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
        let open = with_stack(|stack| stack.push_call(site, |fields| record(fields)));
        self.span = open.map_or_else(
            || {
                // Inside a formatter that is being run for another span.
                trace::passed_over(site);
                Open::Nowhere
            },
            Open::Frame,
        );
    }

    /// Takes the span off this thread's stack, if it is there: what comes next is not inside the call.
    pub fn lift(&mut self) {
        if let Open::Frame(frame) = self.span {
            let span = with_stack(|stack| stack.lift(frame)).flatten();
            self.span = span.map_or(Open::Nowhere, |span| Open::Own(Box::new(span)));
        }
    }

    /// Adds a label of the result.
    #[inline]
    pub fn result_label<L>(&mut self, values: Values<L>, label: &L) {
        let result = self.result as usize * (values.cardinality() + 1) + values.index(label);
        self.result = u32::try_from(result).unwrap_or(u32::MAX);
        self.result_labels = self.result_labels.saturating_add(1);
    }

    /// Runs what makes the future, inside the call's span.
    pub fn make<R>(&mut self, make: impl FnOnce() -> R) -> R {
        if self.progress == Progress::Silent {
            return make();
        }
        // After a panic it stays one that panicked.
        let before = std::mem::replace(&mut self.progress, Progress::Polling);
        let entered = Entered::new(&mut self.span);
        let result = make();
        drop(entered);
        self.lift();
        self.progress = before;
        result
    }

    /// Polls the body's future inside the call's span.
    #[inline]
    pub fn run<F: Future>(&mut self, future: F) -> Running<'_, F> {
        Running::new(self, future)
    }

    /// Says that the call has to do with other spans, which are not its parent: `follows_from`.
    pub fn follows_from<C: Into<Option<Id>>>(&mut self, causes: impl IntoIterator<Item = C>) {
        for cause in causes.into_iter().filter_map(Into::into) {
            self.follow(&cause);
        }
    }

    fn follow(&mut self, cause: &Id) {
        match &mut self.span {
            Open::Nowhere => {}
            Open::Frame(_) => {
                subscriber::link_to(cause, |link| subscriber::note(|notes| notes.link(link, false)));
            }
            Open::Own(span) => subscriber::link_to(cause, |link| span.notes.link(link, false)),
            Open::Foreign(foreign) => foreign.follows_from(cause),
        }
    }

    /// Observes the future that the function returned, to its end.
    pub fn future<F, L>(self, future: F, leave: L) -> Made<F, L>
    where
        F: Future,
        L: FnMut(&mut Call, &F::Output),
    {
        Made::new(self, future, leave)
    }

    /// Observes the stream that the function returned, to its end.
    pub fn stream<S, F>(self, stream: S, verdict: F) -> Streamed<S, F>
    where
        S: Stream,
        F: Fn(&S::Item) -> Verdict<'_>,
    {
        Streamed::new(self, stream, verdict)
    }

    /// Ends the call: the function has returned.
    pub fn leave(&mut self, verdict: Verdict<'_>) {
        if self.progress != Progress::Silent {
            let end = match verdict {
                Verdict::Ok => End::Ok,
                Verdict::Error { kind, error, type_name } => End::Error { kind, error, type_name },
            };
            self.end(end, None);
        }
    }

    /// As [`leave`](Self::leave), of a function whose failures are told apart by the error's label.
    pub fn leave_with_kind(&mut self, verdict: Verdict<'_>, kind: Option<usize>) {
        self.leave(match (verdict, kind) {
            (Verdict::Error { error, type_name, .. }, Some(kind)) => {
                Verdict::Error { kind, error, type_name }
            }
            (verdict, _) => verdict,
        });
    }

    /// Ends the call, with what else there is to say of it.
    pub(crate) fn end(&mut self, end: End<'_>, details: Option<&mut Details>) {
        self.progress = Progress::Silent;
        let until = clock::now();
        let Some(shape) = self.site.shape() else { return };
        let series = self.series(shape, end);
        if self.site.spec.metrics {
            store::finished(shape, series, until.saturating_sub(self.started));
        }
        if !matches!(self.span, Open::Nowhere) {
            self.close(Ended { site: self.site, end, series, from: self.started, until, details });
        }
    }

    /// Ends the call's span, and says what there is to say.
    fn close(&mut self, mut call: Ended<'_>) {
        let quiet = call.is_quiet();
        let (frame, failures, notes) = match std::mem::replace(&mut self.span, Open::Nowhere) {
            Open::Nowhere => return,
            Open::Foreign(foreign) => return foreign.close(),
            Open::Frame(frame) if quiet && call.leave(frame) => return,
            Open::Own(mut span) if quiet && span.id.is_none() => {
                span.left().into_iter().for_each(|left| call.export(left));
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

    fn series(&self, shape: &Shape, end: End<'_>) -> usize {
        let outcome = match end {
            End::Ok => outcome::OK,
            End::Error { kind, .. } => shape.error(kind),
            End::Panic => shape.panic(),
            End::Cancelled => shape.cancelled(),
        };
        // Of a call that did not return, the result's labels all have the value behind their last.
        let complete = usize::from(self.result_labels) == self.site.spec.result_labels.len();
        let result = if complete { self.result as usize } else { shape.result_values - 1 };
        // Numbers that are too large are those of no series.
        let combination = (self.labels as usize).wrapping_mul(shape.result_values).wrapping_add(result);
        combination.wrapping_mul(shape.outcomes).wrapping_add(outcome)
    }
}

impl Call {
    /// Whether a panic has begun since the call has.
    #[inline]
    fn panicked(&self) -> bool {
        std::thread::panicking() && !self.unwinding
    }

    /// How the call has ended if it is dropped now.
    pub(crate) fn dropped(&self) -> Option<End<'static>> {
        match self.progress {
            Progress::Silent => None,
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

/// A call's state is its own, whatever a panic has left of the body's.
impl std::panic::UnwindSafe for Call {}
impl std::panic::RefUnwindSafe for Call {}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(end) = self.dropped() {
            self.end(end, None);
        }
    }
}
