//! Profiles over HTTP.

use obs_runtime::observe;
use obs_tests::pprof::{ask, get, read};
use obs_tests::{here, process};
use std::io::Read;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

static SERVER: LazyLock<(String, obs_runtime::Guard)> = LazyLock::new(|| {
    let guard = obs_runtime::builder()
        .log_output(obs_tests::Lines::default())
        .admin(([127, 0, 0, 1], 0).into())
        .init()
        .expect("the runtime starts");
    (guard.admin_address().expect("it listens").to_string(), guard)
});

/// Only some wait at once, and one test takes all their places.
static WAITING: Mutex<()> = Mutex::new(());

#[observe]
async fn waits_for_good() {
    std::future::pending::<()>().await;
}

#[test]
fn tasks_are_listed_by_age() {
    let Some(_inside) = process::together(here!()) else { return };
    let address = &SERVER.0;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let _waiting: Vec<_> = (0..3).map(|_| runtime.spawn(waits_for_good())).collect();
    let end = Instant::now() + obs_tests::DEADLINE;
    let listed = |path: &str| {
        let profile = read(&get(address, path).body);
        let found = profile.flat("goroutine");
        found.into_iter().find(|(name, _)| name.ends_with("waits_for_good")).map_or(0, |(_, count)| count)
    };
    while listed("/debug/pprof/tasks") < 3 {
        assert!(Instant::now() < end, "they wait");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(listed("/debug/pprof/goroutine"), 3);
    assert_eq!(listed("/debug/pprof/tasks?min_age=1000s"), 0);
    let text = get(address, "/debug/pprof/tasks?debug=1");
    assert_eq!(text.header("content-type"), Some("text/plain; charset=utf-8"));
    assert!(text.text().contains("waits_for_good"), "{}", text.text());
    let graph = get(address, "/debug/pprof/tasks.svg");
    assert_eq!(graph.header("content-type"), Some("image/svg+xml"));
    assert_eq!(graph.header("x-content-type-options"), Some("nosniff"));
    assert!(graph.text().contains("waits_for_good"));
}

/// The allocator is missing, or the feature: other packages of a build may ask for that too.
fn says_why_there_is_no_heap(text: &str) -> bool {
    let without_feature = text.contains("the feature `profile-heap` of obs-runtime");
    text.contains("`obs_runtime::heap_profiling!();`") || (without_feature && !cfg!(feature = "heap"))
}

#[test]
fn what_is_wrong_is_named() {
    let Some(_inside) = process::together(here!()) else { return };
    let address = &SERVER.0;
    for (path, status, text) in [
        ("block?seconds=0", 400, "`seconds` with a whole number from 1 to 300"),
        ("block?second=1", 400, "there is no parameter \"second\""),
        ("profile?hz=1001", 400, "`hz` with a whole number from 1 to 1000"),
        ("tasks?min_age=x", 400, "`min_age` with a whole number of ms or s"),
        ("nothing", 404, "there are profile, heap, tasks, block, mutex"),
    ] {
        let answer = get(address, &format!("/debug/pprof/{path}"));
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.text().contains(text), "{path}: {}", answer.text());
    }
    for path in ["heap", "heap.svg"] {
        let answer = get(address, &format!("/debug/pprof/{path}"));
        assert_eq!(answer.status, 501, "{path}");
        assert!(says_why_there_is_no_heap(&answer.text()), "{path}: {}", answer.text());
    }
    let index = get(address, "/debug/pprof/").text();
    assert!(index.contains("<a href=\"tasks\">") && says_why_there_is_no_heap(&index), "{index}");
}

#[test]
fn a_difference_takes_as_long_as_it_is_asked_to_and_others_are_answered() {
    let Some(_inside) = process::together(here!()) else { return };
    let _alone = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    let address = &SERVER.0;
    let waiting = ask(address, "/debug/pprof/block?seconds=300");
    assert_eq!(get(address, "/health/live").status, 200);
    drop(waiting);
    let began = Instant::now();
    let answer = get(address, "/debug/pprof/block?seconds=2");
    assert_eq!(answer.status, 200);
    assert!(began.elapsed() >= Duration::from_secs(2));
    assert!(read(&answer.body).duration() >= Duration::from_secs(2));
}

/// Four may wait at once, and one that has hung up is no longer among them.
#[test]
fn clients_that_hang_up_leave_nothing_behind() {
    let Some(_inside) = process::together(here!()) else { return };
    let _alone = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    let address = &SERVER.0;
    for _ in 0..20 {
        drop(ask(address, "/debug/pprof/block?seconds=300"));
    }
    let end = Instant::now() + obs_tests::DEADLINE;
    loop {
        // The head comes at once.
        let mut status = [0; 12];
        ask(address, "/debug/pprof/block?seconds=300").read_exact(&mut status).expect("a status");
        if status.ends_with(b"200") {
            break;
        }
        assert!(Instant::now() < end, "there is a place again");
        std::thread::sleep(Duration::from_millis(10));
    }
}
