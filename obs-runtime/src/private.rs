//! All that generated code may name. Not for use by hand: it changes without notice.
#![allow(missing_docs, reason = "documented where they are defined")]

pub use crate::__obs_names as names;
pub use crate::__obs_outcome as outcome;
pub use crate::__obs_site as site;
use crate::Context;
pub use crate::call::{Call, Running};
pub use crate::label::{Dimension, LabelIndex, MetricLabel, Values, nth, values};
pub use crate::outcome::{DisplayRef, ErrorRef, Outcome, probe};
pub use crate::site::{SITES, Site, SpanKind, Spec};
pub use core::option::Option;
pub use linkme;
pub use obs_macros::context;
use tracing_core::Callsite;
pub use tracing_core::callsite::Identifier;
pub use tracing_core::field::{FieldSet, Value, debug, display};
use tracing_core::subscriber::Interest;
pub use tracing_core::{Kind, Level, Metadata};

/// The text of a label's value.
pub type LabelText = std::borrow::Cow<'static, str>;

/// The name of an observed function.
pub type Name = &'static str;

/// A value that a field can hold as it is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be recorded in a field as it is",
    label = "no value of a field",
    note = "write `%` before it for its `Display`, or `?` for its `Debug`"
)]
pub trait FieldValue: Value {}

#[diagnostic::do_not_recommend]
impl<T: Value> FieldValue for T {}

/// The value of a field, named so that a type which is none is an error at the field.
#[inline]
pub fn value<'a, T: FieldValue>(value: &'a T) -> &'a (dyn Value + 'a) {
    value
}

/// The names of a context's fields: a static for each `context!`.
#[derive(Debug)]
pub struct Names(Metadata<'static>);

impl Names {
    /// Used by the `names!` macro.
    #[must_use]
    pub const fn new(fields: FieldSet, module: &'static str) -> Self {
        Self(Metadata::new("context", module, Level::ERROR, None, None, None, fields, Kind::SPAN))
    }
}

impl Callsite for Names {
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        &self.0
    }
}

/// Declares the static of a `context!` and evaluates to a reference to it.
#[doc(hidden)]
#[macro_export]
macro_rules! __obs_names {
    ([$($name:expr),*]) => {{
        static NAMES: $crate::__private::Names = $crate::__private::Names::new(
            $crate::__private::FieldSet::new(&[$($name),*], $crate::__private::Identifier(&NAMES)),
            ::core::module_path!(),
        );
        &NAMES
    }};
}

/// The context of `context!`.
#[must_use]
pub fn context_of(names: &'static Names, values: &[&dyn Value]) -> Context {
    Context::of_fields(|fields| {
        for (field, value) in names.0.fields().iter().zip(values) {
            value.record(&field, fields);
        }
    })
}

/// The labels of a call, none yet.
#[inline]
#[must_use]
pub fn labels() -> LabelIndex {
    LabelIndex::default()
}

/// Runs a function's body: as an argument of this type the closure is inferred to be `FnOnce`.
#[inline(always)]
#[allow(clippy::inline_always, reason = "the frame would show up in every backtrace")]
pub fn body<R>(body: impl FnOnce() -> R) -> R {
    body()
}

/// Stands where a value of the type is needed and never comes: behind `if false`.
///
/// # Panics
/// Always.
#[cold]
#[must_use]
pub fn never<R>() -> R {
    unreachable!("behind `if false`")
}
