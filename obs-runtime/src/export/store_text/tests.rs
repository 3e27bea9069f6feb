//! What we write is compared with what `prometheus-client` writes of the same numbers.

use super::encode_snapshot;
use crate::clock;
use crate::export::prometheus::TextFormat;
use crate::export::text_format::to_prometheus_text;
use crate::label::{Dimension, LabelTexts, digits, values, with_absent};
use crate::site::{Site, Spec};
use crate::store::{FunctionSnapshot, SharedBuckets, outcome, shape};
use crate::{Bounded, Label};
use fastrand::Rng;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

/// Texts that need escaping, are not in order, or are empty.
struct Odd;

impl Label for Odd {
    const CARDINALITY: usize = 6;
    const HAS_EMPTY: bool = true;

    fn index(&self) -> usize {
        0
    }

    fn value(index: usize) -> Cow<'static, str> {
        ["plain", "a \"quote\"", "back\\slash", "new\nline", "", "plain text"][index].into()
    }
}

/// One value, which is no text.
struct Empty;

impl Label for Empty {
    const CARDINALITY: usize = 1;

    fn index(&self) -> usize {
        0
    }

    fn value(_: usize) -> Cow<'static, str> {
        "".into()
    }
}

struct Unused;

type Flag = Option<bool>;
type Tenant = Bounded<Unused, 3>;

const fn spec() -> Spec {
    Spec::new()
}

/// Functions of all sorts, in the order of their names.
const FUNCTIONS: &[(&str, Spec)] = &[
    ("a \"quote\"", spec().labels(&[values::<Odd>().named("z"), values::<Odd>().named("a")])),
    ("absent", spec().errors::<bool>().labels(&[values::<Flag>().named("z"), values::<Empty>().named("b")])),
    ("alone", spec().metric("own").buckets(&[])),
    ("bounded", spec().labels(&[values::<Tenant>().named("tenant"), values::<bool>().named("a")])),
    ("fallible", spec().future()),
    ("infallible", spec().infallible()),
    // Labels before and behind `error`, and one whose name begins like another.
    ("kinds", spec().future().errors::<Odd>().labels(KINDS)),
    (
        "many",
        spec().labels(&[values::<Odd>().named("b"), values::<Odd>().named("c"), values::<Odd>().named("a")]),
    ),
    (
        "result",
        spec()
            .future()
            .errors::<Flag>()
            .labels(&[values::<bool>().named("m")])
            .result_labels(&[values::<Flag>().named("y"), values::<bool>().named("b")]),
    ),
    ("same", spec().labels(&[values::<bool>().named("a"), values::<Flag>().named("b")])),
    (
        "same",
        spec().labels(&[values::<Flag>().named("b"), values::<bool>().named("a")]).buckets(&[0.005, 0.07]),
    ),
    ("same", spec().errors::<Flag>().labels(&[values::<Odd>().named("a")]).buckets(&[1.0, 2.0, 3.0, 400.0])),
    ("same", spec().labels(&[values::<bool>().named("a")]).buckets(&[0.006, 5.0])),
    ("same", spec().metric("own").buckets(&[1e-7, 0.25])),
];

const KINDS: &[Dimension] =
    &[values::<Flag>().named("f"), values::<bool>().named("a1"), values::<Flag>().named("a")];

static SITES: LazyLock<Vec<&'static Site>> = LazyLock::new(|| {
    let mut buckets = SharedBuckets::new();
    let places = FUNCTIONS.iter().enumerate();
    let sites = places.map(|(id, (name, spec))| {
        let site: &'static Site = Box::leak(Box::new(Site::of_tests(name, *spec)));
        site.place(shape(id, site, &mut buckets));
        site
    });
    sites.collect()
});

/// What several threads have counted of some functions: nothing, little, or a lot.
pub(in crate::export) fn random_snapshot(random: &mut Rng) -> Vec<FunctionSnapshot> {
    SITES.iter().map(|site| random_function(site, random)).collect()
}

fn random_function(site: &'static Site, random: &mut Rng) -> FunctionSnapshot {
    let mut function = FunctionSnapshot::new(site, site.shape().expect("placed"));
    function.in_flight = random.u64(..3) * random.u64(..1_000);
    for _thread in 0..random.usize(..4) {
        let density = random.u8(..=10);
        for series in 0..function.shape.series {
            if random.u8(..10) < density {
                let most = 10_u64.pow(random.u32(..12));
                let counts: Vec<u64> =
                    (0..function.shape.buckets.count()).map(|_| random.u64(..most)).collect();
                function.add(series, random.u64(..most), counts.into_iter());
            }
        }
    }
    function
}

/// The families as maps of what they show, for `prometheus-client` to encode.
#[derive(Debug, Default)]
struct Book(BTreeMap<&'static str, Family>);

#[derive(Debug, Default)]
struct Family {
    calls: BTreeMap<LabelTexts, u64>,
    durations: BTreeMap<LabelTexts, Histogram>,
    in_flight: BTreeMap<LabelTexts, i64>,
}

#[derive(Debug)]
struct Histogram {
    ticks: u64,
    buckets: Vec<(f64, u64)>,
}

impl Book {
    fn of(snapshot: &[FunctionSnapshot]) -> Self {
        let mut book = Self::default();
        book.0.entry("function").or_default();
        for function in snapshot {
            book.0.entry(function.site.spec.stem()).or_default().add(function);
        }
        book
    }
}

impl Family {
    fn add(&mut self, function: &FunctionSnapshot) {
        let (site, shape) = (function.site, function.shape);
        let name = vec![("function", site.function().into())];
        *self.in_flight.entry(name).or_default() += i64::try_from(function.in_flight).expect("small");
        for series in 0..shape.series {
            let numbers = function.series(series);
            let outcome = series % shape.outcomes;
            if numbers.is_none() && !(shape.series / shape.outcomes <= 64 && is_possible(function, series)) {
                continue;
            }
            let (calls, durations) = labels(function, series);
            *self.calls.entry(calls).or_default() += numbers.map_or(0, |numbers| numbers.count());
            if numbers.is_none() && outcome != outcome::OK {
                continue;
            }
            let histogram = self.durations.entry(durations).or_insert_with(|| Histogram {
                ticks: 0,
                buckets: site.spec.bounds().iter().chain([&f64::INFINITY]).map(|bound| (*bound, 0)).collect(),
            });
            let Some(numbers) = numbers else { continue };
            histogram.ticks += numbers.sum;
            for (bound, count) in site.spec.bounds().iter().chain([&f64::INFINITY]).zip(numbers.buckets) {
                let sure = histogram.buckets.iter_mut().find(|(wider, _)| wider >= bound);
                sure.expect("infinity is").1 += count;
            }
        }
    }
}

fn is_possible(function: &FunctionSnapshot, series: usize) -> bool {
    let (spec, shape) = (&function.site.spec, function.shape);
    let widened: Vec<Dimension> = spec.result_labels.iter().map(with_absent).collect();
    let digits = digits(&widened, series / shape.outcomes % shape.result_values);
    let known = digits.iter().zip(spec.result_labels).filter(|(digit, label)| **digit < label.cardinality);
    match series % shape.outcomes {
        outcome if outcome == shape.panic() => known.count() == 0,
        outcome if outcome == shape.cancelled() => spec.future && known.count() == 0,
        outcome::OK => known.count() == digits.len(),
        _ => known.count() == digits.len() && (spec.fallible || spec.error_kinds.is_some()),
    }
}

fn labels(function: &FunctionSnapshot, series: usize) -> (LabelTexts, LabelTexts) {
    let (site, shape) = (function.site, function.shape);
    let (outcome, kind) = match series % shape.outcomes {
        outcome if outcome == shape.panic() => ("panic", None),
        outcome if outcome == shape.cancelled() => ("cancelled", None),
        outcome::OK => ("ok", None),
        error => ("error", site.spec.error_kinds.map(|kinds| (kinds.value)(error - outcome::FIRST_ERROR))),
    };
    let mut own = site.labels(shape, series);
    own.sort_unstable_by_key(|(name, _)| *name);
    let mut durations: LabelTexts = vec![("function", site.function().into()), ("outcome", outcome.into())];
    durations.append(&mut own);
    let mut calls = durations.clone();
    calls.extend(kind.filter(|kind| !kind.is_empty()).map(|kind| ("error", kind)));
    (calls, durations)
}

impl Collector for Book {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (stem, family) in &self.0 {
            let of = match *stem {
                "function" => "observed functions".to_owned(),
                stem => format!("functions observed as {stem}"),
            };
            let (name, help) = (format!("{stem}_calls"), format!("Calls of {of} by outcome"));
            let mut calls = encoder.encode_descriptor(&name, &help, None, MetricType::Counter)?;
            for (labels, count) in &family.calls {
                ConstCounter::new(*count).encode(calls.encode_family(labels)?)?;
            }
            let (name, help) = (format!("{stem}_duration"), format!("How long calls of {of} took"));
            let unit = Some(&Unit::Seconds);
            let mut durations = encoder.encode_descriptor(&name, &help, unit, MetricType::Histogram)?;
            for (labels, Histogram { ticks, buckets }) in &family.durations {
                let count = buckets.iter().map(|(_, count)| count).sum();
                #[allow(clippy::cast_precision_loss, reason = "as it is specified")]
                let seconds = clock::nanos(*ticks) as f64 / 1e9;
                let mut one = durations.encode_family(labels)?;
                one.encode_histogram::<NoLabelSet>(seconds, count, buckets, None)?;
            }
            let name = format!("{stem}_calls_in_flight");
            let help = format!("Calls of {of} that have begun and not ended");
            let mut in_flight = encoder.encode_descriptor(&name, &help, None, MetricType::Gauge)?;
            for (labels, count) in &family.in_flight {
                ConstGauge::new(*count).encode(in_flight.encode_family(labels)?)?;
            }
        }
        Ok(())
    }
}

pub(in crate::export) fn encoded(snapshot: &[FunctionSnapshot], format: TextFormat) -> String {
    let mut text = String::new();
    encode_snapshot(snapshot, format, &mut text);
    text
}

#[track_caller]
fn assert_same(ours: &str, theirs: &str) {
    let different = ours.lines().zip(theirs.lines()).find(|(ours, theirs)| ours != theirs);
    assert_eq!(different.map(|(ours, _)| ours), different.map(|(_, theirs)| theirs));
    assert_eq!(ours.len(), theirs.len());
}

#[test]
fn both_formats_are_byte_for_byte_those_of_prometheus_client() {
    let mut random = Rng::with_seed(1);
    for _ in 0..30 {
        let snapshot = random_snapshot(&mut random);
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Book::of(&snapshot)));
        let mut theirs = String::new();
        text::encode_registry(&mut theirs, &registry).expect("a string takes anything");
        assert_same(&encoded(&snapshot, TextFormat::OpenMetrics), &theirs);
        let mut converted = String::new();
        to_prometheus_text(&theirs, &mut converted);
        assert_same(&encoded(&snapshot, TextFormat::Prometheus), &converted);
    }
}
