//! Log levels that change while the service runs: for all of it, for a time, and for one request.
//!
//! The level is one for the process, so the tests take turns.

mod requests;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::routing::get;
use obs_runtime::http::{ClientLayer, ServerLayer};
use obs_runtime::log_level::{self, Error};
use obs_runtime::{Context, TraceContext, observe, propagation, task};
use obs_tests::{DEADLINE, Lines, here, parse_line, process};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::Barrier;
use tower::{Layer, ServiceExt, service_fn};
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, Level};

const TOKEN: &str = "a-token-that-nobody-may-see";

struct Runtime {
    lines: Lines,
    _guard: obs_runtime::Guard,
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let lines = Lines::default();
    let guard = obs_runtime::builder()
        .log_filter("info")
        .log_output(lines.clone())
        .no_admin()
        .admin_token(TOKEN)
        .init()
        .expect("the runtime starts");
    Runtime { lines, _guard: guard }
});

/// The runtime for one test alone, with the level it was started with.
struct Turn {
    before: usize,
    _turn: MutexGuard<'static, ()>,
}

fn turn() -> Turn {
    static TURNS: Mutex<()> = Mutex::new(());
    let turn = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    LazyLock::force(&RUNTIME);
    log_level::set("info").expect("valid");
    wait_until(|| LevelFilter::current() == LevelFilter::INFO);
    Turn { before: written().len(), _turn: turn }
}

fn written() -> Vec<Json> {
    assert!(obs_runtime::flush(DEADLINE).finished, "flushed in time");
    RUNTIME.lines.text().lines().map(parse_line).collect()
}

impl Turn {
    /// The lines since it began, less those of changes.
    fn lines(&self) -> Vec<Json> {
        let ours = |line: &Json| line["target"] != "obs_runtime::log_level";
        written().split_off(self.before).into_iter().filter(ours).collect()
    }

    fn changes(&self) -> Vec<Json> {
        let ours = |line: &Json| line["target"] == "obs_runtime::log_level";
        written().split_off(self.before).into_iter().filter(ours).collect()
    }

    /// What lines say that have to do with a request, in order of the alphabet.
    fn said_in(&self, request: &str) -> Vec<String> {
        let of_request = |line: &Json| line["request_id"] == request;
        messages(self.lines().into_iter().filter(of_request))
    }
}

fn messages(lines: impl IntoIterator<Item = Json>) -> Vec<String> {
    let mut messages: Vec<_> =
        lines.into_iter().filter_map(|line| line["msg"].as_str().map(str::to_owned)).collect();
    messages.sort();
    messages
}

fn wait_until(reached: impl Fn() -> bool) {
    let waiting = Instant::now();
    while !reached() {
        assert!(waiting.elapsed() < DEADLINE, "waited in vain");
        thread::sleep(Duration::from_millis(2));
    }
}

#[observe]
fn works() -> Result<(), String> {
    Ok(())
}

#[observe]
fn fails() -> Result<(), String> {
    Err("on purpose".to_owned())
}

/// Of no use to the filter `info`: not on the stack there.
#[observe(level = "debug", fields(detail = 7), no_metrics)]
fn works_in_detail() {
    tracing::info!("inside");
}

mod shop {
    pub(crate) fn speaks() {
        tracing::debug!("of the shop");
        log::debug!("of the shop's log");
    }
}

/// Speaks in all ways there are, at DEBUG.
fn speaks() {
    works().expect("it works");
    tracing::debug!("from tracing");
    log::debug!("from log");
}

const SPOKEN: [&str; 3] = ["from log", "from tracing", "works returned"];

#[test]
fn a_change_is_heard_by_functions_tracing_and_log() {
    let Some(_inside) = process::together(here!()) else { return };
    let turn = turn();
    speaks();
    assert_eq!(turn.lines(), [] as [Json; 0]);
    for _ in 0..3 {
        let before = turn.lines().len();
        log_level::set("debug").expect("valid");
        assert!(tracing::enabled!(Level::DEBUG) && log::log_enabled!(log::Level::Debug));
        speaks();
        assert_eq!(messages(turn.lines().split_off(before)), SPOKEN);
        log_level::set("info").expect("valid");
        assert!(!tracing::enabled!(Level::DEBUG) && !log::log_enabled!(log::Level::Debug));
        speaks();
        assert_eq!(turn.lines().len(), before + SPOKEN.len());
    }
    log_level::set("off").expect("valid");
    fails().expect_err("fails");
    tracing::error!("unheard");
    assert_eq!(turn.lines().len(), 3 * SPOKEN.len());
    log_level::set("error").expect("valid");
    fails().expect_err("fails");
    assert_eq!(turn.lines().len(), 3 * SPOKEN.len() + 1);
}

#[test]
fn a_change_may_be_for_targets_alone() {
    let Some(_inside) = process::together(here!()) else { return };
    let turn = turn();
    log_level::set("info,processes::log_levels::shop=debug").expect("valid");
    speaks();
    shop::speaks();
    assert_eq!(messages(turn.lines()), ["of the shop", "of the shop's log"]);
    let now = log_level::current().expect("started");
    assert_eq!(now.directives, "info,processes::log_levels::shop=debug");
    assert_eq!((now.permanent, now.configured), (now.directives, "info".to_owned()));
}

#[test]
fn a_change_for_a_time_gives_way_to_the_last_for_good() {
    let Some(_inside) = process::together(here!()) else { return };
    let turn = turn();
    log_level::set("warn").expect("valid");
    log_level::set_for("debug", Duration::from_hours(1)).expect("valid");
    let now = log_level::current().expect("started");
    assert_eq!((&*now.directives, &*now.permanent, &*now.configured), ("debug", "warn", "info"));
    assert!(now.reverts_in.is_some_and(|left| left > Duration::from_mins(50)));
    speaks();
    assert_eq!(messages(turn.lines()), SPOKEN);
    // In the place of the hour.
    log_level::set_for("trace", Duration::from_millis(20)).expect("valid");
    wait_until(|| LevelFilter::current() == LevelFilter::INFO);
    wait_until(|| turn.changes().len() == 4);
    let now = log_level::current().expect("started");
    assert_eq!((&*now.directives, now.reverts_in), ("warn", None));
    tracing::info!("unheard");
    speaks();
    assert_eq!(turn.lines().len(), SPOKEN.len());
}

#[test]
fn the_time_of_a_change_ends_with_it() {
    const SHORT: Duration = Duration::from_millis(300);
    let Some(_inside) = process::together(here!()) else { return };
    let turn = turn();
    let mut before;
    loop {
        before = turn.changes().len();
        let began = Instant::now();
        for _ in 0..10 {
            log_level::set_for("debug", SHORT).expect("valid");
            log_level::set("warn").expect("valid");
            log_level::set_for("debug", SHORT).expect("valid");
            log_level::set_for("trace", Duration::from_hours(1)).expect("valid");
        }
        let in_time = began.elapsed() < SHORT;
        thread::sleep(SHORT + Duration::from_millis(70));
        // On a busy machine the time of a change may end before the next change, which is another story.
        if in_time {
            break;
        }
    }
    assert_eq!(log_level::current().expect("started").directives, "trace");
    assert!(log_level::revert());
    assert!(!log_level::revert(), "once");
    assert_eq!(log_level::current().expect("started").directives, "warn");
    assert_eq!(turn.changes().len(), before + 41);
}

#[test]
fn changes_are_lines_whatever_the_level() {
    let Some(_inside) = process::together(here!()) else { return };
    let turn = turn();
    log_level::set("off").expect("valid");
    log_level::set_for("error", Duration::from_secs(90)).expect("valid");
    log_level::revert();
    log_level::set_for("warn", Duration::from_millis(5)).expect("valid");
    wait_until(|| turn.changes().len() == 5);
    let changes = turn.changes();
    let said: Vec<_> = changes
        .iter()
        .map(|line| {
            assert_eq!(line["level"], "INFO");
            let text = |key: &str| line[key].as_str().expect("text").to_owned();
            (text("msg"), text("old"), text("new"), line["for_seconds"].as_u64())
        })
        .collect();
    let change = |message: &str, old: &str, new: &str, seconds| {
        (message.to_owned(), old.to_owned(), new.to_owned(), seconds)
    };
    assert_eq!(
        said,
        [
            change("log level changed", "info", "off", None),
            change("log level changed", "off", "error", Some(90)),
            change("log level reverted", "error", "off", None),
            change("log level changed", "off", "warn", Some(1)),
            change("log level reverted: its time is over", "warn", "off", None),
        ]
    );
}

#[test]
fn what_is_not_valid_changes_nothing() {
    let Some(_inside) = process::together(here!()) else { return };
    let turn = turn();
    for directives in ["shop=loud", "debgu", "", " , ", "a=b=info"] {
        let error = log_level::set(directives).expect_err(directives);
        assert!(matches!(error, Error::Directives { .. }), "{error}");
        assert!(error.to_string().contains("off, error, warn, info, debug, trace"), "{error}");
    }
    for time in [Duration::ZERO, log_level::MAX_TIME_TO_LIVE + Duration::from_nanos(1), Duration::MAX] {
        assert_eq!(log_level::set_for("debug", time), Err(Error::TimeToLive(time)));
    }
    speaks();
    tracing::info!("heard");
    assert_eq!(messages(turn.lines()), ["heard"]);
    assert_eq!(turn.changes(), [] as [Json; 0]);
    assert_eq!(log_level::current().expect("started").directives, "info");
}

#[test]
fn a_thread_with_another_subscriber_changes_it_for_all_the_same() {
    let Some(_inside) = process::together(here!()) else { return };
    let turn = turn();
    let elsewhere = Dispatch::none();
    tracing::dispatcher::with_default(&elsewhere, || log_level::set("debug").expect("valid"));
    assert_eq!(LevelFilter::current(), LevelFilter::DEBUG);
    speaks();
    assert_eq!(messages(turn.lines()), SPOKEN);
    let ask = || Context::current().with_log_level(Level::TRACE);
    tracing::dispatcher::with_default(&elsewhere, ask).run(|| tracing::trace!("asked for"));
    assert_eq!(turn.lines().len(), SPOKEN.len() + 1);
}

#[test]
fn a_context_may_ask_whatever_the_filter_says() {
    let Some(_inside) = process::together(here!()) else { return };
    let turn = turn();
    log_level::set("off").expect("valid");
    let context = Context::current().with_log_level(Level::DEBUG);
    let span = context.run(|| {
        speaks();
        tracing::trace!("too much");
        tracing::error!(parent: None, "of nobody");
        // Whatever adds to it is still inside, and what hides it is not.
        Context::current().with_baggage("tenant", "acme").run(|| tracing::debug!("with baggage"));
        let caller: TraceContext =
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().expect("valid");
        Context::from(caller).run(|| tracing::debug!("in another trace"));
        let message = HashMap::from([("baggage".to_owned(), "tenant=acme".to_owned())]);
        propagation::extract(&message).run(|| tracing::debug!("in a message"));
        Context::root().run(|| tracing::error!("of no request"));
        fails().expect_err("fails");
        tracing::info_span!("kept")
    });
    speaks();
    span.in_scope(|| tracing::debug!("in the span"));
    drop(span);
    Context::current().with_log_level(Level::WARN).run(|| {
        speaks();
        tracing::warn!("a warning");
    });
    let mut expected = [
        &SPOKEN[..],
        &["with baggage", "in another trace", "in a message", "fails failed", "in the span", "a warning"],
    ]
    .concat();
    expected.sort_unstable();
    assert_eq!(messages(turn.lines()), expected);
    drop(context);
    wait_until(|| !log::log_enabled!(log::Level::Error) && log::max_level() == log::LevelFilter::Info);
    speaks();
    tracing::error!("unheard");
    assert_eq!(turn.lines().len(), expected.len());
}

#[test]
fn no_error_is_lost_while_levels_flip() {
    const THREADS: u64 = 4;
    let Some(_inside) = process::together(here!()) else { return };
    let turn = turn();
    let (done, errors) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    tracing::error!("an error of tracing");
                    log::error!("an error of log");
                    fails().expect_err("fails");
                    speaks();
                    errors.fetch_add(1, Ordering::Relaxed);
                    // Rings that are full drop lines, which is not what this is about.
                    assert!(obs_runtime::flush(DEADLINE).finished);
                }
            });
        }
        scope.spawn(|| {
            for number in 0..60 {
                let directives = ["debug", "info", "error", "warn,processes::log_levels=trace"][number % 4];
                if number % 3 == 0 {
                    log_level::set_for(directives, Duration::from_millis(1)).expect("valid");
                } else {
                    log_level::set(directives).expect("valid");
                }
                Context::current().with_log_level(Level::TRACE).run(|| tracing::trace!("asked for"));
            }
            done.store(true, Ordering::Relaxed);
        });
    });
    let count = |message: &str| {
        let lines = turn.lines();
        lines.iter().filter(|line| line["msg"] == message).count() as u64
    };
    let errors = errors.into_inner();
    for message in ["an error of tracing", "an error of log", "fails failed"] {
        assert_eq!(count(message), errors, "{message}");
    }
    assert_eq!(count("asked for"), 60);
}
