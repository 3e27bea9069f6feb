//! Each outcome, of synchronous and async functions, in the metric, the span and the log alike.

use obs_runtime::{Label, observe};
use obs_tests::{attribute, recorder};
use opentelemetry::trace::Status;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[derive(Debug, thiserror::Error, Label)]
enum Failure {
    #[error("declined: {0}")]
    Declined(&'static str),
    #[error("gateway timed out")]
    TimedOut,
}

mod sync {
    use super::*;

    #[observe]
    fn sync_ok(left: u32, right: u32) -> u32 {
        left + right
    }

    #[observe(err(kind = Failure))]
    fn sync_error(fail: bool) -> Result<u32, Failure> {
        if fail {
            Err(Failure::Declined("no funds"))?;
        }
        Ok(1)
    }

    #[observe]
    fn sync_panic() {
        panic!("on purpose");
    }

    #[observe]
    fn sync_diverges() -> ! {
        panic!("on purpose")
    }

    #[test]
    fn a_call_that_returns_is_ok() {
        let recorder = recorder();
        assert_eq!(sync_ok(1, 2), 3);
        recorder.assert_one_call("sync_ok", "ok");
        assert_eq!(recorder.span("sync_ok").status, Status::Unset);
        assert_eq!(recorder.end_line("sync_ok")["level"], "DEBUG");
    }

    #[test]
    fn an_err_is_an_error_of_its_kind() {
        let recorder = recorder();
        sync_error(true).expect_err("declined");
        recorder.assert_one_call("sync_error", "error");
        let span = recorder.span("sync_error");
        assert_eq!(span.status, Status::error("declined: no funds"));
        assert_eq!(attribute(&span, "error.type").as_deref(), Some("declined"));
        let line = recorder.end_line("sync_error");
        assert_eq!((&line["level"], &line["error.kind"]), (&"ERROR".into(), &"declined".into()));
        assert_eq!(line["error"], "declined: no funds");
        let of_kind =
            |kind| recorder.sample("function_calls_total", &[("function", "sync_error"), ("error", kind)]);
        assert_eq!((of_kind("declined"), of_kind("timed_out")), (Some(1.0), Some(0.0)));
    }

    #[test]
    fn a_panic_is_a_panic_and_goes_on() {
        let recorder = recorder();
        let caught = catch_unwind(sync_panic).expect_err("panicked");
        assert_eq!(caught.downcast_ref(), Some(&"on purpose"));
        recorder.assert_one_call("sync_panic", "panic");
        catch_unwind(|| sync_diverges()).expect_err("panicked");
        recorder.assert_one_call("sync_diverges", "panic");
        let line = recorder.end_line("sync_panic");
        assert_eq!(line["level"], "ERROR");
        let error = line["error"].as_str().expect("what it said");
        assert!(
            error.starts_with("panicked at tests/tests/calls/outcomes.rs:")
                && error.ends_with(": on purpose"),
            "{error}"
        );
    }
}

mod future {
    use super::*;

    #[observe]
    async fn async_ok(left: u32, right: u32) -> u32 {
        tokio::task::yield_now().await;
        left + right
    }

    #[observe(err(kind = Failure))]
    async fn async_error() -> Result<u32, Failure> {
        tokio::task::yield_now().await;
        Err(Failure::TimedOut)
    }

    #[observe]
    async fn async_panic() {
        tokio::task::yield_now().await;
        panic!("on purpose");
    }

    #[observe]
    async fn async_panic_in_task() {
        tokio::task::yield_now().await;
        panic!("on purpose");
    }

    #[observe]
    async fn never_polled() {}

    #[tokio::test]
    async fn a_future_that_is_ready_is_ok() {
        let recorder = recorder();
        assert_eq!(async_ok(1, 2).await, 3);
        recorder.assert_one_call("async_ok", "ok");
    }

    #[tokio::test]
    async fn an_err_is_an_error_of_its_kind() {
        let recorder = recorder();
        async_error().await.expect_err("timed out");
        recorder.assert_one_call("async_error", "error");
        assert_eq!(attribute(&recorder.span("async_error"), "error.type").as_deref(), Some("timed_out"));
    }

    #[test]
    fn a_panic_while_polled_is_a_panic() {
        let recorder = recorder();
        catch_unwind(AssertUnwindSafe(|| futures_executor::block_on(async_panic()))).expect_err("panicked");
        recorder.assert_one_call("async_panic", "panic");
    }

    #[tokio::test]
    async fn a_task_that_panics_is_a_panic() {
        let recorder = recorder();
        let ended = tokio::spawn(async_panic_in_task()).await;
        assert!(ended.expect_err("panicked").is_panic());
        recorder.assert_one_call("async_panic_in_task", "panic");
    }

    #[test]
    fn a_future_that_was_never_polled_was_no_call() {
        let recorder = recorder();
        drop(never_polled());
        for outcome in ["ok", "error", "panic", "cancelled"] {
            assert!(recorder.calls("never_polled", outcome) < 0.5);
        }
        assert!(recorder.spans("never_polled").is_empty());
    }
}

mod cancellation {
    use super::*;
    use std::time::Duration;

    const FOREVER: Duration = Duration::from_hours(1);

    #[observe]
    async fn loses_a_select() {
        tokio::time::sleep(FOREVER).await;
    }

    #[observe]
    async fn times_out() {
        tokio::time::sleep(FOREVER).await;
    }

    #[observe]
    async fn is_aborted() {
        tokio::time::sleep(FOREVER).await;
    }

    #[observe]
    async fn dropped_by_a_panic() {
        tokio::time::sleep(FOREVER).await;
    }

    #[tokio::test]
    async fn a_select_that_another_branch_wins_cancels() {
        let recorder = recorder();
        tokio::select! {
            biased;
            () = loses_a_select() => unreachable!(),
            () = tokio::task::yield_now() => {}
        }
        recorder.assert_one_call("loses_a_select", "cancelled");
        assert_eq!(recorder.end_line("loses_a_select")["level"], "WARN");
    }

    #[tokio::test]
    async fn a_timeout_cancels() {
        let recorder = recorder();
        tokio::time::timeout(Duration::from_millis(1), times_out()).await.expect_err("timed out");
        recorder.assert_one_call("times_out", "cancelled");
    }

    #[tokio::test]
    async fn an_abort_cancels() {
        let recorder = recorder();
        let task = tokio::spawn(is_aborted());
        while recorder.in_flight("is_aborted") < 0.5 {
            tokio::task::yield_now().await;
        }
        task.abort();
        assert!(task.await.expect_err("aborted").is_cancelled());
        recorder.assert_one_call("is_aborted", "cancelled");
    }

    #[test]
    fn a_future_dropped_while_something_else_panics_was_cancelled() {
        let recorder = recorder();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let waits = AssertUnwindSafe(async {
                let mut call = Box::pin(dropped_by_a_panic());
                tokio::select! {
                    biased;
                    () = &mut call => {}
                    () = tokio::task::yield_now() => {}
                }
                panic!("on purpose");
            });
            tokio::spawn(waits).await.expect_err("panicked");
        });
        recorder.assert_one_call("dropped_by_a_panic", "cancelled");
    }
}

mod one_error_line {
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
}
