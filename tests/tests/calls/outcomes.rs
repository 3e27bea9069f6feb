//! Each outcome, of synchronous and async functions, in the metric, the span and the log alike.

mod one_error_line;

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
