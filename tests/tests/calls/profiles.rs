//! The profiles of tasks and of waiting, and calls that are stuck.

use obs_runtime::observe;
use obs_runtime::profile::{block, tasks, tasks_text};
use obs_tests::recorder;
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};
use tokio::time::sleep;

/// The groups of the text that have the function on their stack, each with its stack.
fn groups(function: &str) -> Vec<String> {
    let text = tasks_text(Duration::ZERO);
    text.split("\n\n").skip(1).filter(|group| group.contains(function)).map(str::to_owned).collect()
}

/// Asks again until the answer is yes.
async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + obs_tests::DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[observe]
async fn listed_outer(release: oneshot::Receiver<()>) {
    listed_inner(release).await;
}

#[observe]
async fn listed_inner(release: oneshot::Receiver<()>) {
    let _ = release.await;
}

#[tokio::test]
async fn a_future_that_waits_is_listed_where_it_waits_until_it_ends() {
    recorder();
    let mut ends = Vec::new();
    for _ in 0..3 {
        let (end, release) = oneshot::channel();
        ends.push((end, tokio::spawn(listed_outer(release))));
    }
    eventually("three wait", || groups("listed_outer").iter().any(|group| group.starts_with("3 waiting")))
        .await;
    let [group] = &*groups("listed_outer") else { panic!("{:?}", groups("listed_outer")) };
    let (inner, outer) = (group.find("listed_inner"), group.find("listed_outer"));
    assert!(inner.is_some() && inner < outer, "innermost first, in one group: {group}");
    assert!(group.contains("tests/calls/profiles.rs:"), "{group}");
    let aborted = ends.pop().expect("three");
    aborted.1.abort();
    eventually("one is gone", || groups("listed_outer")[0].starts_with("2 waiting")).await;
    for (end, task) in ends {
        end.send(()).expect("it waits");
        task.await.expect("no panic");
    }
    assert_eq!(groups("listed_outer"), [""; 0]);
}

#[observe]
async fn aged(release: oneshot::Receiver<()>) {
    let _ = release.await;
}

#[tokio::test]
async fn the_young_are_left_out() {
    recorder();
    let (end, release) = oneshot::channel();
    let task = tokio::spawn(aged(release));
    eventually("it waits", || groups("aged").len() == 1).await;
    assert!(!tasks_text(Duration::from_mins(1)).contains("aged"));
    drop(end);
    task.await.expect("no panic");
}

#[observe]
async fn joins() {
    tokio::join!(joined_long(), joined_short());
}

#[observe]
async fn joined_long() {
    sleep(Duration::from_millis(120)).await;
}

#[observe]
async fn joined_short() {
    sleep(Duration::from_millis(30)).await;
}

/// How often, and how many milliseconds in all, a function waited, and likewise was slow.
fn waited(function: &str) -> ([i64; 2], [i64; 2]) {
    let (mut waited, mut slow) = ([0; 2], [0; 2]);
    for (stack, values) in block().rows() {
        if stack[0].ends_with(function) {
            waited = [waited[0] + values[2], waited[1] + values[3] / 1_000_000];
            slow = [slow[0] + values[0], slow[1] + values[1] / 1_000_000];
        }
    }
    (waited, slow)
}

/// The milliseconds that a wait since then may have taken, and some for the rate of the counter, which is measured.
fn millis_since(began: Instant) -> i64 {
    let millis = i64::try_from(began.elapsed().as_millis()).expect("no age");
    millis + millis / 20 + 1
}

#[tokio::test]
async fn waiting_counts_where_it_is_done() {
    recorder();
    let began = Instant::now();
    joins().await;
    let took = millis_since(began);
    let ([longs, long], _) = waited("joined_long");
    let ([shorts, short], _) = waited("joined_short");
    // `join!` may poll both when either wakes.
    assert!(longs >= 1 && shorts >= 1);
    assert!((110..=took).contains(&long), "{long} of {took}");
    assert!((25..=took).contains(&short), "{short} of {took}");
    assert_eq!(waited("joins").0, [0, 0], "it has only waited for those");
}

#[observe]
async fn cancelled_wait() {
    sleep(Duration::from_mins(1)).await;
}

#[tokio::test]
async fn a_wait_that_is_cancelled_counts() {
    recorder();
    let began = Instant::now();
    let _ = tokio::time::timeout(Duration::from_millis(40), cancelled_wait()).await;
    let took = millis_since(began);
    let ([waits, long], _) = waited("cancelled_wait");
    // `timeout` polls once more before it gives up.
    assert!(waits >= 1 && (35..=took).contains(&long), "{waits} {long} of {took}");
}

#[observe]
async fn blocks_outer() {
    tokio::task::yield_now().await;
    blocks_inner().await;
}

#[observe]
async fn blocks_inner() {
    thread::sleep(Duration::from_millis(150));
    tokio::task::yield_now().await;
}

#[tokio::test]
async fn a_poll_that_takes_long_is_told_of_and_counts_for_who_took_it() {
    let recorder = recorder();
    let began = Instant::now();
    blocks_outer().await;
    let took = millis_since(began);
    let (_, [polls, long]) = waited("blocks_inner");
    assert!(polls == 1 && (145..=took).contains(&long), "{polls} {long} of {took}");
    assert_eq!(waited("blocks_outer").1, [0, 0], "the inner one answers for it");
    let lines = recorder.lines_of("obs_runtime::profile", "blocks_inner");
    let [line] = &*lines else { panic!("{lines:?}") };
    assert_eq!(line["level"], "WARN");
    assert!(line["stack"].as_str().is_some_and(|stack| stack.contains("blocks_inner < ")), "{line}");
    assert!(line["duration_ms"].as_f64().is_some_and(|millis| millis >= 145.0), "{line}");
}

#[observe(stuck = "300ms")]
async fn stuck_waiting(end: &Notify) {
    end.notified().await;
}

#[observe(stuck = "300ms")]
fn stuck_running(until: impl Fn() -> bool) {
    while !until() {
        thread::sleep(Duration::from_millis(5));
    }
}

#[observe(stuck = "off")]
async fn stuck_never(end: &Notify) {
    stuck_waiting(end).await;
}

fn stuck(function: &str) -> Option<f64> {
    recorder().sample("function_calls_stuck", &[("function", function)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_call_is_counted_and_told_of_once_while_it_runs() {
    let recorder = recorder();
    let end = std::sync::Arc::new(Notify::new());
    let waiting = tokio::spawn({
        let end = end.clone();
        async move { stuck_never(&end).await }
    });
    let running = thread::spawn({
        let waiting = waiting.abort_handle();
        move || stuck_running(|| waiting.is_finished())
    });
    for function in ["stuck_waiting", "stuck_running"] {
        eventually("it is stuck", || stuck(function) == Some(1.0)).await;
    }
    // Another look or two.
    sleep(Duration::from_millis(600)).await;
    for function in ["stuck_waiting", "stuck_running"] {
        let lines = recorder.lines_of("obs_runtime::profile", function);
        let [line] = &*lines else { panic!("{lines:?}") };
        assert_eq!(line["level"], "WARN");
        assert!(line["msg"].as_str().is_some_and(|msg| msg.ends_with("is stuck")), "{line}");
    }
    let stack = &recorder.lines_of("obs_runtime::profile", "stuck_waiting")[0]["stack"];
    assert!(stack.as_str().is_some_and(|stack| stack.ends_with("stuck_never")), "{stack}");
    end.notify_waiters();
    waiting.await.expect("no panic");
    running.join().expect("no panic");
    for function in ["stuck_waiting", "stuck_running"] {
        eventually("it is not any more", || stuck(function) == Some(0.0)).await;
    }
    assert_eq!(stuck("stuck_never"), None);
}

#[tokio::test]
async fn tasks_of_the_past_are_none() {
    recorder();
    let old = tasks(Duration::from_hours(24));
    assert_eq!(old.rows().len(), 0);
}
