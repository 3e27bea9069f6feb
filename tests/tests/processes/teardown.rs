//! Observed calls while threads and the process are being torn down.

use obs_runtime::observe;
use obs_tests::process::Process;
use obs_tests::{here, process, recorder};
use std::cell::RefCell;
use std::thread;

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
    let Some(_inside) = process::together(here!()) else { return };
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
    let Some(_inside) = process::together(here!()) else { return };
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
    let Some(_inside) = Process::of(here!()).exits_with(7).run() else { return };
    recorder();
    exits();
}
