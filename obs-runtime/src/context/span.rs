//! A span off the stack: what has to survive while a future waits, or another thread holds the span.

use super::fields::{Entry, FieldRuns};
use super::identity::Identity;
use super::notes::Notes;
use super::{Carried, Failures, Fields};
use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use tracing_core::Metadata;

/// An open span that is entered now and then, by one thread or another.
pub(crate) struct Span {
    pub(crate) metadata: &'static Metadata<'static>,
    /// The nearest observed function, this span's own included.
    pub(crate) function: Option<&'static Metadata<'static>>,
    pub(crate) identity: Identity,
    /// Inherited fields, then the span's own.
    pub(crate) fields: Fields,
    /// How many of the fields are inherited.
    pub(crate) inherited: usize,
    /// Whether two fields have the same key.
    pub(crate) shadows: bool,
    pub(crate) failures: Failures,
    /// What the request carries besides, inherited or its own.
    pub(crate) carried: Option<Arc<Carried>>,
    pub(crate) notes: Notes,
    /// The number by which `tracing` knows the span, if anybody asked for it.
    pub(crate) id: Option<NonZeroU64>,
}

impl Span {
    /// A span that has no fields yet.
    pub(crate) fn new(metadata: &'static Metadata<'static>, identity: Identity) -> Self {
        Self {
            metadata,
            function: None,
            identity,
            carried: None,
            notes: Notes::new(),
            fields: Fields::new(),
            inherited: 0,
            shadows: false,
            failures: Failures::new(),
            id: None,
        }
    }

    /// Makes it one that has nothing yet, with room for as many fields.
    pub(crate) fn forget(&mut self) {
        self.clear();
        (self.carried, self.id) = (None, None);
        (self.failures, self.notes) = (Failures::new(), Notes::new());
    }

    /// The same of one that [`is_bare`](Self::is_bare).
    pub(super) fn clear(&mut self) {
        self.fields.clear();
        (self.inherited, self.shadows, self.function) = (0, false, None);
    }

    /// Whether it has nothing but fields.
    pub(super) fn is_bare(&self) -> bool {
        self.is_simple() && self.failures.is_empty()
    }

    /// The same, less what has happened in it.
    pub(crate) fn copied(&self) -> Self {
        Self {
            fields: self.fields.clone(),
            carried: self.carried.clone(),
            failures: Failures::new(),
            notes: Notes::new(),
            ..*self
        }
    }

    /// Takes over fields from the span above.
    pub(crate) fn inherit(&mut self, from: &Fields, entries: &[Entry], shadows: bool) {
        self.fields.append(from, entries);
        self.inherited = self.fields.begin_scope();
        self.shadows |= shadows;
    }

    /// Appends the fields that `record` writes, as the span's own.
    pub(crate) fn record(&mut self, record: impl FnOnce(&mut Fields)) {
        let before = self.fields.len();
        record(&mut self.fields);
        let (old, new) = self.fields.all().split_at(before);
        self.shadows |= new.iter().any(|entry| self.fields.shadowed(entry, &self.fields, old));
    }

    /// Whether there is nothing to say of it but its fields, and nobody holds it by its number.
    pub(crate) fn is_simple(&self) -> bool {
        self.notes.is_empty() && self.carried.is_none() && self.id.is_none()
    }

    /// Its own fields, and those that contexts around it have brought.
    pub(crate) fn exported_fields(&self) -> FieldRuns<'_> {
        self.fields.of_span(self.fields.all(), self.inherited)
    }

    /// Sets fields of the span's own.
    pub(crate) fn set(&mut self, new: &Fields) {
        let mut own = Fields::new();
        own.extend(&self.fields, self.fields.entries(self.inherited..self.fields.len()), |_| true);
        own.set(new);
        self.fields.truncate(self.inherited);
        self.record(|fields| fields.extend(&own, own.all(), |_| true));
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Span")
            .field("name", &self.metadata.name())
            .field("trace", &self.identity.trace)
            .finish_non_exhaustive()
    }
}
