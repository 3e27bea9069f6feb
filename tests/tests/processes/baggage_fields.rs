//! Baggage in log lines and spans: what is allowed by name, and nothing else.

use obs_runtime::observe;
use obs_runtime::propagation::{extract, inject};
use obs_tests::{DEADLINE, Lines, Spans, here, parse_line, process};

#[observe]
fn handles() -> Vec<(String, String)> {
    tracing::info!("handling");
    let mut sent = Vec::new();
    inject(&mut sent);
    sent
}

#[test]
fn baggage_is_a_field_if_its_name_is_allowed() {
    let Some(_inside) = process::alone(here!()) else { return };
    let (lines, spans) = (Lines::default(), Spans::default());
    let _guard = obs_runtime::builder()
        .no_admin()
        .log_filter("info")
        .log_output(lines.clone())
        .span_exporter(spans.clone())
        .baggage_fields(["tenant", "plan"])
        .init()
        .expect("the runtime starts");
    let baggage = "tenant=%C3%86gir%20%22%26%22,user=secret,level=FATAL,request_id=forged";
    let sent = extract(&[("baggage", baggage), ("x-request-id", "known")][..]).run(handles);
    assert!(sent.contains(&("baggage".to_owned(), baggage.to_owned())), "all of it goes on: {sent:?}");
    assert!(sent.contains(&("x-request-id".to_owned(), "known".to_owned())), "{sent:?}");

    assert!(obs_runtime::flush(DEADLINE).finished, "flushed");
    let text = lines.text();
    let line = text.lines().map(parse_line).find(|line| line["msg"] == "handling").expect("a line");
    assert_eq!((&line["tenant"], &line["request_id"]), (&"\u{c6}gir \"&\"".into(), &"known".into()));
    assert_eq!(line["level"], "INFO");
    assert!(line.get("plan").is_none() && line.get("user").is_none(), "{line}");
    let spans = spans.which(|_| true);
    let keys: Vec<&str> = spans[0].attributes.iter().map(|attribute| attribute.key.as_str()).collect();
    assert!(keys.contains(&"tenant") && !keys.contains(&"user"), "{keys:?}");
}
