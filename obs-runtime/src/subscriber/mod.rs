//! Our own `tracing::Subscriber`: every span and event of the process, third-party crates included.

mod filter;
mod foreign;
mod notes;
mod spans;

pub(crate) use filter::Filter;
pub(crate) use foreign::Foreign;
pub(crate) use notes::note;
pub(crate) use spans::{enter, link_to};
pub(crate) use spans::{recorded, release, retain, take_notes};

use crate::context::{FrameKind, with_stack};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::thread;
use tracing_core::dispatcher;
use tracing_core::span::{Attributes, Current, Id, Record};
use tracing_core::subscriber::Interest;
use tracing_core::{Dispatch, Event, LevelFilter, Metadata, Subscriber};

/// The subscriber that [`init`](crate::init) installs.
#[derive(Debug)]
pub(crate) struct ObsSubscriber {
    filter: Filter,
}

impl ObsSubscriber {
    pub(crate) fn new(filter: Filter) -> Self {
        Self { filter }
    }
}

/// Where `tracing` keeps the process' default subscriber, once that is ours.
static DEFAULT: AtomicPtr<Dispatch> = AtomicPtr::new(std::ptr::null_mut());

/// Our subscriber is the process' default from now on.
pub(crate) fn installed() {
    fn place() -> usize {
        dispatcher::get_default(|dispatch| std::ptr::from_ref(dispatch).addr())
    }
    // What is at the same place for two threads belongs to neither.
    let elsewhere =
        thread::scope(|scope| thread::Builder::new().spawn_scoped(scope, place).ok()?.join().ok());
    dispatcher::get_default(|dispatch| {
        if elsewhere == Some(std::ptr::from_ref(dispatch).addr()) && dispatch.is::<ObsSubscriber>() {
            DEFAULT.store(std::ptr::from_ref(dispatch).cast_mut(), Ordering::Relaxed);
        }
    });
}

/// Whether spans and events of this thread go to our subscriber, not to one that a scope put before it.
#[inline]
pub(crate) fn is_ours() -> bool {
    dispatcher::get_default(|dispatch| {
        // Nearly always the default, which need not be asked what it is.
        std::ptr::from_ref(dispatch) == DEFAULT.load(Ordering::Relaxed).cast_const()
            || dispatch.is::<ObsSubscriber>()
    })
}

impl Subscriber for ObsSubscriber {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        if metadata.is_span() { self.filter.spans(metadata) } else { self.filter.logs(metadata) }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.filter.most_verbose())
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        spans::open(attributes)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        spans::record(id, values);
    }

    fn record_follows_from(&self, id: &Id, follows: &Id) {
        if let Some(other) = spans::trace_of(follows) {
            notes::of_span(id.into_non_zero_u64(), |notes| notes.link(other, false));
        }
    }

    fn event(&self, event: &Event<'_>) {
        #[cfg(feature = "otlp")]
        notes::event(event);
        #[cfg(feature = "log")]
        crate::log::event(event);
        #[cfg(not(feature = "log"))]
        let _ = event;
    }

    fn enter(&self, id: &Id) {
        spans::with(id, |span| with_stack(|stack| stack.enter(span, FrameKind::Entered)));
    }

    fn exit(&self, id: &Id) {
        spans::exit(id);
    }

    fn clone_span(&self, id: &Id) -> Id {
        spans::retain(id.into_non_zero_u64());
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        spans::close(&id)
    }

    fn current_span(&self) -> Current {
        spans::current().map_or_else(Current::none, |(id, metadata)| Current::new(id, metadata))
    }
}
