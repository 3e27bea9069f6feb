//! All that generated code may name. Not for use by hand: it changes without notice.
#![allow(missing_docs, reason = "documented where they are defined")]

#[cfg(feature = "health")]
pub use crate::__obs_health_check as health_check;
pub use crate::__obs_json_key as json_key;
pub use crate::__obs_judge as judge;
pub use crate::__obs_names as names;
pub use crate::__obs_shown_judge as shown_judge;
pub use crate::__obs_site as site;
pub use crate::call::{Call, Made, Running, Streamed};
use crate::context::{FrameKey, with_stack};
pub use crate::context::{json_key, json_key_text};
#[cfg(feature = "health")]
pub use crate::health::{CHECKS, Declared as DeclaredCheck, Probe, Spec as CheckSpec, run as run_check};
pub use crate::label::{Dimension, LabelIndex, MetricLabel, Values, nth, values};
pub use crate::outcome::{Never, is_none, kinds_of, none_fails, probe, verdict};
#[cfg(feature = "profile-heap")]
pub use crate::profile::{MALLOC_CONF, MallocConf};
pub use crate::site::{Declared, SITES, Site, Slo, SpanKind, Spec};
use crate::{Context, Entered, subscriber};
pub use core::marker::Sized;
pub use core::primitive::{u8, usize};
#[cfg(feature = "health")]
pub use core::time::Duration;
pub use core::{concat, file, line, module_path};
pub use linkme;
pub use obs_macros::context;
pub use std::boxed::Box;
#[cfg(feature = "profile-heap")]
pub use tikv_jemallocator::Jemalloc;
use tracing_core::Callsite;
use tracing_core::Dispatch;
pub use tracing_core::Level;
pub use tracing_core::callsite::Identifier;
pub use tracing_core::field::{FieldSet, Value, debug, display};
use tracing_core::span::Id;
use tracing_core::subscriber::Interest;
use tracing_core::{Kind, Metadata};

/// What the fuzzer feeds: the admin server, by the bytes of one connection.
#[cfg(all(fuzzing, feature = "admin"))]
pub fn feed_admin(input: &[u8]) {
    crate::admin::fuzz::feed(input);
}

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
            $crate::__private::module_path!(),
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

/// For `parent = ..`: inside that span until the guard is dropped. Under a subscriber that is not ours, that is its
/// matter.
#[must_use]
pub fn within(parent: impl Into<Option<Id>>) -> Within {
    match parent.into() {
        Some(id) if subscriber::is_ours() && !crate::state::layered() => {
            Within(subscriber::enter(id.into_non_zero_u64()).map_or(Place::Nowhere, Place::Frame))
        }
        Some(id) => {
            let dispatch = tracing_core::dispatcher::get_default(Clone::clone);
            dispatch.enter(&id);
            Within(Place::Foreign(dispatch, id))
        }
        None => within_nothing(),
    }
}

/// Where it is, if nobody listens.
#[must_use]
pub fn nowhere() -> Within {
    Within(Place::Nowhere)
}

/// Whether anybody listens.
#[inline]
#[must_use]
pub fn listening() -> bool {
    crate::state::running()
}

/// For `parent = None`: inside nothing until the guard is dropped.
#[must_use]
pub fn within_nothing() -> Within {
    Within(Place::Nothing(Context::root().enter()))
}

/// Leaves what it is within when it is dropped.
#[derive(Debug)]
pub struct Within(Place);

#[derive(Debug)]
enum Place {
    Nowhere,
    Frame(FrameKey),
    Nothing(#[allow(dead_code, reason = "left when it is dropped")] Entered),
    Foreign(Dispatch, Id),
}

impl Drop for Within {
    fn drop(&mut self) {
        match &self.0 {
            Place::Frame(frame) => _ = with_stack(|stack| stack.pop(*frame)),
            Place::Foreign(dispatch, id) => dispatch.exit(id),
            Place::Nowhere | Place::Nothing(_) => {}
        }
    }
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
