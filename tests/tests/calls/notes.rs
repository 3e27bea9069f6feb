//! What a span says besides its fields: events, exceptions, links, and where it ends by the limits.

use obs_runtime::{TraceContext, observe};
use obs_tests::{attribute, recorder};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Event, Status};
use std::error::Error;
use std::fmt;

fn value(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key.as_str() == key)?;
    Some(found.value.to_string())
}

fn named(events: &[Event], name: &str) -> Event {
    events.iter().find(|event| event.name == name).unwrap_or_else(|| panic!("{name} in {events:?}")).clone()
}

#[observe]
fn says_things() {
    tracing::info!(user = 7, "first");
    tracing::debug!(target: "elsewhere", order = ?Ordering, "second");
    let span = tracing::info_span!("a_span_between");
    span.in_scope(|| tracing::warn!("inside"));
    tracing::error!(parent: &span, "from outside");
}

#[derive(Debug)]
#[allow(dead_code, reason = "printed by its `Debug`")]
struct Ordering;

#[test]
fn events_are_part_of_the_span_they_happen_in() {
    let recorder = recorder();
    says_things();
    let span = recorder.span("says_things");
    let events = &span.events.events;
    assert_eq!(events.len(), 2, "{events:?}");
    let first = named(events, "first");
    assert_eq!(value(&first.attributes, "user").as_deref(), Some("7"));
    assert_eq!(value(&first.attributes, "level").as_deref(), Some("INFO"));
    assert!(span.start_time <= first.timestamp && first.timestamp <= span.end_time);
    let second = named(events, "second");
    assert_eq!(value(&second.attributes, "target").as_deref(), Some("elsewhere"));
    let between = recorder.span("a_span_between");
    let names: Vec<_> = between.events.events.iter().map(|event| event.name.to_string()).collect();
    assert_eq!(names, ["inside", "from outside"]);
}

#[derive(Debug)]
struct Refused(u32);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused for the {}th time", self.0)
    }
}

impl Error for Refused {}

#[observe]
fn refuses() -> Result<(), Refused> {
    Err(Refused(4))
}

#[observe]
fn hands_on() -> Result<(), Refused> {
    refuses()
}

#[observe]
fn fine() -> Result<(), Refused> {
    Ok(())
}

#[test]
fn a_failure_is_an_exception_of_the_span_it_began_in() {
    let recorder = recorder();
    hands_on().expect_err("refused");
    let span = recorder.span("refuses");
    let exception = named(&span.events.events, "exception");
    assert_eq!(value(&exception.attributes, "exception.type").as_deref(), Some("calls::notes::Refused"));
    let message = value(&exception.attributes, "exception.message");
    assert_eq!(message.as_deref(), Some("refused for the 4th time"));
    assert_eq!(span.status, Status::error("refused for the 4th time"));
    let above = recorder.span("hands_on");
    assert!(above.events.events.is_empty(), "once is enough: {above:?}");
    assert!(matches!(above.status, Status::Error { .. }));
    fine().expect("fine");
    assert_eq!(recorder.span("fine").status, Status::Unset);
}

#[observe]
fn panics() {
    panic!("on purpose");
}

#[test]
fn a_panic_is_an_exception_too() {
    let recorder = recorder();
    std::panic::catch_unwind(panics).expect_err("it panics");
    let span = recorder.span("panics");
    let exception = named(&span.events.events, "exception");
    assert_eq!(value(&exception.attributes, "exception.type").as_deref(), Some("panic"));
    let message = value(&exception.attributes, "exception.message").expect("a message");
    assert!(message.ends_with("on purpose") && message.contains("notes.rs"), "{message}");
}

#[observe(kind = "consumer")]
fn consumes(messages: &[&str]) {
    messages.iter().filter_map(|message| message.parse::<TraceContext>().ok()).for_each(TraceContext::link);
    let other = tracing::info_span!("the_cause");
    tracing::Span::current().follows_from(&other);
    let effect = tracing::info_span!("the_effect");
    effect.follows_from(&other);
}

#[test]
fn links_name_spans_that_are_no_parents() {
    let recorder = recorder();
    consumes(&[
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-00",
        "not one",
    ]);
    let cause = recorder.span("the_cause").span_context.span_id();
    let links = recorder.span("consumes").links.links;
    let mut linked: Vec<(String, bool)> = links
        .iter()
        .map(|link| (link.span_context.span_id().to_string(), link.span_context.is_sampled()))
        .collect();
    linked.sort_unstable();
    let mut expected = vec![
        ("b7ad6b7169203331".to_owned(), true),
        ("c7ad6b7169203331".to_owned(), false),
        (cause.to_string(), true),
    ];
    expected.sort_unstable();
    assert_eq!(linked, expected);
    let effect = recorder.span("the_effect").links.links;
    assert_eq!(effect[0].span_context.span_id(), cause);
}

#[observe]
async fn speaks_while_it_waits() {
    tracing::info!("before");
    tokio::task::yield_now().await;
    tracing::info!("after");
}

#[tokio::test]
async fn a_future_keeps_its_events_between_polls() {
    let recorder = recorder();
    speaks_while_it_waits().await;
    let events = recorder.span("speaks_while_it_waits").events.events;
    let names: Vec<_> = events.iter().map(|event| event.name.to_string()).collect();
    assert_eq!(names, ["before", "after"]);
}

#[observe]
fn never_stops_talking() {
    for number in 0..1000 {
        tracing::info!(number, "talking");
    }
}

#[test]
fn what_exceeds_a_limit_is_counted() {
    let recorder = recorder();
    never_stops_talking();
    let span = recorder.span("never_stops_talking");
    assert_eq!((span.events.events.len(), span.events.dropped_count), (128, 872));
    assert_eq!(attribute(&span, "outcome").as_deref(), Some("ok"));
}

#[test]
fn events_of_a_span_by_number_reach_an_observed_call() {
    #[observe]
    fn holds_its_span() -> tracing::Span {
        tracing::Span::current()
    }
    #[observe]
    fn is_spoken_to() {
        let span = tracing::Span::current();
        std::thread::spawn(move || tracing::info!(parent: &span, "from another thread"))
            .join()
            .expect("no panic");
    }
    let recorder = recorder();
    let ended = holds_its_span();
    tracing::info!(parent: &ended, "too late");
    is_spoken_to();
    let events = recorder.span("is_spoken_to").events.events;
    assert_eq!(events[0].name, "from another thread");
    assert!(recorder.span("holds_its_span").events.events.is_empty());
}
