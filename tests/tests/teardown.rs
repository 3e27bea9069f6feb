//! Observed calls while threads and the process are being torn down.

use obs_runtime::observe;
use obs_tests::recorder;
use std::cell::RefCell;
use std::process::Command;
use std::{env, thread};

#[observe]
fn observed() {}

struct Observes;

impl Drop for Observes {
    fn drop(&mut self) {
        observed();
    }
}

#[test]
fn a_destructor_of_a_thread_may_be_observed() {
    thread_local!(static LAST: RefCell<Option<Observes>> = const { RefCell::new(None) });
    recorder();
    let ends = thread::spawn(|| {
        tracing::info!("the stack is there before the destructor");
        LAST.with(|last| *last.borrow_mut() = Some(Observes));
        observed();
    });
    ends.join().expect("no panic");
}

#[test]
fn a_thread_may_end_inside_a_span() {
    recorder();
    let ends = thread::spawn(|| {
        std::mem::forget(tracing::info_span!("never left").entered());
        observed();
    });
    ends.join().expect("no panic");
}

#[observe]
fn exits() {
    std::process::exit(7);
}

#[test]
fn a_process_may_end_inside_a_call() {
    const INSIDE: &str = "OBS_TEST_EXITS";
    if env::var_os(INSIDE).is_some() {
        recorder();
        exits();
    }
    let this = env::current_exe().expect("a path");
    let status = Command::new(this)
        .args(["--exact", "a_process_may_end_inside_a_call"])
        .env(INSIDE, "1")
        .stdout(std::process::Stdio::null())
        .status();
    assert_eq!(status.expect("it runs").code(), Some(7));
}
