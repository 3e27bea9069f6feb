//! Numbers add up: from many threads, after they have ended, and for every combination of labels.

use obs_runtime::{Bounded, Label, observe};
use obs_tests::{here, process, recorder, scrape};
use std::thread;

#[derive(Clone, Copy, Debug, Label)]
enum Method {
    Card,
    Bank,
    #[label("e-wallet")]
    Wallet,
}

fn float(count: usize) -> f64 {
    u32::try_from(count).expect("small").into()
}

const METHODS: [Method; 3] = [Method::Card, Method::Bank, Method::Wallet];

#[observe(labels(method, retry: bool = attempt > 1))]
fn from_many_threads(method: Method, attempt: u32) -> Result<(), String> {
    if attempt == 3 { Err(format!("{method:?}")) } else { Ok(()) }
}

#[test]
fn calls_of_many_threads_add_up_after_the_threads_have_ended() {
    const THREADS: usize = 16;
    const ROUNDS: u32 = 500;
    // So many spans at once may leave no room for those of other tests.
    let Some(_inside) = process::alone(here!()) else { return };
    let recorder = recorder();
    for _generation in 0..2 {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                thread::spawn(|| {
                    for round in 0..ROUNDS {
                        let _ = from_many_threads(METHODS[round as usize % 3], round % 4);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("no panic");
        }
    }
    let mut total = 0;
    for (method, name) in METHODS.into_iter().zip(["card", "bank", "e-wallet"]) {
        for (retry, outcome) in [("false", "ok"), ("true", "ok"), ("true", "error"), ("false", "error")] {
            let expected = (0..ROUNDS)
                .filter(|round| METHODS[*round as usize % 3].index() == method.index())
                .filter(|round| (round % 4 > 1).to_string() == retry)
                .filter(|round| if outcome == "error" { round % 4 == 3 } else { round % 4 != 3 })
                .count()
                * THREADS
                * 2;
            let labels =
                [("function", "from_many_threads"), ("method", name), ("retry", retry), ("outcome", outcome)];
            let counted = recorder.sample("function_calls_total", &labels);
            assert_eq!(counted, Some(float(expected)), "{labels:?}");
            total += expected;
        }
    }
    assert_eq!(total, THREADS * 2 * ROUNDS as usize);
    assert_eq!(recorder.in_flight("from_many_threads"), 0.0);
}

#[observe(no_span, no_log)]
fn in_short_threads() {}

#[test]
fn cells_of_dead_threads_are_reused() {
    let recorder = recorder();
    for _ in 0..2_000 {
        thread::spawn(in_short_threads).join().expect("no panic");
    }
    assert_eq!(recorder.calls("in_short_threads", "ok"), 2_000.0);
}

#[observe(no_span, no_log)]
fn while_the_thread_is_torn_down() {}

#[test]
fn a_call_from_a_destructor_of_a_thread_is_counted() {
    struct CallsWhenDropped;
    impl Drop for CallsWhenDropped {
        fn drop(&mut self) {
            while_the_thread_is_torn_down();
        }
    }
    thread_local!(static LAST: CallsWhenDropped = const { CallsWhenDropped });
    let recorder = recorder();
    thread::spawn(|| {
        LAST.with(|_| ());
        while_the_thread_is_torn_down();
    })
    .join()
    .expect("no panic");
    assert_eq!(recorder.calls("while_the_thread_is_torn_down", "ok"), 2.0);
}

#[observe(labels(method), err(kind = bool))]
#[expect(dead_code, reason = "that is the point")]
async fn never_called(method: Method) -> Result<(), bool> {
    let _ = method;
    Ok(())
}

#[test]
fn declared_functions_are_there_before_their_first_call() {
    let recorder = recorder();
    let samples = recorder.samples("function_calls_total", &[("function", "never_called")]);
    // Three methods, and ok, two kinds of error, panic and cancelled.
    assert_eq!(samples.len(), 3 * 5);
    assert!(samples.iter().all(|(_, value)| *value == 0.0));
    assert_eq!(recorder.in_flight("never_called"), 0.0);
    let metrics = scrape();
    assert!(metrics.samples.iter().any(|sample| sample.metric == "obs_declared_series"));
}

struct Tenant;

#[observe(labels(tenant: Bounded<Tenant, 2> = tenant.into()))]
fn for_tenant(tenant: &str) {
    let _ = tenant;
}

#[test]
fn a_bounded_label_folds_what_is_too_much() {
    let recorder = recorder();
    for tenant in ["acme", "globex", "acme", "initech", "hooli\"\n\\"] {
        for_tenant(tenant);
    }
    let count = |tenant| {
        recorder.sample(
            "function_calls_total",
            &[("function", "for_tenant"), ("outcome", "ok"), ("tenant", tenant)],
        )
    };
    assert_eq!((count("acme"), count("globex"), count("other")), (Some(2.0), Some(1.0), Some(2.0)));
    assert!(recorder.sample("obs_label_values_folded_total", &[]) >= Some(2.0));
}

#[derive(Clone, Copy, Debug, Label)]
enum Size {
    Small,
    Large,
}

#[observe(labels(size: Size = found => if found.as_ref().is_ok_and(|found| *found > 9) { Size::Large } else { Size::Small }))]
fn labelled_by_its_result(found: u32) -> Result<u32, String> {
    assert!(found < 1_000, "on purpose");
    Ok(found)
}

#[test]
fn a_label_of_the_result_is_absent_when_there_is_none() {
    let recorder = recorder();
    for found in [1, 10, 11] {
        labelled_by_its_result(found).expect("ok");
    }
    std::panic::catch_unwind(|| labelled_by_its_result(1_000)).expect_err("panicked");
    let count = |outcome, size: &[(&str, &str)]| {
        let labels = [&[("function", "labelled_by_its_result"), ("outcome", outcome)], size].concat();
        recorder.sample("function_calls_total", &labels)
    };
    assert_eq!(count("ok", &[("size", "small")]), Some(1.0));
    assert_eq!(count("ok", &[("size", "large")]), Some(2.0));
    assert_eq!(count("panic", &[]), Some(1.0));
}

#[observe(metric = "settlement", buckets = [0.5, 2], name = "bank::settle")]
fn settle() {}

#[test]
fn a_metric_of_its_own_has_its_own_families_and_buckets() {
    let recorder = recorder();
    settle();
    assert_eq!(
        recorder.sample("settlement_calls_total", &[("function", "bank::settle"), ("outcome", "ok")]),
        Some(1.0)
    );
    assert!(recorder.samples("function_calls_total", &[("function", "bank::settle")]).is_empty());
    let metrics = scrape();
    let histogram =
        metrics.samples.iter().find(|sample| sample.metric == "settlement_duration_seconds").expect("it");
    let prometheus_parse::Value::Histogram(buckets) = &histogram.value else {
        panic!("a histogram: {histogram:?}")
    };
    assert_eq!(buckets.iter().map(|bucket| bucket.less_than).collect::<Vec<_>>(), [0.5, 2.0, f64::INFINITY]);
}

#[observe(no_metrics)]
fn not_counted() {}

#[test]
fn no_metrics_means_none() {
    let recorder = recorder();
    not_counted();
    assert!(recorder.samples("function_calls_total", &[("function", "not_counted")]).is_empty());
    assert_eq!(recorder.spans("not_counted").len(), 1);
}

#[observe(name = "twice::named")]
fn one_of_a_name() {}

#[observe(name = "twice::named")]
fn another_of_that_name() {}

#[test]
fn functions_of_one_name_are_one_series() {
    let recorder = recorder();
    one_of_a_name();
    another_of_that_name();
    assert_eq!(recorder.calls("twice::named", "ok"), 2.0);
    assert_eq!(recorder.samples("function_calls_in_flight", &[("function", "twice::named")]).len(), 1);
}

#[observe(name = "twice::labelled", labels(a: bool = true, b: bool = false))]
fn labels_in_one_order() {}

#[observe(name = "twice::labelled", labels(b: bool = false, a: bool = true))]
fn labels_in_another_order() {}

#[test]
fn the_order_of_labels_makes_no_difference() {
    let recorder = recorder();
    labels_in_one_order();
    labels_in_another_order();
    let labels = [("function", "twice::labelled"), ("outcome", "ok"), ("a", "true"), ("b", "false")];
    assert_eq!(recorder.sample("function_calls_total", &labels), Some(2.0));
}

fn no_label_for(found: u32) -> bool {
    assert_ne!(found, 1, "on purpose");
    true
}

#[observe(labels(first: bool = found => *found > 0, second: bool = found => no_label_for(*found)))]
async fn labelled_by_a_panic() -> u32 {
    1
}

#[tokio::test]
async fn a_label_that_panics_is_a_panic_without_labels() {
    let recorder = recorder();
    tokio::spawn(labelled_by_a_panic()).await.expect_err("panicked");
    let samples = recorder
        .samples("function_calls_total", &[("function", "labelled_by_a_panic"), ("outcome", "panic")]);
    let ended: Vec<_> = samples.into_iter().filter(|(_, count)| *count > 0.0).collect();
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert_eq!((ended[0].0.get("first"), ended[0].0.get("second"), ended[0].1), (None, None, 1.0));
}
