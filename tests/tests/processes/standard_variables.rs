//! Variables of OpenTelemetry with values that we do not take: the process starts, and says what it uses instead.

use obs_runtime::propagation::{extract, inject};
use obs_tests::process::Process;
use obs_tests::{DEADLINE, Lines, here, parse_line};
use serde_json::Value as Json;
use std::sync::Mutex;
use tracing_subscriber::prelude::*;

/// Each is wrong in its own way.
const VARIABLES: [(&str, &str); 15] = [
    ("OTEL_PROPAGATORS", "tracecontext,baggage,b3"),
    ("OTEL_TRACES_SAMPLER", "parentbased_jaeger_remote"),
    ("OTEL_SDK_DISABLED", "1"),
    ("OTEL_TRACES_EXPORTER", "console"),
    ("OTEL_LOGS_EXPORTER", "otlp,file"),
    ("OTEL_METRICS_EXPORTER", "otlp"),
    ("OTEL_RESOURCE_ATTRIBUTES", "commit=100%"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
    ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "nowhere"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer s3cret%zz"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", "many"),
];

fn process(test: String) -> Process {
    VARIABLES.iter().fold(Process::of(test), |process, (name, value)| process.variable(name, value))
}

/// Checks that there is one line for each variable, and what they say.
fn check(lines: &[Json]) {
    let of = |variable: &str| {
        let mut of_it = lines.iter().filter(|line| line["variable"] == variable);
        let line = of_it.next().unwrap_or_else(|| panic!("{variable}: {lines:#?}"));
        assert!(of_it.next().is_none(), "{variable} twice: {lines:#?}");
        line
    };
    for (variable, value) in VARIABLES {
        let (shown, expected, instead) = match variable {
            "OTEL_PROPAGATORS" => ("b3", "WARN", "this entry is left out"),
            "OTEL_TRACES_SAMPLER" => (value, "WARN", "`parentbased_always_on` is used"),
            "OTEL_SDK_DISABLED" => (value, "WARN", "it counts as `false`"),
            "OTEL_LOGS_EXPORTER" => ("file", "WARN", "this entry is left out"),
            "OTEL_RESOURCE_ATTRIBUTES" => (value, "WARN", "none of it is used"),
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT" => (value, "ERROR", "metrics are not exported"),
            "OTEL_EXPORTER_OTLP_HEADERS" => ("***", "WARN", "a wrong pair is left out"),
            "OTEL_BSP_MAX_QUEUE_SIZE" => (value, "WARN", "2048 is used"),
            "OTEL_EXPORTER_OTLP_ENDPOINT" | "OTEL_METRICS_EXPORTER" => continue,
            _ => (value, "WARN", ""),
        };
        let line = of(variable);
        assert_eq!((&line["value"], &line["level"]), (&shown.into(), &expected.into()), "{line}");
        assert_eq!(line["target"], "obs_runtime::setup");
        let message = line["msg"].as_str().or(line["message"].as_str()).expect("a message");
        let start = format!("{variable} is {shown:?}; it takes ");
        assert!(message.starts_with(&start) && message.ends_with(instead), "{message}");
    }
    assert!(!lines.iter().any(|line| line.to_string().contains("s3cret")), "a secret");
}

#[test]
fn each_wrong_value_is_one_line() {
    let Some(_inside) = process(here!()).run() else { return };
    let lines = Lines::default();
    let _obs = obs_runtime::builder().no_admin().log_output(lines.clone()).init().expect("it starts");
    let received = [
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("baggage", "tenant=acme"),
    ];
    let mut sent = Vec::new();
    extract(&received[..]).run(|| inject(&mut sent));
    assert_eq!(sent.len(), 2, "both propagators that are known: {sent:?}");
    assert!(obs_runtime::flush(DEADLINE).finished, "flushed in time");
    check(&lines.text().lines().map(parse_line).collect::<Vec<_>>());
}

#[test]
fn in_a_stack_of_the_applications_own_they_are_lines_of_that() {
    let Some(_inside) = process(here!()).run() else { return };
    let lines = Lines::default();
    let fmt = tracing_subscriber::fmt::layer().json().flatten_event(true).with_ansi(false);
    let fmt = fmt.with_writer(Mutex::new(lines.clone()));
    tracing_subscriber::registry().with(fmt).with(obs_runtime::layer()).init();
    let _obs = obs_runtime::builder().no_admin().init().expect("it starts");
    let text = lines.text();
    check(&text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<_>>());
}
