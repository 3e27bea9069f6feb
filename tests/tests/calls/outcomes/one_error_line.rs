//! Of a failure that goes up through several calls, one line asks for attention.

use super::*;

#[observe(err(kind = Failure))]
fn origin() -> Result<(), Failure> {
    Err(Failure::Declined("no funds"))
}

#[observe]
fn hands_it_on() -> Result<(), Failure> {
    origin()
}

#[derive(Debug, thiserror::Error)]
#[error("payment failed")]
struct Wrapped(#[source] Failure);

#[observe]
async fn wraps_it() -> Result<(), Wrapped> {
    tokio::task::yield_now().await;
    hands_it_on().map_err(Wrapped)
}

#[observe]
fn fails_below() -> Result<(), Failure> {
    Err(Failure::TimedOut)
}

#[observe]
fn fails_for_another_reason() -> Result<(), String> {
    fails_below().map_err(|_| "no retries left".to_owned())
}

#[tokio::test]
async fn the_origin_logs_it_and_callers_hand_it_on_quietly() {
    let recorder = recorder();
    wraps_it().await.expect_err("failed");
    for (function, level) in [("origin", "ERROR"), ("hands_it_on", "DEBUG"), ("wraps_it", "DEBUG")] {
        recorder.assert_one_call(function, "error");
        assert_eq!(recorder.end_line(function)["level"], level, "{function}");
    }
    assert_eq!(recorder.end_line("wraps_it")["error"], "payment failed: declined: no funds");
}

#[test]
fn a_caller_that_fails_for_another_reason_logs_its_own() {
    let recorder = recorder();
    fails_for_another_reason().expect_err("failed");
    for function in ["fails_below", "fails_for_another_reason"] {
        assert_eq!(recorder.end_line(function)["level"], "ERROR", "{function}");
    }
}

#[observe]
fn short_text() -> Result<(), &'static str> {
    Err("io")
}

#[observe]
fn fails_after_a_handled_error() -> Result<(), &'static str> {
    let _handled = short_text();
    Err("subscription expired")
}

#[observe(err(level = "warn"))]
fn origin_at_warn() -> Result<(), &'static str> {
    Err("not found")
}

#[observe]
fn hands_a_warning_on() -> Result<(), &'static str> {
    origin_at_warn()
}

#[observe(no_log)]
fn silent_origin() -> Result<(), &'static str> {
    Err("unheard")
}

#[observe]
fn hands_on_what_was_unheard() -> Result<(), &'static str> {
    silent_origin()
}

#[observe]
fn calls_elsewhere_in_between() -> Result<(), &'static str> {
    let caller: obs_runtime::TraceContext =
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().expect("valid");
    let _scope = obs_runtime::Context::from(caller).enter();
    below_the_scope()
}

#[observe]
fn below_the_scope() -> Result<(), &'static str> {
    Err("from below the scope")
}

#[test]
fn no_failure_is_lost_to_one_that_looks_like_it() {
    let recorder = recorder();
    fails_after_a_handled_error().expect_err("failed");
    assert_eq!(recorder.end_line("fails_after_a_handled_error")["level"], "ERROR");
    hands_a_warning_on().expect_err("failed");
    assert_eq!(recorder.end_line("origin_at_warn")["level"], "WARN");
    assert_eq!(recorder.end_line("hands_a_warning_on")["level"], "ERROR", "it asks for more attention");
    hands_on_what_was_unheard().expect_err("failed");
    assert_eq!(recorder.end_line("hands_on_what_was_unheard")["level"], "ERROR");
    calls_elsewhere_in_between().expect_err("failed");
    assert_eq!(recorder.end_line("calls_elsewhere_in_between")["level"], "DEBUG");
}

#[observe]
fn panics_below() {
    panic!("the first");
}

#[observe]
fn catches_and_panics_itself() {
    catch_unwind(panics_below).expect_err("panicked");
    panic!("the second");
}

#[observe]
fn lets_a_panic_through() {
    panics_again_below();
}

#[observe]
fn panics_again_below() {
    panic!("the third");
}

#[test]
fn a_panic_is_one_line_and_a_second_panic_another() {
    let recorder = recorder();
    catch_unwind(catches_and_panics_itself).expect_err("panicked");
    assert_eq!(recorder.end_line("panics_below")["level"], "ERROR");
    assert_eq!(recorder.end_line("catches_and_panics_itself")["level"], "ERROR");
    catch_unwind(lets_a_panic_through).expect_err("panicked");
    assert_eq!(recorder.end_line("panics_again_below")["level"], "ERROR");
    assert_eq!(recorder.end_line("lets_a_panic_through")["level"], "DEBUG");
}

#[observe]
async fn waits_for_ever() {
    std::future::pending::<()>().await;
}

#[observe]
async fn cancelled_with_its_callee() {
    waits_for_ever_too().await;
}

#[observe]
async fn waits_for_ever_too() {
    std::future::pending::<()>().await;
}

#[observe]
async fn cancelled_after_its_callee() {
    let wait = std::time::Duration::from_millis(1);
    tokio::time::timeout(wait, waits_for_ever()).await.expect_err("timed out");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_cancellation_is_one_line_and_a_later_one_another() {
    let recorder = recorder();
    let wait = std::time::Duration::from_millis(20);
    tokio::time::timeout(wait, cancelled_after_its_callee()).await.expect_err("timed out");
    assert_eq!(recorder.end_line("waits_for_ever")["level"], "WARN");
    assert_eq!(recorder.end_line("cancelled_after_its_callee")["level"], "WARN");
    tokio::time::timeout(wait, cancelled_with_its_callee()).await.expect_err("timed out");
    assert_eq!(recorder.end_line("waits_for_ever_too")["level"], "WARN");
    assert_eq!(recorder.end_line("cancelled_with_its_callee")["level"], "DEBUG");
}
