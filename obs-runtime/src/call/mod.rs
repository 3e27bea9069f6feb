//! One observed call, from its first line to its outcome.

mod ended;
mod leave;
mod live;
mod made;
mod running;
mod stream;
mod watch;

pub use made::Made;
pub use running::Running;
pub use stream::Streamed;

pub(crate) use ended::{Details, End};
use live::{Counted, Live, Open, Progress};
use running::Entered;

use crate::context::{with_stack, with_stack_if_any};
use crate::label::{LabelIndex, Values};
use crate::outcome::{Judge, Verdict};
use crate::site::Site;
use crate::store::FunctionCells;
use crate::subscriber;
use futures_core::Stream;
use std::mem::ManuallyDrop;
use tracing_core::field::Value;
use tracing_core::span::Id;

/// A call of an observed function. Dropped before [`leave`](Call::leave), it panicked or was cancelled.
///
/// While nobody listens there is nothing in it, and what is inline is no more than to find that out. So it is dropped by
/// hand: what the compiler would make of it is so much that not even the look whether there is anything stays inline.
#[derive(Debug)]
pub struct Call(ManuallyDrop<Option<Live>>);

impl Drop for Call {
    #[inline]
    fn drop(&mut self) {
        if self.0.is_some() {
            self.end_dropped();
        }
    }
}

/// A call's state is its own, whatever a panic has left of the body's.
impl std::panic::UnwindSafe for Call {}
impl std::panic::RefUnwindSafe for Call {}

impl Call {
    /// A call that nobody observes.
    #[inline]
    #[must_use]
    pub const fn silent() -> Self {
        Self(ManuallyDrop::new(None))
    }

    /// Begins it, without labels and fields, if anybody listens.
    #[inline]
    pub fn enter(&mut self, site: &'static Site) {
        if site.on() {
            self.begin_bare(site);
        }
    }

    fn begin_bare(&mut self, site: &'static Site) {
        self.begin(site, LabelIndex::default());
    }

    /// Begins it.
    ///
    /// What nearly all calls take comes first and calls nothing; the rest is jumped to. Each writes the call where it is:
    /// were it put together elsewhere, it would be moved there by loads that are wider than the stores before them, which
    /// the processor has to wait for.
    pub fn begin(&mut self, site: &'static Site, labels: LabelIndex) {
        if site.mode().has_frame() {
            self.begin_on_stack(site, labels);
        } else {
            self.begin_counted(site, labels);
        }
    }

    /// Begins it without a frame.
    #[inline(never)]
    fn begin_counted(&mut self, site: &'static Site, labels: LabelIndex) {
        match Counted::place(site) {
            Some(cells) => self.begin_in(cells, site, labels, Open::Nowhere),
            None => self.begin_anyhow(site, labels, &[]),
        }
    }

    /// Begins it with a frame on its thread's stack.
    #[inline(never)]
    fn begin_on_stack(&mut self, site: &'static Site, labels: LabelIndex) {
        // Whose spans they are is looked at first, before there is anything that would have to be kept meanwhile.
        if site.mode().has_plain_frame() && subscriber::is_ours() {
            if let Some(cells) = Counted::place(site) {
                return match with_stack_if_any(|stack| stack.push_simple_call(site)).flatten() {
                    Some(frame) => self.begin_in(cells, site, labels, Open::Frame(frame)),
                    None => self.begin_below_others(cells, site, labels),
                };
            }
        }
        self.begin_anyhow(site, labels, &[]);
    }

    /// The same of one that is a trace of its own, or below a span that is elsewhere.
    #[inline(never)]
    fn begin_below_others(&mut self, cells: &'static FunctionCells, site: &'static Site, labels: LabelIndex) {
        match with_stack(|stack| stack.push_call(site, &[])) {
            Some(frame) => self.begin_in(cells, site, labels, Open::Frame(frame)),
            None => self.begin_anyhow(site, labels, &[]),
        }
    }

    /// Begins it with fields.
    pub fn begin_recorded(&mut self, site: &'static Site, labels: LabelIndex, values: &[&dyn Value]) {
        if !site.mode().has_frame() {
            return self.begin_counted(site, labels);
        }
        if site.mode().has_plain_frame() && subscriber::is_ours() {
            if let Some(cells) = Counted::place(site) {
                if let Some(frame) = with_stack(|stack| stack.push_call(site, values)) {
                    return self.begin_in(cells, site, labels, Open::Frame(frame));
                }
            }
        }
        self.begin_anyhow(site, labels, values);
    }

    /// The last step of the short ways.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the beginning of nearly every call")]
    fn begin_in(
        &mut self,
        cells: &'static FunctionCells,
        site: &'static Site,
        labels: LabelIndex,
        span: Open,
    ) {
        self.0 = ManuallyDrop::new(Some(Live::new(Counted::at(cells, site), labels, span)));
        // Last, as it may be a call, across which nothing else is to be kept.
        if std::thread::panicking() {
            if let Some(live) = &mut *self.0 {
                live.unwinding = true;
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn begin_anyhow(&mut self, site: &'static Site, labels: LabelIndex, values: &[&dyn Value]) {
        self.0 = ManuallyDrop::new(Live::begin(site, labels, values));
    }

    /// It ends as [`dropped`](Self::dropped) says, or as is plain to see without.
    #[inline(never)]
    fn end_dropped(&mut self) {
        match &mut *self.0 {
            // The end of every call whose body stays where it is.
            Some(live) if live.ends_ok_when_dropped() => self.leave_ok(),
            _ => drop(self.0.take()),
        }
    }

    /// Takes the span off this thread's stack: what comes next is not inside the call.
    pub fn lift(&mut self) {
        self.0.iter_mut().for_each(Live::lift);
    }

    /// Adds a label of the result.
    #[inline]
    pub fn result_label<L>(&mut self, values: Values<L>, label: &L) {
        if let Some(live) = &mut *self.0 {
            live.result_label(values, label);
        }
    }

    /// Runs what makes the future, inside the call's span.
    pub fn make<R>(&mut self, make: impl FnOnce() -> R) -> R {
        let Some(live) = &mut *self.0 else { return make() };
        // After a panic it stays one that panicked.
        let before = std::mem::replace(&mut live.progress, Progress::Polling);
        let mut entered = Entered::new(live);
        entered.is_here();
        let result = make();
        drop(entered);
        live.lift();
        live.progress = before;
        result
    }

    /// Polls the body's future inside the call's span.
    #[inline]
    pub fn run<F: Future>(&mut self, future: F) -> Running<'_, F> {
        Running::new(self, future)
    }

    /// Says that the call has to do with other spans, which are not its parent: `follows_from`.
    pub fn follows_from<C: Into<Option<Id>>>(&mut self, causes: impl IntoIterator<Item = C>) {
        if let Some(live) = &mut *self.0 {
            causes.into_iter().filter_map(Into::into).for_each(|cause| live.follow(&cause));
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
    ///
    /// Only of a failure is the address taken, in a place of its own, so that other results stay in registers. Whether it is
    /// one is looked at first, where that is but a look: the body knows, and goes one way or the other.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "or they would not")]
    pub fn leave<R, J: Judge<R>>(&mut self, judge: J, result: R) -> R {
        if (J::is_plain() || self.0.is_some()) && judge.fails(&result) {
            if self.0.is_some() {
                let failure = result;
                self.fail(judge, &failure);
                self.forget();
                return failure;
            }
        } else {
            self.leave_ok();
        }
        result
    }

    #[cold]
    #[inline(never)]
    fn fail<R>(&mut self, judge: impl Judge<R>, failure: &R) {
        self.conclude(judge, failure);
    }

    /// As [`leave`](Self::leave), of a function that can't fail.
    #[inline]
    pub fn leave_ok(&mut self) {
        if let Some(live) = &mut *self.0 {
            live.leave_ok();
            self.forget();
        }
    }

    /// What it held is gone, and its end is not to be looked for again: the compiler then knows that there is none.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "or it would not")]
    fn forget(&mut self) {
        self.0 = ManuallyDrop::new(None);
    }

    /// Ends the call of a future that was returned.
    pub fn conclude<R>(&mut self, judge: impl Judge<R>, result: &R) {
        if let Some(live) = &mut *self.0 {
            live.leave(judge.verdict(result));
        }
    }

    /// Ends the call, with what else there is to say of it.
    pub(crate) fn end(&mut self, end: End<'_>, details: Option<&mut Details>) {
        if let Some(live) = &mut *self.0 {
            live.end(end, details);
        }
    }

    /// How the call has ended if it is dropped now.
    pub(crate) fn dropped(&self) -> Option<End<'static>> {
        self.0.as_ref()?.dropped()
    }
}
