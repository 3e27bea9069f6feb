//! Models of the store: what a scrape sees while threads count, end and begin.

use super::cells::{Pool, ThreadCells};
use super::snapshot::FunctionSnapshot;
use super::{Buckets, Shape};
use crate::shared::explore;
use crate::site::{Site, Spec};
use loom::thread;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// A function with so many series that they are in pages.
static SHAPE: LazyLock<Shape> = LazyLock::new(|| Shape {
    id: 0,
    result_values: 1,
    outcomes: 3,
    series: 4,
    buckets: Box::leak(Box::new(Buckets::new(&[]))),
    slow_ticks: u64::MAX,
});

/// What a scrape reads.
fn scrape(threads: &[&'static ThreadCells]) -> FunctionSnapshot {
    static SITE: Site = Site::of_tests("modelled", Spec::new());
    FunctionSnapshot::of(&SITE, &SHAPE, threads)
}

/// The sum of a series and how many calls ended in it.
fn series(scraped: &FunctionSnapshot, series: usize) -> (u64, u64) {
    scraped.series(series).map_or((0, 0), |series| (series.sum, series.count()))
}

fn pool() -> &'static Pool {
    LazyLock::force(&SHAPE);
    Box::leak(Box::new(Pool::new()))
}

#[test]
fn a_scrape_reads_numbers_that_were_written_and_none_that_fall() {
    explore(|| {
        let pool = pool();
        let caller = thread::spawn(move || {
            let cells = pool.acquire(1);
            for ticks in [3, 5] {
                cells.started(&SHAPE).count(3, ticks);
            }
            pool.release(cells);
        });
        let scrapes = [(); 2].map(|()| scrape(&pool.all()));
        let [first, second] = scrapes.each_ref().map(|scraped| series(scraped, 3));
        for (sum, count) in [first, second] {
            assert!([0, 3, 8].contains(&sum) && count <= 2, "{sum} ticks in {count} calls");
        }
        assert!(first.0 <= second.0 && first.1 <= second.1, "{first:?}, then {second:?}");
        assert!(scrapes.iter().all(|scraped| scraped.in_flight <= 2));
        caller.join().expect("no panic");
        let last = scrape(&pool.all());
        assert_eq!((series(&last, 3), last.in_flight), ((8, 2), 0));
    });
}

#[test]
fn cells_go_from_a_thread_that_ends_to_the_next_and_no_count_is_lost() {
    static SHARED: AtomicBool = AtomicBool::new(false);
    static NOT_SHARED: AtomicBool = AtomicBool::new(false);
    explore(|| {
        let pool = pool();
        let callers = [3, 5].map(|ticks| {
            thread::spawn(move || {
                let cells = pool.acquire(1);
                cells.started(&SHAPE).count(0, ticks);
                // One that does not end: in-flight is never below zero, and would not show a lost beginning.
                cells.started(&SHAPE);
                pool.release(cells);
            })
        });
        let (sum, count) = series(&scrape(&pool.all()), 0);
        assert!([0, 3, 5, 8].contains(&sum) && count <= 2, "{sum} ticks in {count} calls");
        for caller in callers {
            caller.join().expect("no panic");
        }
        let threads = pool.all();
        if threads.len() == 1 { &SHARED } else { &NOT_SHARED }.store(true, Ordering::Relaxed);
        let last = scrape(&threads);
        assert_eq!((series(&last, 0), last.in_flight), ((8, 2), 2));
    });
    assert!(SHARED.load(Ordering::Relaxed) && NOT_SHARED.load(Ordering::Relaxed));
}

#[test]
fn threads_that_are_torn_down_at_once_lose_no_count() {
    explore(|| {
        LazyLock::force(&SHAPE);
        let orphans: &'static ThreadCells = Box::leak(Box::new(ThreadCells::new(1)));
        let callers = [3, 5].map(|ticks| {
            thread::spawn(move || {
                orphans.orphan_started(&SHAPE);
                // And one that does not end, as above.
                orphans.orphan_started(&SHAPE);
                orphans.orphan_finished(&SHAPE, 0, ticks);
            })
        });
        let (sum, count) = series(&scrape(&[orphans]), 0);
        assert!([0, 3, 5, 8].contains(&sum) && count <= 2, "{sum} ticks in {count} calls");
        for caller in callers {
            caller.join().expect("no panic");
        }
        let last = scrape(&[orphans]);
        assert_eq!((series(&last, 0), last.in_flight), ((8, 2), 2));
    });
}
