//! Observed calls under a subscriber that is not ours: they are plain `tracing` spans there.

use crate::busy;
use crate::local::local;
use crate::site::Site;
use tracing_core::Dispatch;
use tracing_core::dispatcher;
use tracing_core::field::Value;
use tracing_core::span::{Attributes, Id};

/// A span in the subscriber that was in force when the call began.
#[derive(Debug)]
pub(crate) struct Foreign {
    dispatch: Dispatch,
    id: Option<Id>,
    entered: bool,
}

impl Foreign {
    /// Opens the call's span if the subscriber wants it, and enters it unless the call is a future.
    #[cold]
    pub(crate) fn open(site: &'static Site, values: &[&dyn Value]) -> Self {
        // Its methods may be observed.
        let _busy = busy::now();
        let dispatch = dispatcher::get_default(Clone::clone);
        let metadata = &site.metadata;
        let values: Vec<Option<&dyn Value>> = values.iter().map(|value| Some(*value)).collect();
        let id = dispatch.enabled(metadata).then(|| {
            dispatch.new_span(&Attributes::new(metadata, &metadata.fields().value_set_all(&values)))
        });
        let mut span = Self { dispatch, id, entered: false };
        if !site.spec.future {
            span.enter();
        }
        span
    }

    /// Opens and enters the same span for the layers beside ours.
    #[cold]
    pub(crate) fn open_beside(site: &'static Site, values: &[&dyn Value]) -> Self {
        let mut span = Self::open(site, values);
        span.enter();
        span
    }

    pub(crate) fn enter(&mut self) {
        if let Some(id) = self.id.as_ref().filter(|_| !self.entered) {
            let _busy = busy::now();
            self.dispatch.enter(id);
            self.entered = true;
        }
    }

    pub(crate) fn exit(&mut self) {
        if let Some(id) = self.id.as_ref().filter(|_| self.entered) {
            let _busy = busy::now();
            self.dispatch.exit(id);
            self.entered = false;
        }
    }

    /// Says that the span has to do with another one.
    pub(crate) fn follows_from(&self, cause: &Id) {
        if let Some(id) = &self.id {
            let _busy = busy::now();
            self.dispatch.record_follows_from(id, cause);
        }
    }

    /// Ends the span.
    pub(crate) fn close(mut self: Box<Self>) {
        // What frees something may be observed as well.
        let _busy = busy::now();
        self.exit();
        if let Some(id) = self.id.take() {
            self.dispatch.try_close(id);
        }
        self.dispatch = Dispatch::none();
        self.keep();
    }

    /// In a box that one before it has left, if there is one.
    pub(crate) fn boxed(self) -> Box<Self> {
        let Some(mut spare) = local(|local| local.foreign.take()) else { return Box::new(self) };
        *spare = self;
        spare
    }

    /// Leaves the box to the next, unless the thread is being torn down.
    fn keep(self: Box<Self>) {
        local(|local| {
            if local.cells.get().is_some() {
                drop(local.foreign.take());
                local.foreign.put(Some(self));
            }
        });
    }
}
