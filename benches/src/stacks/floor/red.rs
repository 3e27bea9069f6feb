//! RED: two readings of the time stamp counter, a search for the bucket, and two cells of this thread.

use crate::case::Running;
use crate::payment::{BOUNDS, Method, Payment, SERIES, pay, series};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// With what has to be known before the first call.
pub(super) fn running(calls: impl Fn(u64) + Send + Sync + 'static) -> Running {
    LazyLock::force(&TICK_BOUNDS);
    Running::new(calls)
}

/// For each series the sum of durations in ticks, then how many calls fell in each bucket.
type Cells = [[AtomicU64; BOUNDS.len() + 2]; SERIES];

/// All threads' cells, for a scrape to add up.
static ALL_CELLS: Mutex<Vec<&'static Cells>> = Mutex::new(Vec::new());

thread_local! {
    static CELLS: Cell<Option<&'static Cells>> = const { Cell::new(None) };
}

#[cold]
fn new_cells() -> &'static Cells {
    let cells: &'static Cells = Box::leak(Box::new([const { [const { AtomicU64::new(0) }; _] }; _]));
    ALL_CELLS.lock().unwrap_or_else(PoisonError::into_inner).push(cells);
    CELLS.set(Some(cells));
    cells
}

/// The present in ticks of the time stamp counter.
#[inline]
pub(super) fn ticks() -> u64 {
    // SAFETY: the instruction is there on every processor of this architecture.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// How many ticks a second has.
pub(super) static TICKS_PER_SECOND: LazyLock<f64> = LazyLock::new(|| {
    let (start, first) = (Instant::now(), ticks());
    thread::sleep(Duration::from_millis(20));
    #[allow(clippy::cast_precision_loss, reason = "short times")]
    let passed = (ticks() - first) as f64;
    passed / start.elapsed().as_secs_f64()
});

/// The bounds of the buckets in ticks.
static TICK_BOUNDS: LazyLock<[u64; BOUNDS.len()]> = LazyLock::new(|| {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and far below 2^63"
    )]
    BOUNDS.map(|bound| (bound * *TICKS_PER_SECOND) as u64)
});

#[inline]
fn bucket(ticks: u64) -> usize {
    TICK_BOUNDS.iter().position(|bound| ticks <= *bound).unwrap_or(BOUNDS.len())
}

#[inline]
pub(super) fn count(series: usize, ticks: u64) {
    let add = |cell: &AtomicU64, more| cell.store(cell.load(Ordering::Relaxed) + more, Ordering::Relaxed);
    let cells = &CELLS.get().unwrap_or_else(new_cells)[series];
    add(&cells[0], ticks);
    add(&cells[1 + bucket(ticks)], 1);
}

#[inline(never)]
pub(super) fn charge(amount: u64, method: Method, attempt: u32) -> Payment {
    let started = ticks();
    let payment = pay(amount);
    count(series(method, attempt > 1, &payment), ticks() - started);
    payment
}
