//! A process that is stopped for a while, as by `SIGSTOP` or in a frozen container.

#![cfg(unix)]

use obs_runtime::health::{Probe, Status, check, report};
use obs_runtime::lifecycle;
use obs_tests::{DEADLINE, here, process, recorder};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[test]
fn a_process_that_goes_on_is_as_ready_as_it_was() {
    static RUNNING: AtomicBool = AtomicBool::new(false);
    let Some(_inside) = process::alone(here!()) else { return };
    let _ = recorder();
    lifecycle::started();
    super::service::LOADED.store(true, Ordering::Relaxed);
    // Its result is too old after three seconds, and a stop is longer.
    let database = check("database").every(Duration::from_millis(500)).timeout(Duration::from_millis(1_500));
    database.failures(1).register(async || ()).expect("fits");
    // This one is always in the middle of a run, which may take as long as it takes for the process to be busy.
    let slow = check("slow").every(Duration::from_millis(100)).timeout(Duration::from_secs(2)).failures(1);
    let slow = slow.register(async || {
        RUNNING.store(true, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(1)).await;
        RUNNING.store(false, Ordering::Relaxed);
    });
    slow.expect("fits");
    let began = Instant::now();
    while report(Probe::Readiness).status() != Status::Pass {
        assert!(began.elapsed() < DEADLINE, "it becomes ready: {}", report(Probe::Readiness).to_json(true));
        std::thread::sleep(Duration::from_millis(5));
    }
    while !RUNNING.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let id = std::process::id();
    let script = format!("kill -STOP {id}; sleep 5; kill -CONT {id}");
    // Before the stop, which may come at once.
    let mut last = Instant::now();
    let mut longest = Duration::ZERO;
    let mut stopping = Command::new("sh").args(["-c", &script]).spawn().expect("a shell");
    // The first probe comes at once, and others while results get newer.
    let mut later = None;
    while later.is_none_or(|end| Instant::now() < end) {
        let answer = report(Probe::Readiness);
        assert_eq!(answer.status(), Status::Pass, "{}", answer.to_json(true));
        longest = longest.max(last.elapsed());
        last = Instant::now();
        std::thread::sleep(Duration::from_millis(1));
        if later.is_none() && stopping.try_wait().expect("a child").is_some() {
            later = Some(Instant::now() + Duration::from_secs(2));
        }
    }
    stopping.wait().expect("it has ended");
    assert!(longest >= Duration::from_secs(4), "it was stopped: {longest:?}");
}
