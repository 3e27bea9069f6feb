//! Arguments that place a span: `parent`, `follows_from`, and levels and names as `tracing` takes them.

use crate::run;
use obs_runtime::observe;
use obs_tests::recorder;
use opentelemetry::trace::SpanId;
use tracing::{Level, Span};

const NAME: &str = "others::by_a_constant";
const TARGET: &str = "a_target";
const FIELD: &str = "a_field";

#[observe(name = NAME, target = TARGET, level = Level::INFO, fields({FIELD} = n), skip(_secret))]
fn by_constants(n: u32, _secret: &str) -> u32 {
    tracing::info!("inside");
    n
}

#[observe(level = 4, skip_all)]
fn by_number(_n: u32) {}

#[observe(parent = parent)]
fn below(parent: &Span) -> Span {
    Span::current()
}

#[observe(parent = parent)]
async fn below_in_a_future(parent: Span) -> u32 {
    std::future::ready(()).await;
    1
}

#[observe(parent = None)]
fn below_nothing() -> Result<(), ()> {
    Ok(())
}

#[observe(follows_from = causes)]
fn follows(causes: Vec<Span>) {}

#[observe(follows_from = [cause])]
async fn follows_in_a_future(cause: &Span) -> Result<(), ()> {
    Ok(())
}

#[observe(follows_from = [async { tokio::task::yield_now().await; cause.id() }.await])]
async fn follows_what_is_found(cause: &Span) {}

#[observe(slo(latency = "250ms", objective = 99.9))]
fn has_an_objective() {}

#[observe(slo(latency = "2s", objective = 99), buckets = [0.5, 2, 4])]
async fn has_an_objective_of_its_own() {}

#[test]
fn spans_are_where_they_are_put() {
    let recorder = recorder();
    assert_eq!(by_constants(1, "s3cret"), 1);
    by_number(1);
    let line = &recorder.all_lines().into_iter().find(|line| line["function"] == NAME).expect("a line");
    assert_eq!((&line["a_field"], &line["msg"]), (&1.into(), &"inside".into()));
    let elsewhere = tracing::info_span!("elsewhere", of = "the parent");
    let around = tracing::info_span!("around");
    around.in_scope(|| {
        drop(below(&elsewhere));
        run(below_in_a_future(elsewhere.clone()));
        below_nothing().expect("fine");
        follows(vec![elsewhere.clone()]);
        run(follows_in_a_future(&elsewhere)).expect("fine");
        run(follows_what_is_found(&elsewhere));
    });
    drop(elsewhere);
    drop(around);
    let id = |name: &str| recorder.span(name).span_context.span_id();
    let parent = |name: &str| recorder.span(&format!("shapes::others::{name}")).parent_span_id;
    assert_eq!((parent("below"), parent("below_in_a_future")), (id("elsewhere"), id("elsewhere")));
    assert_eq!((parent("below_nothing"), parent("follows")), (SpanId::INVALID, id("around")));
    for name in ["follows", "follows_in_a_future", "follows_what_is_found"] {
        let links = recorder.span(&format!("shapes::others::{name}")).links.links;
        assert_eq!(
            links.iter().map(|link| link.span_context.span_id()).collect::<Vec<_>>(),
            [id("elsewhere")]
        );
        assert!(!links[0].span_context.is_remote());
    }
}

#[test]
fn objectives_are_there_to_be_compared_with() {
    let recorder = recorder();
    has_an_objective();
    run(has_an_objective_of_its_own());
    let objective = |function: &str| {
        let function = format!("shapes::others::{function}");
        let samples = recorder.samples("function_slo_objective_ratio", &[("function", &function)]);
        samples
            .into_iter()
            .map(|(labels, value)| (labels.get("latency").map(str::to_owned), value))
            .collect::<Vec<_>>()
    };
    assert_eq!(objective("has_an_objective"), [(Some("0.25".to_owned()), 0.999)]);
    assert_eq!(objective("has_an_objective_of_its_own"), [(Some("2".to_owned()), 0.99)]);
}
