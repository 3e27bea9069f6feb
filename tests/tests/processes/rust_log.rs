//! `RUST_LOG`: what it says is done, directives for spans included, and a mistake in it costs a warning and no lines.

use obs_runtime::log_level;
use obs_runtime::{Context, context, observe, task};
use obs_tests::process::Process;
use obs_tests::{DEADLINE, Lines, here, parse_line};
use serde_json::Value as Json;
use tracing::field::Empty;

struct Started {
    lines: Lines,
    _guard: obs_runtime::Guard,
}

fn start() -> Started {
    let lines = Lines::default();
    let builder = obs_runtime::builder().log_output(lines.clone()).no_admin();
    Started { lines, _guard: builder.init().expect("whatever RUST_LOG says, the runtime starts") }
}

impl Started {
    fn lines(&self) -> Vec<Json> {
        assert!(obs_runtime::flush(DEADLINE).finished, "flushed in time");
        self.lines.text().lines().map(parse_line).collect()
    }

    fn warnings(&self) -> Vec<String> {
        let lines = self.lines().into_iter().filter(|line| line["target"] == "obs_runtime::log_level");
        lines.filter(|line| line["level"] == "WARN").map(|line| line["msg"].to_string()).collect()
    }

    /// The messages of all other lines since that one.
    fn messages(&self, since: usize) -> Vec<String> {
        let lines = self.lines().into_iter().filter(|line| line["target"] != "obs_runtime::log_level");
        lines.skip(since).filter_map(|line| line["msg"].as_str().map(str::to_owned)).collect()
    }

    /// What is said when that is done.
    fn of(&self, run: impl FnOnce()) -> Vec<String> {
        let since = self.messages(0).len();
        run();
        self.messages(since)
    }
}

mod my_crate {
    pub(super) fn speaks() {
        tracing::info!(target: "my_crate", "info of my crate");
        tracing::debug!(target: "my_crate::inner", "debug of my crate");
    }
}

fn speaks() {
    tracing::info!("info");
    tracing::debug!("debug");
    my_crate::speaks();
}

#[test]
fn quotes_are_left_out_with_a_warning() {
    let Some(_inside) = Process::of(here!()).variable("RUST_LOG", "\"info\"").run() else { return };
    let started = start();
    assert_eq!(started.of(speaks), ["info", "info of my crate"]);
    let warnings = started.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("RUST_LOG: the quotes"), "{warnings:?}");
    assert_eq!(log_level::current().expect("started").directives, "info");
}

#[test]
fn a_mistake_is_named_and_the_others_apply() {
    let value = "info,shop=,my-crate=debug,hyper=loud";
    let Some(_inside) = Process::of(here!()).variable("RUST_LOG", value).run() else { return };
    let started = start();
    assert_eq!(started.of(speaks), ["info", "info of my crate", "debug of my crate"]);
    let warnings = started.warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("`shop=` has no level: write `shop=debug`"), "{warnings:?}");
    assert!(warnings[1].contains("`hyper=loud`"), "{warnings:?}");
    assert_eq!(log_level::current().expect("started").directives, "info,my-crate=debug");
}

#[test]
fn where_nothing_is_valid_the_default_applies() {
    let Some(_inside) = Process::of(here!()).variable("RUST_LOG", "debgu").run() else { return };
    let started = start();
    assert_eq!(started.of(speaks), ["info", "info of my crate"]);
    assert_eq!(started.warnings().len(), 1);
}

#[test]
fn a_warning_is_written_whatever_the_level() {
    let Some(_inside) = Process::of(here!()).variable("RUST_LOG", "off,shop=").run() else { return };
    let started = start();
    assert_eq!(started.of(speaks), [""; 0]);
    assert_eq!(started.warnings().len(), 1);
}

#[test]
fn a_mistake_in_code_or_in_a_change_is_an_error_that_names_it() {
    let Some(_inside) = Process::of(here!()).variable("RUST_LOG", "=,loud=").run() else { return };
    let wrong = obs_runtime::builder().log_filter("info,shop=").no_admin().init().expect_err("a mistake");
    assert!(wrong.to_string().contains("`shop=` has no level: write `shop=debug`"), "{wrong}");
    let started = start();
    for directives in ["info,shop=", "info,[charge=debug", "\"info\"", "info,[{a=b+}]=debug"] {
        let wrong = log_level::set(directives).expect_err(directives).to_string();
        assert!(wrong.contains('`'), "{wrong}");
    }
    assert_eq!(log_level::current().expect("started").directives, "info");
    drop(started);
}

fn below() {
    tracing::debug!("below");
    log::debug!("log below");
    inner();
}

#[observe]
fn inner() {}

#[observe(fields(order_id), no_log)]
fn charge(order_id: &str) {
    below();
}

#[observe(fields(order_id), no_log)]
fn refund(order_id: &str) {
    below();
}

/// Of no use to the filter `info`: it has no frame there.
#[observe(level = "debug", fields(order_id), no_metrics, no_log)]
fn detail(order_id: &str) {
    below();
}

#[observe(no_span, no_log)]
fn bare() {
    below();
}

#[observe(fields(order_id), no_log)]
async fn charge_later(order_id: &str) {
    tokio::task::yield_now().await;
    below();
    task::spawn(async {
        tokio::task::yield_now().await;
        tracing::debug!("in a task");
    })
    .await
    .expect("no panic");
    obs_runtime::thread::spawn(|| tracing::debug!("in a thread")).join().expect("no panic");
}

const BELOW: [&str; 3] = ["below", "log below", "inner returned"];

#[test]
fn debug_can_be_had_for_one_order() {
    let value = "info,processes::rust_log[charge{order_id=A-17}]=debug";
    let Some(_inside) = Process::of(here!()).variable("RUST_LOG", value).run() else { return };
    let started = start();
    assert_eq!(started.warnings(), [""; 0]);
    assert_eq!(started.of(|| charge("A-17")), BELOW);
    let others = || {
        charge("A-18");
        charge("A-177");
        refund("A-17");
        detail("A-17");
        below();
    };
    assert_eq!(started.of(others), [""; 0]);
    assert_eq!(log_level::current().expect("started").directives, value);
}

#[test]
fn spans_match_by_name_field_and_value() {
    let Some(_inside) = Process::of(here!()).run() else { return };
    let started = start();
    let one = |run: &dyn Fn()| started.of(run);
    let cases: &[(&str, &dyn Fn(), bool)] = &[
        ("info,[charge]=debug", &|| charge("A-18"), true),
        ("info,[processes::rust_log::charge]=debug", &|| charge("A-18"), true),
        ("info,[rust_log::charge]=debug", &|| charge("A-18"), true),
        ("info,[harge]=debug", &|| charge("A-18"), false),
        ("info,elsewhere[charge]=debug", &|| charge("A-18"), false),
        ("info,[charge]=info", &|| charge("A-18"), false),
        ("info,[bare]=debug", &bare, true),
        ("info,[detail]=debug", &|| detail("A-17"), true),
        ("info,[{order_id=A-17}]=debug", &|| refund("A-17"), true),
        ("info,[{order_id=A-17}]=debug", &|| detail("A-17"), true),
        ("info,[{order_id=A-17}]=debug", &|| refund("A-18"), false),
        ("info,[{order_id=A-*}]=debug", &|| refund("A-18"), true),
        ("info,[{order_id=\"A-*\"}]=debug", &|| refund("A-18"), false),
        ("info,[{order_id=\"x, y\"}]=debug", &|| refund("x, y"), true),
        ("info,[{order_id}]=debug", &|| refund("any"), true),
        ("info,[{order_id=A-17,missing=1}]=debug", &|| refund("A-17"), false),
        // Fields of a context, alone and below a name.
        ("info,[{order_id=A-17}]=debug", &|| context! { order_id = "A-17" }.run(below), true),
        ("info,[bare{order_id=A-17}]=debug", &|| context! { order_id = "A-17" }.run(bare), true),
        ("info,processes[{order_id=A-17}]=debug", &|| context! { order_id = "A-17" }.run(bare), true),
        (
            "info,[charge{order_id=A-17}]=debug",
            &|| context! { order_id = "A-17" }.run(|| charge("A-18")),
            false,
        ),
        // Values with types.
        ("info,[{n=7,yes=true,f=1.50}]=debug", &|| context! { n = 7, yes = true, f = 1.5 }.run(below), true),
        ("info,[{n=7}]=debug", &|| context! { n = 70 }.run(below), false),
        // Spans of plain `tracing`, and fields that are recorded later.
        ("info,[plain{id=7}]=debug", &|| tracing::info_span!("plain", id = 7).in_scope(below), true),
        (
            "info,[plain{name=\"bob\"}]=debug",
            &|| tracing::info_span!("plain", name = ?"bob").in_scope(below),
            true,
        ),
        ("info,[plain{id=7}]=debug", &|| tracing::info_span!("other", id = 7).in_scope(below), false),
        ("info,[fine]=debug", &|| tracing::debug_span!("fine").in_scope(below), true),
        ("info,[plain{late=1}]=debug", &|| record(true), true),
        ("info,[plain{late=1}]=debug", &|| record(false), true),
        ("info,[plain{late=2}]=debug", &|| record(true), false),
    ];
    for (directives, run, matches) in cases {
        log_level::set(directives).expect("valid");
        let expected: &[&str] = if *matches { &BELOW } else { &[] };
        assert_eq!(one(run), expected, "{directives}");
        assert_eq!(started.of(below), [""; 0], "{directives}: nothing outside");
    }
    // An event that has the field itself.
    log_level::set("info,[{special}]=debug").expect("valid");
    assert_eq!(started.of(|| tracing::debug!(special = 1, "it has")), ["it has"]);
    assert_eq!(started.of(below), [""; 0]);
}

/// Records a field of a span that is entered, or that is not yet.
fn record(entered: bool) {
    let span = tracing::info_span!("plain", late = Empty);
    if entered {
        span.in_scope(|| {
            span.record("late", 1);
            below();
        });
    } else {
        span.record("late", 1);
        span.in_scope(below);
    }
}

#[test]
fn what_has_matched_goes_where_the_context_goes() {
    let Some(_inside) = Process::of(here!()).run() else { return };
    let started = start();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    log_level::set("info,[charge_later{order_id=A-17}]=debug").expect("valid");
    let both = async {
        tokio::join!(charge_later("A-17"), charge_later("A-18"));
    };
    let said = started.of(|| runtime.block_on(both));
    assert_eq!(said, [&BELOW[..], &["in a task", "in a thread"]].concat());
}

#[test]
fn a_directive_that_is_not_in_force_any_more_asks_for_nothing() {
    let Some(_inside) = Process::of(here!()).run() else { return };
    let started = start();
    log_level::set("info,[plain]=debug").expect("valid");
    let span = tracing::info_span!("plain");
    let _entered = span.enter();
    let context = Context::current();
    assert_eq!(started.of(below), BELOW);
    log_level::set("info").expect("valid");
    assert_eq!(started.of(below), [""; 0]);
    assert_eq!(started.of(|| context.run(below)), [""; 0]);
    // The level of a request outlives it.
    log_level::set("info,[plain]=trace").expect("valid");
    let request = Context::current().with_log_level(tracing::Level::DEBUG);
    let inside = || request.run(|| tracing::info_span!("plain").in_scope(|| tracing::trace!("in detail")));
    assert_eq!(started.of(inside), ["in detail"]);
    log_level::set("info").expect("valid");
    assert_eq!(started.of(inside), [""; 0]);
    assert_eq!(started.of(|| request.run(below)), BELOW);
}
