//! More threads at once than the table of open spans has places for.

use obs_runtime::observe;
use obs_tests::{here, process, recorder};
use std::sync::{Condvar, Mutex};
use std::thread;
use tracing::{Span, info_span};

/// Half of the places; the rest is for threads that are just ending.
const PLACES: usize = 1 << 13;
const THREADS: usize = PLACES + 100;
const SMALL_STACK: usize = 128 * 1024;

#[observe(no_span, no_log)]
fn called_on_each() {}

#[observe(fields(number))]
fn asked_for_its_number(number: usize) -> bool {
    let _ = number;
    !Span::current().is_none()
}

/// Threads that wait for all others before they end.
#[derive(Default)]
struct Meeting {
    there: Mutex<usize>,
    all_there: Condvar,
}

impl Meeting {
    fn join(&self, all: usize) {
        let mut there = self.there.lock().expect("no panic");
        *there += 1;
        self.all_there.notify_all();
        drop(self.all_there.wait_while(there, |there| *there < all).expect("no panic"));
    }
}

#[test]
#[ignore = "needs more than 8,000 threads at once, which not every machine allows; `.ci/sanitize.sh` runs it"]
fn threads_beyond_the_places_go_without_numbers_but_are_counted() {
    let Some(_inside) = process::alone(here!()) else { return };
    let recorder = recorder();
    let dropped = || obs_tests::total("obs_spans_dropped_total", &[]);
    let (before, meeting) = (dropped(), Meeting::default());
    let tracked: usize = thread::scope(|scope| {
        let on_thread = |number| {
            let span = info_span!("one_of_many", number);
            span.in_scope(called_on_each);
            let tracked = asked_for_its_number(number);
            meeting.join(THREADS + 1);
            drop(span);
            usize::from(tracked)
        };
        let mut threads = Vec::new();
        for number in 0..THREADS {
            let builder = thread::Builder::new().stack_size(SMALL_STACK);
            threads.push(builder.spawn_scoped(scope, move || on_thread(number)).expect("a thread"));
            // The collector empties the rings of all threads: none may be full when it comes by.
            if number % 500 == 0 {
                assert!(obs_runtime::flush(obs_tests::DEADLINE).finished);
            }
        }
        meeting.join(THREADS + 1);
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert!((PLACES - 10..=PLACES).contains(&tracked), "{tracked} threads had numbers for their spans");
    for function in ["called_on_each", "asked_for_its_number"] {
        assert_eq!(
            recorder.calls(function, "ok"),
            f64::from(u32::try_from(THREADS).expect("few")),
            "{function}"
        );
        assert_eq!(recorder.in_flight(function), 0.0);
    }
    let exported = ["asked_for_its_number", "one_of_many"].map(|name| recorder.spans(name).len());
    assert!(exported.iter().all(|exported| (1..=THREADS).contains(exported)), "{exported:?} spans");
    let missing = 2 * THREADS - exported.iter().sum::<usize>();
    let counted = dropped() - before;
    assert!(
        counted >= f64::from(u32::try_from(missing).expect("few")),
        "{exported:?} exported, {counted} counted"
    );

    thread::spawn(|| drop(info_span!("after_the_crowd"))).join().expect("no panic");
    assert_eq!(recorder.spans("after_the_crowd").len(), 1, "there is room again");
}
