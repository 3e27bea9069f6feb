//! Checks of an application that has no async runtime of its own, and do what they should not.
#![allow(clippy::unused_async, reason = "a check is async, whether it waits or not")]

use obs_runtime::health::{Probe, Status, check, report};
use obs_runtime::health_check;
use obs_tests::{DEADLINE, here, process, recorder};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

static BLOCKS: AtomicBool = AtomicBool::new(false);
static RUNS: AtomicU64 = AtomicU64::new(0);

/// Leaves a task behind that blocks whichever thread it gets, where that is what is tested.
#[health_check(liveness, every = "20ms", timeout = "10s")]
async fn blocks_its_runtime() {
    if BLOCKS.load(Ordering::Relaxed) && RUNS.fetch_add(1, Ordering::Relaxed) == 0 {
        tokio::spawn(async { std::thread::sleep(Duration::from_hours(1)) });
    }
}

struct PanicsAgain;

impl Drop for PanicsAgain {
    fn drop(&mut self) {
        panic!("again");
    }
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < DEADLINE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn status(name: &str) -> Option<Status> {
    report(Probe::Liveness)
        .checks()
        .iter()
        .find(|check| check.name() == name)
        .map(obs_runtime::health::CheckReport::status)
}

#[test]
fn nothing_stops_the_others() {
    let Some(_inside) = process::alone(here!()) else { return };
    BLOCKS.store(true, Ordering::Relaxed);
    let _ = recorder();
    until("it has run", || RUNS.load(Ordering::Relaxed) > 0);
    let short = Duration::from_millis(20);
    let panics = check("panics").probe(Probe::Liveness).every(short).failures(1);
    panics.register(async || std::panic::panic_any(PanicsAgain) as ()).expect("fits");
    until("it fails", || status("panics") == Some(Status::Fail));
    let runs = AtomicU64::new(0);
    let other = check("other").probe(Probe::Liveness).every(short).timeout(DEADLINE);
    let other = other.register(move || {
        runs.fetch_add(1, Ordering::Relaxed);
        let enough = runs.load(Ordering::Relaxed) > 5;
        async move { if enough { Ok(()) } else { Err("not yet") } }
    });
    until("it goes on", || status("other") == Some(Status::Pass));
    // What a check holds may block when it is dropped, which is nobody's problem.
    other.expect("fits").remove();
    until("it is gone", || status("other").is_none());
    let held = BlocksWhenDropped;
    let holds = check("holds").probe(Probe::Liveness).every(short).register(move || {
        let _ = &held;
        async {}
    });
    until("it runs", || status("holds") == Some(Status::Pass));
    holds.expect("fits").remove();
    let later = check("later").probe(Probe::Liveness).every(short).timeout(DEADLINE).register(async || ());
    until("it runs", || status("later") == Some(Status::Pass));
    later.expect("fits").remove();
}

struct BlocksWhenDropped;

impl Drop for BlocksWhenDropped {
    fn drop(&mut self) {
        std::thread::sleep(Duration::from_hours(1));
    }
}
