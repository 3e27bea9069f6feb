//! Health checks as probes, scrapers and readers of the log see them.

#![allow(clippy::unused_async, reason = "a check is async, whether it waits or not")]

use axum::body::{Body, to_bytes};
use http::Request;
use obs_runtime::health::{self, Health, Probe, RegisterError, Status, report};
use obs_runtime::{health_check, lifecycle, observe};
use obs_tests::{DEADLINE, Recorder, here, process, recorder};
use serde_json::Value as Json;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tower::ServiceExt;

const SHORT: Duration = Duration::from_millis(20);

pub(super) static LOADED: AtomicBool = AtomicBool::new(false);
static WELL: AtomicBool = AtomicBool::new(true);
static DECLARED_RUNS: AtomicUsize = AtomicUsize::new(0);

#[health_check(startup, every = "20ms")]
async fn loaded() -> Result<(), &'static str> {
    if LOADED.load(Ordering::Relaxed) { Ok(()) } else { Err("still loading") }
}

#[health_check(name = "declared-db", every = "20ms", timeout = "10s", failures = 1)]
async fn declared() -> Result<(), String> {
    DECLARED_RUNS.fetch_add(1, Ordering::Relaxed);
    if WELL.load(Ordering::Relaxed) { Ok(()) } else { Err("connection \"refused\"".to_owned()) }
}

#[health_check(liveness, critical = false)]
async fn nothing() {}

#[health_check(liveness, every = "20ms")]
#[observe(name = "health::observed_inside")]
async fn r#loop() {}

#[observe(name = "health::observed_outside")]
#[health_check(liveness, every = "20ms")]
async fn observed_outside() -> Result<Health, Box<dyn std::error::Error>> {
    Ok(Health::Good)
}

/// Where a function stands says nothing of whether it is registered.
#[allow(dead_code, reason = "the runtime calls what is inside")]
fn elsewhere() {
    #[health_check(liveness)]
    async fn in_a_function() {}
    #[cfg(any())]
    #[health_check(liveness)]
    async fn not_there() -> NoSuchType {}
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < DEADLINE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn text(value: &Json) -> &str {
    value.as_str().unwrap_or_default()
}

fn json(probe: Probe) -> Json {
    serde_json::from_str(&report(probe).to_json(true)).expect("JSON")
}

fn check_status(probe: Probe, name: &str) -> Option<Status> {
    report(probe).checks().iter().find(|check| check.name() == name).map(health::CheckReport::status)
}

async fn ask(method: &str, path: &str) -> (u16, http::HeaderMap, String) {
    let router: axum::Router = obs_runtime::admin::router();
    let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("valid");
    let (head, body) = router.oneshot(request).await.expect("infallible").into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("in memory");
    (head.status.as_u16(), head.headers, String::from_utf8(body.to_vec()).expect("UTF-8"))
}

/// One test, as readiness is the whole process': from its start to its end.
#[test]
fn a_service_from_its_start_to_its_end() {
    let Some(_inside) = process::together(here!()) else { return };
    let tokio = tokio::runtime::Runtime::new().expect("a runtime");
    let recorder = recorder();
    assert_eq!(report(Probe::Liveness).status(), Status::Pass);
    let (code, _, body) = tokio.block_on(ask("GET", "/health/ready"));
    assert_eq!(code, 503);
    assert!(body.contains("starting"), "{body}");
    let why = json(Probe::Readiness);
    assert!(text(&why["output"]).contains("has not said that it has started"), "{why}");
    tokio.block_on(async { lifecycle::started() });

    // Nothing is ready that has not started up.
    until("the first run", || check_status(Probe::Startup, "loaded") == Some(Status::Fail));
    until("declared", || check_status(Probe::Readiness, "declared-db") == Some(Status::Pass));
    assert_eq!(report(Probe::Startup).status(), Status::Fail);
    assert_eq!(report(Probe::Readiness).output(), Some("failing: loaded"));
    LOADED.store(true, Ordering::Relaxed);
    until("loaded", || report(Probe::Readiness).status() == Status::Pass);
    assert_eq!(report(Probe::Startup).status(), Status::Pass);
    LOADED.store(false, Ordering::Relaxed);

    let mut names: Vec<_> =
        report(Probe::Liveness).checks().iter().map(|check| check.name().to_owned()).collect();
    names.sort();
    // Of the other module too: where a check is declared says nothing of who asks.
    assert_eq!(names, ["blocks_its_runtime", "in_a_function", "loop", "nothing", "observed_outside"]);
    for function in ["observed_inside", "observed_outside"] {
        until(function, || recorder.calls(&format!("health::{function}"), "ok") > 0.0);
    }

    falls_and_recovers(&tokio, recorder);
    the_answers(&tokio);
    degraded_is_not_down(&tokio);
    in_nobodys_way(&tokio);
    probes_run_nothing(&tokio);
    names_are_taken_once();
    assert_eq!(report(Probe::Startup).status(), Status::Pass, "what has started stays started");
}

fn falls_and_recovers(tokio: &tokio::runtime::Runtime, recorder: &Recorder) {
    let lines = || {
        let lines = recorder.all_lines();
        let of_check = |line: &Json| line["check"] == "declared-db";
        let of_check = lines.into_iter().filter(of_check);
        of_check.map(|line| format!("{} {}", text(&line["level"]), text(&line["msg"]))).collect::<Vec<_>>()
    };
    assert_eq!(lines(), ["INFO health check passes"]);
    let failures =
        || recorder.sample("health_check_failures_total", &[("check", "declared-db")]).expect("there");
    assert_eq!(failures(), 0.0);
    WELL.store(false, Ordering::Relaxed);
    until("fails", || report(Probe::Readiness).status() == Status::Fail);
    assert_eq!(tokio.block_on(ask("GET", "/health/ready")).0, 503);
    assert_eq!(tokio.block_on(ask("GET", "/health/live")).0, 200, "it is alive all the same");
    until("fails more than once", || failures() > 3.0);
    let status = |status| {
        let labels = [("check", "declared-db"), ("probe", "readiness"), ("status", status)];
        recorder.sample("health_check_status", &labels)
    };
    assert_eq!([status("pass"), status("warn"), status("fail")], [Some(0.0), Some(0.0), Some(1.0)]);
    assert!(recorder.sample("health_check_duration_seconds", &[("check", "declared-db")]).is_some());
    assert_eq!(
        json(Probe::Readiness)["checks"]["declared-db:responseTime"][0]["output"],
        "connection \"refused\""
    );
    WELL.store(true, Ordering::Relaxed);
    until("passes", || report(Probe::Readiness).status() == Status::Pass);
    // On changes alone, however often it has failed.
    assert_eq!(
        lines(),
        ["INFO health check passes", "ERROR health check fails", "INFO health check passes again"]
    );
}

fn the_answers(tokio: &tokio::runtime::Runtime) {
    let (code, headers, body) = tokio.block_on(ask("GET", "/health/ready"));
    assert_eq!((code, &*body), (200, "{\"status\":\"pass\"}"));
    assert_eq!(headers["content-type"], "application/health+json");
    assert_eq!(headers["cache-control"], "no-store");
    let (code, headers, body) = tokio.block_on(ask("HEAD", "/health/ready"));
    assert_eq!((code, &*body), (200, ""));
    assert_eq!(headers["content-type"], "application/health+json");
    assert_eq!(tokio.block_on(ask("POST", "/health/ready")).0, 405);
    // What checks say is for those who may see it, and nobody can show a token that is not set.
    assert_eq!(tokio.block_on(ask("GET", "/health/ready?verbose")).2, "{\"status\":\"pass\"}");
    let body = json(Probe::Readiness);
    let check = &body["checks"]["declared-db:responseTime"][0];
    assert_eq!(check["status"], "pass");
    assert_eq!(check["critical"], true);
    assert_eq!(check["observedUnit"], "ms");
    assert!(check["observedValue"].is_number() && check["age_ms"].is_number(), "{check}");
    assert!(
        check["time"]
            .as_str()
            .is_some_and(|time| time.len() >= "1970-01-01T00:00:00Z".len() && time.ends_with('Z')),
        "{check}"
    );
    let live = report(Probe::Liveness).to_json(true);
    assert!(live.contains("nothing:responseTime") && !live.contains("declared-db"), "{live}");
}

fn degraded_is_not_down(tokio: &tokio::runtime::Runtime) {
    let cache = health::check("cache").critical(false).every(SHORT).failures(1);
    let cache = cache.register(async || Err::<(), _>("no such host")).expect("fits");
    let replica = health::check("replica").every(SHORT);
    let replica = replica.register(async || Health::Degraded("30 s behind".to_owned())).expect("fits");
    let both = [("cache", Status::Fail), ("replica", Status::Warn)];
    let settled = || both.iter().all(|(name, status)| check_status(Probe::Readiness, name) == Some(*status));
    until("both", settled);
    let (code, _, body) = tokio.block_on(ask("GET", "/health/ready"));
    assert_eq!((code, &*body), (200, "{\"status\":\"warn\",\"output\":\"degraded\"}"));
    assert_eq!(report(Probe::Readiness).output(), Some("degraded: cache, replica"));
    cache.remove();
    replica.remove();
    assert_eq!(tokio.block_on(ask("GET", "/health/ready")).2, "{\"status\":\"pass\"}");
}

async fn buggy(value: Option<()>) {
    value.expect("a bug");
}

/// One hangs, one blocks its thread, one panics; another runs on.
fn in_nobodys_way(tokio: &tokio::runtime::Runtime) {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let bad = |name: &str| health::check(name).critical(false).every(SHORT).timeout(SHORT).failures(1);
    let hangs = bad("hangs").register(std::future::pending::<()>).expect("fits");
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = std::sync::Mutex::new(blocked);
    let blocks = bad("blocks").register(move || {
        let _ = blocked.lock().expect("no panic").recv();
        async {}
    });
    let panics = bad("panics").register(|| buggy(None)).expect("fits");
    let _in_it = tokio.enter();
    // With the connections of the application's own runtime.
    let good = health::check("good").every(SHORT).timeout(DEADLINE).register(async || {
        tokio::time::sleep(Duration::from_millis(1)).await;
        RUNS.fetch_add(1, Ordering::Relaxed);
    });
    let output = |name: &str| {
        let report = report(Probe::Readiness);
        report.checks().iter().find(|check| check.name() == name)?.output().map(str::to_owned)
    };
    for (name, says) in [
        ("hangs", "no answer within 20 ms"),
        ("blocks", "it blocks its thread"),
        ("panics", "panicked: a bug"),
    ] {
        until(name, || output(name).is_some_and(|output| output.starts_with(says)));
    }
    let before = RUNS.load(Ordering::Relaxed);
    until("the other goes on", || RUNS.load(Ordering::Relaxed) > before + 5);
    drop(release);
    until("it is free again", || check_status(Probe::Readiness, "blocks") == Some(Status::Pass));
    for check in [hangs, blocks.expect("fits"), panics, good.expect("fits")] {
        check.remove();
    }
}

fn probes_run_nothing(tokio: &tokio::runtime::Runtime) {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let every = Duration::from_millis(200);
    let began = Instant::now();
    let check =
        health::check("asked-often").every(every).register(async || _ = RUNS.fetch_add(1, Ordering::Relaxed));
    for _ in 0..2_000 {
        tokio.block_on(ask("GET", "/health/ready?verbose"));
        let _ = report(Probe::Readiness);
    }
    let runs = u128::from(RUNS.load(Ordering::Relaxed));
    let most = 1 + began.elapsed().as_millis() / every.as_millis();
    assert!(runs <= most, "{runs} runs, {most} at most");
    let check = check.expect("fits");
    check.remove();
    let removed = RUNS.load(Ordering::Relaxed);
    std::thread::sleep(every * 2);
    assert!(RUNS.load(Ordering::Relaxed) <= removed + 1, "one that is removed is not run");
    assert_eq!(check_status(Probe::Readiness, "asked-often"), None);
}

fn names_are_taken_once() {
    let register = |name: &str| health::check(name).every(DEADLINE).register(async || ());
    let first = register("mine").expect("fits");
    assert_eq!(register("mine").expect_err("it does not fit"), RegisterError::NameTaken("mine".to_owned()));
    assert_eq!(
        register("declared-db").expect_err("it does not fit"),
        RegisterError::NameTaken("declared-db".to_owned())
    );
    first.remove();
    register("mine").expect("it is free again").remove();
    let error = health::check("no spaces").register(async || ()).expect_err("it does not fit");
    assert!(error.to_string().contains("letters, digits"), "{error}");
    let zero =
        health::check("often").every(Duration::ZERO).register(async || ()).expect_err("it does not fit");
    assert_eq!(
        zero.to_string(),
        "the every of a health check is 0ns; it takes a time above zero, of a day at most"
    );
    let all: Vec<_> = (0..).map_while(|number| register(&format!("many-{number}")).ok()).collect();
    assert!((240..=256).contains(&all.len()), "{}", all.len());
    assert_eq!(register("one-more").expect_err("it does not fit"), RegisterError::TooMany);
    all.into_iter().for_each(health::Check::remove);
}

#[test]
fn checks_that_every_service_can_use() {
    let Some(_inside) = process::together(here!()) else { return };
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio.block_on(async {
        health::disk_space("/", 1)().await.expect("some space is left");
        let error = health::disk_space("/", u64::MAX)().await.expect_err("it does not fit");
        assert!(error.contains("MiB left, less than"), "{error}");
        let error = health::disk_space("/nowhere/at/all", 1)().await.expect_err("it does not fit");
        assert!(error.contains("can't be asked"), "{error}");
        health::export_success(Duration::from_secs(1))().await.expect("nothing has failed");
    });
    // One that is asked from outside, as the runtime's own thread does.
    let (lag, progress) = {
        let _in_it = tokio.enter();
        (health::event_loop_lag(Duration::from_millis(20)), health::progress())
    };
    let outside = tokio::runtime::Runtime::new().expect("another");
    let (asks, is_asked) = std::sync::mpsc::channel();
    let asked = outside.spawn(async move {
        let mut lag = std::pin::pin!(lag());
        assert!(futures_util::poll!(&mut lag).is_pending());
        asks.send(()).expect("it waits");
        lag.await
    });
    let goes_on = outside.spawn(progress());
    is_asked.recv().expect("it is asked");
    std::thread::sleep(Duration::from_millis(50));
    assert!(!goes_on.is_finished(), "nobody has run the runtime that is watched");
    let (asked, goes_on) = tokio.block_on(async { (asked.await, goes_on.await) });
    let Ok(Ok(Health::Degraded(why))) = asked else { panic!("{asked:?}") };
    assert!(why.starts_with("a task waited "), "{why}");
    goes_on.expect("no panic").expect("it got there");
}
