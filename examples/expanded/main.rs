//! The expansions beside their sources do what the macros do: same results, same counts.

#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "the examples say what they are in a line at the top")]
#![allow(unreachable_pub, dead_code, unused_braces, reason = "they are written as a library would have them")]
#![allow(clippy::all, clippy::pedantic, reason = "written by a formatter that has a style of its own")]

#[path = "1_sync.rs"]
mod sync;
#[rustfmt::skip]
#[path = "1_sync.expanded.rs"]
mod sync_expanded;

#[path = "2_async.rs"]
mod future;
#[rustfmt::skip]
#[path = "2_async.expanded.rs"]
mod future_expanded;

#[path = "3_errors.rs"]
mod errors;
#[rustfmt::skip]
#[path = "3_errors.expanded.rs"]
mod errors_expanded;

#[path = "4_labels_and_fields.rs"]
mod labels;
#[rustfmt::skip]
#[path = "4_labels_and_fields.expanded.rs"]
mod labels_expanded;

#[path = "5_labels_of_the_result.rs"]
mod results;
#[rustfmt::skip]
#[path = "5_labels_of_the_result.expanded.rs"]
mod results_expanded;

#[path = "6_impl_block.rs"]
mod block;
#[rustfmt::skip]
#[path = "6_impl_block.expanded.rs"]
mod block_expanded;

#[path = "7_trait.rs"]
mod defaults;
#[rustfmt::skip]
#[path = "7_trait.expanded.rs"]
mod defaults_expanded;

#[path = "8_stream.rs"]
mod streams;
#[rustfmt::skip]
#[path = "8_stream.expanded.rs"]
mod streams_expanded;

#[path = "9_metric_of_its_own.rs"]
mod metric;
#[rustfmt::skip]
#[path = "9_metric_of_its_own.expanded.rs"]
mod metric_expanded;

#[path = "10_everything_off.rs"]
mod off;
#[rustfmt::skip]
#[path = "10_everything_off.expanded.rs"]
mod off_expanded;

// Without its source beside it: the name of a check is taken once.
#[rustfmt::skip]
#[path = "11_health_check.expanded.rs"]
mod health_expanded;

use futures_core::Stream;
use futures_executor::block_on;
use obs_runtime::Label;
use obs_runtime::health::{self, Probe};
use obs_runtime::metrics::{TextFormat, encode};
use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

/// Everything that is counted of the functions of a module, by what stands behind its name.
fn counted(module: &str) -> BTreeMap<String, String> {
    let text = encode(TextFormat::Prometheus);
    let prefix = format!("function=\"expanded::{module}::");
    let of_module = text.lines().filter(|line| line.contains(&prefix) && line.contains("_calls"));
    of_module
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(series, value)| (series.replace(&prefix, ""), value.to_owned()))
        .collect()
}

/// A stream of an iterator's items.
fn iterated<I: Iterator + Unpin>(items: I) -> impl Stream<Item = I::Item> {
    struct Iterated<I>(I);
    impl<I: Iterator + Unpin> Stream for Iterated<I> {
        type Item = I::Item;
        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<I::Item>> {
            Poll::Ready(self.0.next())
        }
    }
    Iterated(items)
}

fn drained(stream: impl Stream<Item = u32>) -> u32 {
    let mut stream = pin!(stream);
    let next = || block_on(std::future::poll_fn(|cx| stream.as_mut().poll_next(cx)));
    std::iter::from_fn(next).sum()
}

/// How often `shop::charge` ended in a way: both modules name it so, and it is one to the reader.
fn charges(labels: &str) -> u64 {
    let text = encode(TextFormat::Prometheus);
    let series = format!("function_calls_total{{function=\"shop::charge\",{labels}}} ");
    text.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).expect("declared")
}

#[test]
fn an_expansion_does_what_its_source_does() {
    let _obs = obs_runtime::builder().no_admin().log_filter("off").init().expect("the runtime starts");

    assert_eq!(sync::add(1, 2), sync_expanded::add(1, 2));
    assert_eq!(block_on(future::add(1, 2)), block_on(future_expanded::add(1, 2)));
    drop(future::add(1, 2));
    drop(future_expanded::add(1, 2));
    for text in ["7", "", "x"] {
        let (macros, expansion) = (errors::parse(text), errors_expanded::parse(text));
        assert_eq!(format!("{macros:?}"), format!("{expansion:?}"));
    }
    for key in [1, 9] {
        assert_eq!(results::load(key), results_expanded::load(key));
        assert_eq!(metric::look_up(key), metric_expanded::look_up(key));
        assert_eq!(off::nothing(key), off_expanded::nothing(key));
        assert_eq!(defaults::Greets::greet(&key), defaults_expanded::Greets::greet(&key));
        assert_eq!(drained(streams::numbers(key)), drained(streams_expanded::numbers(key)));
    }
    drop((streams::numbers(1), streams_expanded::numbers(1)));
    let (mut store, mut expanded) = (block::Store::new(), block_expanded::Store::new());
    assert_eq!((store.add(1), store.len()), (expanded.add(1), expanded.len()));
    for source in ["sync", "future", "errors", "results", "block", "defaults", "streams", "metric"] {
        assert!(counted(source).values().any(|count| count != "0"), "{source}");
        assert_eq!(counted(source), counted(&format!("{source}_expanded")));
    }
    let names = |probe| {
        health::report(probe).checks().iter().map(|check| check.name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((names(Probe::Liveness), names(Probe::Readiness)), (vec!["queue".to_owned()], vec![]));
    assert_eq!(block_on(health_expanded::queue()), Ok(()));
    assert!(counted("off").is_empty() && counted("off_expanded").is_empty());

    for (amount, labels) in [
        (7, "outcome=\"ok\",method=\"bank\",retry=\"true\""),
        (700, "outcome=\"error\",method=\"bank\",retry=\"true\",error=\"declined\""),
    ] {
        let macros = block_on(labels::charge("A-1", labels::Method::Bank, amount, 2));
        assert_eq!(charges(labels), 1);
        let expansion = block_on(labels_expanded::charge("A-1", labels_expanded::Method::Bank, amount, 2));
        assert_eq!(charges(labels), 2);
        assert_eq!(format!("{macros:?}"), format!("{expansion:?}"));
    }
    assert_eq!(labels::Method::CARDINALITY, labels_expanded::Method::CARDINALITY);
    for index in [labels::Method::Card, labels::Method::Bank].map(|method| method.index()) {
        assert_eq!(labels::Method::value(index), labels_expanded::Method::value(index));
    }
}
