//! The end of a runtime, and what comes after it: a process of its own.

use obs_runtime::{InitError, observe};
use obs_tests::{Lines, here, parse_line, process};
use std::time::Duration;

#[observe(ok(level = "info"))]
fn late() {}

#[test]
fn what_is_logged_after_the_end_is_written_before_the_process_ends() {
    let Some(_inside) = process::alone(here!()) else { return };
    let lines = Lines::default();
    let start = || obs_runtime::builder().no_admin().log_filter("info").log_output(lines.clone()).init();
    let guard = start().expect("the runtime starts");
    assert!(matches!(start(), Err(InitError::AlreadyStarted)));
    assert!(matches!(obs_runtime::init(), Err(InitError::AlreadyStarted)), "not a word of the port");

    // No clock is asked and nothing is waited for: each line is there when its call returns.
    tracing::info!("before");
    let flushed = guard.shutdown(Duration::from_secs(20));
    assert!(flushed.is_complete(), "{flushed:?}");
    tracing::info!("after");
    late();
    let messages: Vec<_> = lines.text().lines().map(|line| parse_line(line)["msg"].clone()).collect();
    assert_eq!(messages, ["before", "after", "late returned"]);
}
