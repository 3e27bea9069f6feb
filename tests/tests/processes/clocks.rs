//! With either clock durations and times are right, in metrics, spans and log lines.

use obs_runtime::observe;
use obs_tests::process::{Inside, Process};
use obs_tests::{here, recorder, scrape};
use prometheus_parse::Value;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

const SLEPT: Duration = Duration::from_millis(30);

/// How far apart the clocks may be after a while: the counter's rate is measured when the process starts.
fn apart(after: Duration) -> Duration {
    Duration::from_millis(2) + after / 50
}

/// The shortest that a sleep may seem.
const LEAST: Duration = Duration::from_millis(28);

#[observe(slow = "1ms", buckets = [0.02, 100.0])]
fn sleeps() {
    thread::sleep(SLEPT);
}

/// Runs a test in a process of its own with that clock.
fn by(clock: &str, test: String) -> Option<Inside> {
    Process::of(test).variable("OBS_CLOCK", clock).run()
}

fn sum_of_durations() -> Duration {
    let sums = scrape().samples.into_iter().filter(|sample| {
        sample.metric == "function_duration_seconds_sum"
            && sample.labels.get("function") == Some("processes::clocks::sleeps")
    });
    Duration::from_secs_f64(
        sums.map(|sample| match sample.value {
            Value::Untyped(value) | Value::Counter(value) | Value::Gauge(value) => value,
            other => panic!("{other:?}"),
        })
        .sum(),
    )
}

fn durations_are_right() {
    let recorder = recorder();
    let (began, since) = (SystemTime::now(), Instant::now());
    sleeps();
    // However long the machine took over it.
    let (took, ended) = (since.elapsed(), SystemTime::now());
    let apart = apart(took);
    let right = LEAST..=took + apart;

    let metric = sum_of_durations();
    assert!(right.contains(&metric), "the metric says {metric:?} of {took:?}");
    let line = recorder.end_line("sleeps");
    let logged = Duration::from_secs_f64(line["duration_ms"].as_f64().expect("a number") / 1e3);
    assert!(right.contains(&logged), "the line says {logged:?} of {took:?}");
    let span = recorder.span("sleeps");
    if ended.duration_since(began).unwrap_or_default().abs_diff(took) > apart {
        // The wall clock has been set meanwhile, which the times of a span follow.
        return;
    }
    let traced = span.end_time.duration_since(span.start_time).expect("in order");
    assert!(right.contains(&traced), "the span says {traced:?} of {took:?}");
    assert!(
        began - apart <= span.start_time && span.end_time <= ended + apart,
        "{began:?} {span:?} {ended:?}"
    );
}

#[test]
fn durations_are_right_by_the_systems_clock() {
    let Some(_inside) = by("system", here!()) else { return };
    durations_are_right();
}

#[test]
fn durations_are_right_by_the_counter() {
    let Some(_inside) = by("counter", here!()) else { return };
    durations_are_right();
}

#[test]
fn a_clock_that_there_is_not_is_named() {
    let Some(_inside) = by("sundial", here!()) else { return };
    let error = obs_runtime::builder().no_admin().init().expect_err("there is none").to_string();
    assert_eq!(error, "OBS_CLOCK is \"sundial\"; it takes `counter` or `system`");
}
