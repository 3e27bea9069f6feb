//! What is known of an observed function at compile time: one static each.

mod mode;

use crate::clock;
use crate::label::{Dimension, LabelTexts, MetricLabel, push_texts, values, with_absent};
use crate::store::Shape;
use mode::Decided;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use tracing_core::callsite::Identifier;
use tracing_core::field::FieldSet;
use tracing_core::{Kind, Level, LevelFilter, Metadata};

/// All observed functions of the program, put together by the linker.
#[linkme::distributed_slice]
pub static SITES: [Site];

/// The `OpenTelemetry` kind of a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpanKind {
    /// Work inside the service.
    #[default]
    Internal,
    /// Answers a request from outside.
    Server,
    /// Makes a request to another service.
    Client,
    /// Hands a message to a queue.
    Producer,
    /// Takes a message from a queue.
    Consumer,
}

/// A service-level objective: which share of calls is to be good.
#[derive(Clone, Copy, Debug)]
pub struct Slo {
    /// A good call takes no longer; 0 if it may.
    pub latency_nanos: u64,
    /// The share, above 0 and below 1.
    pub objective: f64,
}

/// The arguments of `#[observe]`, as constants.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is one argument of the attribute")]
pub struct Spec {
    /// The stem of its metric families, unless it shares them.
    metric: Option<&'static str>,
    pub(crate) labels: &'static [Dimension],
    pub(crate) result_labels: &'static [Dimension],
    pub(crate) error_kinds: Option<Dimension>,
    /// Its bounds, unless they are the usual ones.
    buckets: Option<&'static [f64]>,
    pub(crate) kind: SpanKind,
    pub(crate) err_level: Level,
    pub(crate) ok_level: Level,
    pub(crate) slow_nanos: u64,
    #[cfg(feature = "profile")]
    pub(crate) stuck_nanos: Option<u64>,
    pub(crate) budget: usize,
    pub(crate) fallible: bool,
    pub(crate) future: bool,
    pub(crate) stays: bool,
    pub(crate) early_is_ok: bool,
    pub(crate) slo: Option<Slo>,
    pub(crate) span: bool,
    pub(crate) metrics: bool,
    pub(crate) log: bool,
}

/// Upper bounds in seconds, from a fast in-memory call to a slow dependency.
pub(crate) const DEFAULT_BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// How many combinations of labels and outcomes a function may have unless it says otherwise.
const DEFAULT_BUDGET: usize = 300;

/// The stem of the metric families that functions share.
pub(crate) const SHARED_METRIC: &str = "function";

impl Spec {
    /// The defaults.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "`Default` is not const")]
    pub const fn new() -> Self {
        Self {
            metric: None,
            labels: &[],
            result_labels: &[],
            error_kinds: None,
            buckets: None,
            kind: SpanKind::Internal,
            err_level: Level::ERROR,
            ok_level: Level::DEBUG,
            slow_nanos: u64::MAX,
            #[cfg(feature = "profile")]
            stuck_nanos: None,
            budget: DEFAULT_BUDGET,
            fallible: true,
            future: false,
            stays: false,
            early_is_ok: false,
            slo: None,
            span: true,
            metrics: true,
            log: true,
        }
    }

    /// The stem of the metric families that it is counted in.
    pub(crate) fn stem(&self) -> &'static str {
        self.metric.unwrap_or(SHARED_METRIC)
    }

    /// The upper bounds of its buckets in seconds.
    pub(crate) fn bounds(&self) -> &'static [f64] {
        self.buckets.unwrap_or(DEFAULT_BUCKETS)
    }

    /// How many outcomes the function can have: what its budget counts.
    #[must_use]
    pub const fn possible_outcomes(&self) -> usize {
        let errors = match self.error_kinds {
            Some(kinds) => kinds.cardinality,
            None if self.fallible => 1,
            None => 0,
        };
        let ok_and_panic = 2;
        ok_and_panic + errors + if self.future { 1 } else { 0 }
    }

    /// `stuck = ".."`, which is looked at with the feature `profile` alone; never, at the largest number.
    #[must_use]
    #[cfg_attr(not(feature = "profile"), allow(unused_mut, unused_variables))]
    pub const fn stuck_nanos(mut self, nanos: u64) -> Self {
        #[cfg(feature = "profile")]
        {
            self.stuck_nanos = Some(nanos);
        }
        self
    }

    /// How many outcomes each combination of labels has: success, the ways to fail, a panic, and being cancelled.
    pub(crate) fn outcomes(&self) -> usize {
        self.error_kinds.map_or(1, |kinds| kinds.cardinality) + 3
    }

    const fn ends_ok_when_dropped(&self) -> bool {
        let labelled = !self.result_labels.is_empty();
        self.stays && !self.future && (!self.fallible || self.early_is_ok) && !labelled
    }

    /// Counts failures by the values of `K`.
    #[must_use]
    pub const fn errors<K: MetricLabel>(mut self) -> Self {
        self.error_kinds = Some(values::<K>().named("error"));
        self
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $ty:ty)?) $slot:ident = $value:expr;)*) => {
        impl Spec {
            $($(#[$doc])*
            #[must_use]
            pub const fn $name(mut self $(, $arg: $ty)?) -> Self {
                self.$slot = $value;
                self
            })*
        }
    };
}

setters! {
    /// `metric = ".."`
    metric(metric: &'static str) metric = Some(metric);
    /// `labels(..)` over the parameters.
    labels(labels: &'static [Dimension]) labels = labels;
    /// `labels(..)` over the return value.
    result_labels(labels: &'static [Dimension]) result_labels = labels;
    /// `buckets = [..]`
    buckets(buckets: &'static [f64]) buckets = Some(buckets);
    /// `budget = N`
    budget(budget: usize) budget = budget;
    /// `kind = ".."`
    kind(kind: SpanKind) kind = kind;
    /// `err(level = "..")`
    err_level(level: Level) err_level = level;
    /// `ok(level = "..")`
    ok_level(level: Level) ok_level = level;
    /// `slow = ".."`
    slow_nanos(nanos: u64) slow_nanos = nanos;
    /// The return type shows that the function can't fail.
    infallible() fallible = false;
    /// An `async` function, which can be cancelled.
    future() future = true;
    /// A body that was not moved into a closure, and may be left early.
    stays() stays = true;
    /// Leaving such a body early is no failure, as far as can be seen.
    early_is_ok() early_is_ok = true;
    /// `slo(..)`
    slo(slo: Slo) slo = Some(slo);
    /// `no_span`
    no_span() span = false;
    /// `no_metrics`
    no_metrics() metrics = false;
    /// `no_log`
    no_log() log = false;
}

/// What an observed function is called, and where it is.
#[derive(Clone, Copy, Debug)]
pub struct Declared {
    /// Its name in spans and metrics.
    pub name: &'static str,
    /// Where its lines say that they come from.
    pub target: &'static str,
    /// The level of its span.
    pub level: Level,
    /// Its place in the source.
    pub file: &'static str,
    /// See `file`.
    pub line: u32,
    /// The module that it is in.
    pub module: &'static str,
}

/// An observed function.
#[derive(Debug)]
pub struct Site {
    pub(crate) spec: Spec,
    pub(crate) metadata: Metadata<'static>,
    /// The names of its fields as JSON keys, see [`json_key`](crate::context::json_key).
    pub(crate) keys: &'static [&'static str],
    shape: OnceLock<Shape>,
    /// The function's place in each thread's table, once a call may be counted without more ado; before that, one that
    /// no table has.
    quick: AtomicUsize,
    /// Whether a call that is dropped while nothing panics has returned, has not failed, and has no more labels.
    pub(crate) ends_ok_when_dropped: bool,
    /// What is to be done for a call, see [`Mode`]. Nothing until a runtime starts.
    mode: AtomicU8,
    /// The most verbose level that the log filter lets through for this function, as a number, and in the upper half
    /// the one that anybody has asked for.
    verbosity: AtomicU8,
    decided: Mutex<Decided>,
}

impl Site {
    /// Used by the `site!` macro.
    #[must_use]
    pub const fn new(
        spec: Spec,
        declared: Declared,
        fields: &'static [&'static str],
        keys: &'static [&'static str],
        callsite: &'static Self,
    ) -> Self {
        let Declared { name, target, level, file, line, module } = declared;
        let fields = FieldSet::new(fields, Identifier(callsite));
        let metadata =
            Metadata::new(name, target, level, Some(file), Some(line), Some(module), fields, Kind::SPAN);
        Self::of(spec, metadata, keys)
    }

    /// With metadata that knows it as its callsite.
    pub(crate) const fn of(spec: Spec, metadata: Metadata<'static>, keys: &'static [&'static str]) -> Self {
        Self {
            ends_ok_when_dropped: spec.ends_ok_when_dropped(),
            spec,
            metadata,
            keys,
            shape: OnceLock::new(),
            quick: AtomicUsize::new(usize::MAX),
            mode: AtomicU8::new(0),
            verbosity: AtomicU8::new(0),
            decided: Mutex::new(Decided::NOTHING),
        }
    }

    /// One that the program's list does not have.
    #[cfg(test)]
    pub(crate) const fn of_tests(name: &'static str, spec: Spec) -> Self {
        static CALLSITE: Site = Site::of_tests("", Spec::new());
        let declared =
            Declared { name, target: "tests", level: Level::INFO, file: "", line: 0, module: "tests" };
        Self::new(spec, declared, &[], &[], &CALLSITE)
    }

    /// The `function` label.
    pub(crate) fn function(&self) -> &'static str {
        self.metadata.name()
    }

    /// Where the function's series lie; `None` before the store knows of it.
    #[inline]
    pub(crate) fn shape(&self) -> Option<&Shape> {
        self.shape.get()
    }

    /// The function's number, if its calls are counted without more ado.
    #[inline]
    pub(crate) fn quick(&self) -> usize {
        self.quick.load(Ordering::Relaxed)
    }

    pub(crate) fn place(&self, shape: Shape) {
        let id = shape.id;
        if self.shape.set(shape).is_ok() && self.spec.metrics && clock::is_counter() {
            self.quick.store(id, Ordering::Relaxed);
        }
    }

    /// The labels of a series.
    pub(crate) fn labels(&self, shape: &Shape, series: usize) -> LabelTexts {
        let combination = series / shape.outcomes;
        let (parameters, result) = (combination / shape.result_values, combination % shape.result_values);
        let mut texts = Vec::new();
        push_texts(&mut texts, self.spec.labels, self.spec.labels, parameters);
        let widened: Vec<Dimension> = self.spec.result_labels.iter().map(with_absent).collect();
        push_texts(&mut texts, self.spec.result_labels, &widened, result);
        texts
    }
}

/// 1 for ERROR to 5 for TRACE.
#[inline]
pub(crate) fn level_number(level: Level) -> u8 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

pub(crate) fn filter_number(filter: LevelFilter) -> u8 {
    filter.into_level().map_or(0, level_number)
}

/// A field's name as a JSON key, made by the compiler.
#[doc(hidden)]
#[macro_export]
macro_rules! __obs_json_key {
    ($name:expr) => {{
        const __NAME_OF_FIELD: $crate::__private::Name = $name;
        const __KEY: [$crate::__private::u8; __NAME_OF_FIELD.len() + 3] =
            $crate::__private::json_key(__NAME_OF_FIELD);
        $crate::__private::json_key_text(__NAME_OF_FIELD, &__KEY)
    }};
}

/// Declares the static of one observed function and evaluates to a reference to it.
#[doc(hidden)]
#[macro_export]
macro_rules! __obs_site {
    ($name:expr, $spec:expr, $level:expr, [$($field:expr),*]) => {
        $crate::__private::site!($name, $spec, $level, [$($field),*], $crate::__private::module_path!())
    };
    ($name:expr, $spec:expr, $level:expr, [$($field:expr),*], $target:expr) => {{
        #[$crate::__private::linkme::distributed_slice($crate::__private::SITES)]
        #[linkme(crate = $crate::__private::linkme)]
        static SITE: $crate::__private::Site = $crate::__private::Site::new(
            $spec,
            $crate::__private::Declared {
                name: $name,
                target: $target,
                level: $level,
                file: $crate::__private::file!(),
                line: $crate::__private::line!(),
                module: $crate::__private::module_path!(),
            },
            &[$($field),*],
            &[$($crate::__private::json_key!($field)),*],
            &SITE,
        );
        &SITE
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_numbered_from_error_to_trace() {
        let levels = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
        assert_eq!(levels.map(level_number), [1, 2, 3, 4, 5]);
        assert_eq!(filter_number(LevelFilter::OFF), 0);
    }
}
