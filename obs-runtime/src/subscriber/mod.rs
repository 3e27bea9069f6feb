//! Our own `tracing::Subscriber`: every span and event of the process, third-party crates included.

mod asked;
mod directives;
mod filter;
mod force;
mod foreign;
#[cfg(feature = "layer")]
mod layer;
mod notes;
mod span_directives;
mod spans;

pub(crate) use asked::{Asked, anything_here as anything_asked, here as asked_here};
pub(crate) use filter::{Filter, InvalidDirectives};
#[cfg(feature = "log")]
pub(crate) use force::logs;
pub(crate) use force::{apply, most_verbose, put, refresh, refresh_here, spawn};
pub(crate) use foreign::Foreign;
#[cfg(feature = "layer")]
pub(crate) use layer::say;
#[cfg(feature = "layer")]
pub use layer::{Layer, layer};
pub(crate) use notes::note;
pub(crate) use span_directives::{any as compares_spans, compare_frame};
pub(crate) use spans::{enter, link_to};
pub(crate) use spans::{recorded, release, retain, take_notes};

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::thread;
use tracing_core::dispatcher;
use tracing_core::span::{Attributes, Current, Id, Record};
use tracing_core::subscriber::Interest;
use tracing_core::{Dispatch, Event, LevelFilter, Metadata, Subscriber};

/// The subscriber that [`init`](crate::init) installs.
#[derive(Debug)]
pub(crate) struct ObsSubscriber;

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
        if elsewhere == Some(std::ptr::from_ref(dispatch).addr()) && is_one_of_ours(dispatch) {
            DEFAULT.store(std::ptr::from_ref(dispatch).cast_mut(), Ordering::Relaxed);
        }
    });
}

/// Whether spans and events of this thread go to our subscriber, not to one that a scope put before it.
#[inline]
pub(crate) fn is_ours() -> bool {
    // Nearly always the default, which need not be asked what it is.
    dispatcher::get_default(std::ptr::from_ref) == DEFAULT.load(Ordering::Relaxed).cast_const() || asks_ours()
}

#[cold]
#[inline(never)]
fn asks_ours() -> bool {
    dispatcher::get_default(is_one_of_ours)
}

/// Whether it is our subscriber, or a stack with our layer.
fn is_one_of_ours(dispatch: &Dispatch) -> bool {
    #[cfg(feature = "layer")]
    let layered = dispatch.is::<Layer>();
    #[cfg(not(feature = "layer"))]
    let layered = false;
    layered || dispatch.is::<ObsSubscriber>()
}

impl Subscriber for ObsSubscriber {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        force::interest(metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        force::enabled(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(most_verbose())
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let parent = attributes.parent().map(Id::into_non_zero_u64);
        Id::from_non_zero_u64(spans::open(attributes, parent))
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        spans::record(id.into_non_zero_u64(), values);
    }

    fn record_follows_from(&self, id: &Id, follows: &Id) {
        follows_from(id.into_non_zero_u64(), follows.into_non_zero_u64());
    }

    fn event(&self, event: &Event<'_>) {
        let parent = event.parent().map(Id::into_non_zero_u64);
        if force::hears_enabled(event, parent) {
            happened(event, parent);
        }
    }

    fn enter(&self, id: &Id) {
        spans::enter(id.into_non_zero_u64());
    }

    fn exit(&self, id: &Id) {
        spans::exit(id.into_non_zero_u64());
    }

    fn clone_span(&self, id: &Id) -> Id {
        spans::retain(id.into_non_zero_u64());
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        spans::close(id.into_non_zero_u64())
    }

    fn current_span(&self) -> Current {
        spans::current().map_or_else(Current::none, |(id, metadata)| Current::new(id, metadata))
    }
}

/// A span has to do with another one.
fn follows_from(id: NonZeroU64, follows: NonZeroU64) {
    if let Some(other) = spans::trace_of(follows) {
        notes::of_span(id, |notes| notes.link(other, false));
    }
}

/// An event, in the span of that number if it names one.
fn happened(event: &Event<'_>, parent: Option<NonZeroU64>) {
    #[cfg(feature = "otlp")]
    notes::event(event, parent);
    #[cfg(feature = "log")]
    crate::log::event(event, parent);
    #[cfg(not(any(feature = "log", feature = "otlp")))]
    let _ = (event, parent);
}
