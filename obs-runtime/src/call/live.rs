//! A call that is observed: how it begins.

use crate::context::{FrameKey, Span, with_stack, with_stack_if_any};
use crate::label::{LabelIndex, Values};
use crate::local::local;
use crate::site::Site;
use crate::store::{self, FunctionCells};
use crate::subscriber::{self, Foreign};
use crate::{busy, clock, trace};
use tracing_core::field::Value;
use tracing_core::span::Id;

/// What is kept of a call while it runs. Dropped before its end, it panicked or was cancelled.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) site: &'static Site,
    /// Where it is counted, as long as it has not left the thread that it began on, and ticks are those of the counter.
    pub(super) cells: Option<&'static FunctionCells>,
    pub(super) started: u64,
    /// The position of the call's labels, those of the result included as far as they are known.
    pub(super) labels: u32,
    /// How many labels of the result are known.
    pub(super) result_labels: u8,
    pub(super) progress: Progress,
    /// It began while the thread was unwinding: in a destructor.
    pub(super) unwinding: bool,
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
    /// counted on this thread before, and the runtime is not busy there.
    #[inline]
    pub(super) fn place(site: &Site) -> Option<&'static FunctionCells> {
        local(|local| local.ready.get()).called(site.quick())
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
        let beside = shown.then(|| Foreign::open_beside(site, values).boxed());
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
                Open::Foreign(Foreign::open(site, values).boxed())
            } else {
                Open::Nowhere
            };
        }
        if let Some(frame) = with_stack(|stack| stack.push_call(site, values)) {
            if site.mode().is_compared() {
                subscriber::compare_frame(frame);
            }
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
            let simple = with_stack_if_any(|stack| stack.lift_simple(frame)).flatten();
            let span = simple.or_else(|| {
                // What it allocates by may be observed, and finds the stack taken.
                let _busy = busy::now();
                with_stack(|stack| stack.lift(frame)).flatten()
            });
            // A frame's name has nothing to drop.
            std::mem::forget(std::mem::replace(&mut self.span, span.map_or(Open::Nowhere, Open::Own)));
            self.beside.iter_mut().for_each(|beside| beside.exit());
        }
        self.is_gone();
    }

    /// Whether the span is not on this thread's stack from the call's beginning on.
    #[inline]
    pub(super) fn is_elsewhere(&self) -> bool {
        matches!(self.span, Open::Own(_) | Open::Foreign(_))
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
}
