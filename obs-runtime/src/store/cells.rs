//! The cells of one thread, and how threads come by them.

use super::{Buckets, Shape, functions, outcome};
use crate::busy;
use crate::local::{self, local};
use crate::shared::{AtomicU64, Mutex, MutexGuard, OnceLock, size};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// A thread's cells: for each function, nothing until the thread calls it.
#[derive(Debug)]
pub(crate) struct ThreadCells {
    functions: Box<[OnceLock<FunctionCells>]>,
}

/// The cells of one function on one thread.
#[derive(Debug)]
pub(crate) struct FunctionCells {
    /// Calls that began here. They may finish on another thread.
    pub(super) started: AtomicU64,
    buckets: &'static Buckets,
    /// How many outcomes each combination of labels has.
    outcomes: u32,
    series: Table,
}

/// For each series, nothing until a call ends in it.
#[derive(Debug)]
struct Table {
    flat: Box<[Slot]>,
    /// Of a function that could have many series and will have few: in pages, none until one is needed.
    pages: Box<[Page]>,
}

type Slot = OnceLock<SeriesCells>;
type Page = OnceLock<Box<[Slot]>>;

/// Functions with more series have pages of so many.
const MAX_FLAT: usize = size(512, 1);
const PAGE: usize = size(64, 2);

impl Table {
    fn new(series: usize) -> Self {
        let (flat, pages) = if series <= MAX_FLAT { (series, 0) } else { (0, series.div_ceil(PAGE)) };
        Self { flat: slots(flat), pages: std::iter::repeat_with(OnceLock::new).take(pages).collect() }
    }

    fn slot(&self, series: usize) -> Option<&Slot> {
        if let Some(slot) = self.flat.get(series) {
            return Some(slot);
        }
        let page = self.pages.get(series / PAGE)?.get_or_init(|| {
            let _busy = busy::now();
            slots(PAGE)
        });
        page.get(series % PAGE)
    }

    /// Those that are there, each with its place.
    fn touched(&self) -> impl Iterator<Item = (usize, &SeriesCells)> {
        let firsts = (0..).step_by(PAGE);
        let there = firsts.zip(&self.pages).filter_map(|(first, page)| Some((first, page.get()?)));
        let paged = there.flat_map(|(first, page)| (first..).zip(page.iter()));
        let all = self.flat.iter().enumerate().chain(paged);
        all.filter_map(|(place, cells)| Some((place, cells.get()?)))
    }
}

fn slots(count: usize) -> Box<[Slot]> {
    std::iter::repeat_with(OnceLock::new).take(count).collect()
}

#[derive(Debug)]
pub(super) struct SeriesCells {
    /// The sum of durations in ticks.
    sum: AtomicU64,
    /// How many fell in each bucket.
    buckets: Box<[AtomicU64]>,
}

/// All cells there are, and those of threads that ended, waiting for new ones.
pub(super) struct Pool(Mutex<Lists>);

struct Lists {
    all: Vec<&'static ThreadCells>,
    free: Vec<&'static ThreadCells>,
}

impl Pool {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Lists { all: Vec::new(), free: Vec::new() }))
    }

    /// The cells of a thread that ended, or new ones, for so many functions. The caller is their only writer until it
    /// releases them: what the writer before it stored, it sees by way of the lock.
    pub(super) fn acquire(&self, functions: usize) -> &'static ThreadCells {
        let mut lists = self.lock();
        lists.free.pop().unwrap_or_else(|| {
            let cells: &'static ThreadCells = Box::leak(Box::new(ThreadCells::new(functions)));
            lists.all.push(cells);
            cells
        })
    }

    /// Gives cells to the next thread.
    pub(super) fn release(&self, cells: &'static ThreadCells) {
        self.lock().free.push(cells);
    }

    pub(super) fn all(&self) -> Vec<&'static ThreadCells> {
        self.lock().all.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Lists> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

static POOL: Pool = Pool::new();

/// The cells of calls made while their thread is being torn down. Many threads may write these.
/// Models have some of their own, so this is always `std`'s, of which there can be a static.
static ORPHANS: std::sync::OnceLock<ThreadCells> = std::sync::OnceLock::new();

/// Gives the cells of a thread that ends to the next.
pub(crate) fn release(cells: &'static ThreadCells) {
    POOL.release(cells);
}

/// The functions that this thread has cells of, as a call that begins looks at them: none while the runtime is busy here.
#[derive(Clone, Copy)]
pub(crate) struct Ready(&'static [OnceLock<FunctionCells>]);

impl Ready {
    pub(crate) const NOTHING: Self = Self(&[]);

    pub(crate) fn of(cells: Option<&'static ThreadCells>) -> Self {
        cells.map_or(Self::NOTHING, |cells| Self(&cells.functions))
    }

    /// The cells of a function that this thread has called.
    #[inline]
    pub(crate) fn called(self, function: usize) -> Option<&'static FunctionCells> {
        self.0.get(function)?.get()
    }
}

/// Counts a call that begins, whatever there is of this thread. Returns the cells in which it may be counted when it
/// ends on this thread.
pub(crate) fn started(shape: &Shape) -> Option<&'static FunctionCells> {
    let Some(cells) = own().or_else(acquire) else {
        if let Some(cells) = orphans() {
            cells.orphan_started(shape);
        }
        return None;
    };
    Some(cells.started(shape))
}

/// Counts a call that ended in a series after a number of ticks, in the cells that it began in if it is still on
/// their thread.
#[inline(always)]
#[allow(clippy::inline_always, reason = "the end of every call")]
pub(crate) fn finished(shape: &Shape, began_in: Option<&FunctionCells>, series: usize, ticks: u64) {
    match began_in {
        Some(cells) => cells.count(series, ticks),
        None => finished_elsewhere(shape, series, ticks),
    }
}

#[inline(never)]
fn finished_elsewhere(shape: &Shape, series: usize, ticks: u64) {
    if let Some(cells) = own().or_else(acquire) {
        cells.function(shape).count(series, ticks);
    } else if let Some(cells) = orphans() {
        cells.orphan_finished(shape, series, ticks);
    }
}

/// Adds to a cell, of which the calling thread is the only writer.
#[inline]
fn add(cell: &AtomicU64, more: u64) {
    cell.store(cell.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

/// The cells of threads that are being torn down, unless they are just being made.
#[cold]
fn orphans() -> Option<&'static ThreadCells> {
    if let Some(cells) = ORPHANS.get() {
        return Some(cells);
    }
    if busy::is_busy() {
        return None;
    }
    let _busy = busy::now();
    Some(ORPHANS.get_or_init(|| ThreadCells::new(functions().len())))
}

/// The cells of this thread, if it has any yet.
#[inline]
fn own() -> Option<&'static ThreadCells> {
    local(|local| local.cells.get())
}

/// The cells of a thread that ended, or new ones: once for each thread. None for one that is being torn down.
#[cold]
fn acquire() -> Option<&'static ThreadCells> {
    // Making cells allocates, and the allocator may be observed.
    if busy::is_busy() {
        return None;
    }
    let _busy = busy::now();
    if !local::lasts() {
        return None;
    }
    let cells = POOL.acquire(functions().len());
    local(|local| local.cells.set(Some(cells)));
    Some(cells)
}

/// The cells of all threads, those that ended included.
pub(super) fn all() -> Vec<&'static ThreadCells> {
    let mut all = POOL.all();
    all.extend(ORPHANS.get());
    all
}

impl ThreadCells {
    pub(super) fn new(functions: usize) -> Self {
        Self { functions: std::iter::repeat_with(OnceLock::new).take(functions).collect() }
    }

    /// Counts a call that begins, on the thread that alone writes these cells.
    pub(super) fn started(&self, shape: &Shape) -> &FunctionCells {
        let cells = self.function(shape);
        cells.begin();
        cells
    }

    /// Counts a call that begins, on any of many threads.
    pub(super) fn orphan_started(&self, shape: &Shape) {
        self.function(shape).started.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a call that ended, on any of many threads.
    pub(super) fn orphan_finished(&self, shape: &Shape, series: usize, ticks: u64) {
        if let Some(SeriesCells { sum, buckets }) = self.function(shape).series(series) {
            buckets[shape.buckets.of(ticks)].fetch_add(1, Ordering::Relaxed);
            sum.fetch_add(ticks, Ordering::Relaxed);
        }
    }

    fn function(&self, shape: &Shape) -> &FunctionCells {
        self.functions[shape.id].get_or_init(|| {
            let _busy = busy::now();
            FunctionCells {
                started: AtomicU64::new(0),
                buckets: shape.buckets,
                #[allow(
                    clippy::cast_possible_truncation,
                    reason = "a `u32` of series is more than a thread can keep"
                )]
                outcomes: shape.outcomes as u32,
                series: Table::new(shape.series),
            }
        })
    }

    /// The cells of a function that this thread has called.
    #[cfg(feature = "prometheus")]
    pub(super) fn called(&self, function: usize) -> Option<&FunctionCells> {
        self.functions.get(function)?.get()
    }
}

impl FunctionCells {
    /// Counts a call that begins, on the thread that alone writes these cells.
    #[inline]
    pub(crate) fn begin(&self) {
        add(&self.started, 1);
    }

    /// The series of calls with these labels that have returned, and have not failed. Numbers that are too large are those
    /// of no series.
    #[inline]
    pub(crate) fn series_ok(&self, labels: u32) -> usize {
        (labels as usize).wrapping_mul(self.outcomes as usize) + outcome::OK
    }

    /// Counts a call that ended, on the thread that alone writes these cells.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the end of every call")]
    pub(crate) fn count(&self, series: usize, ticks: u64) {
        if !self.count_simple(series, ticks) {
            self.count_anyhow(series, ticks);
        }
    }

    /// The same, if that takes nothing that would have to be called.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the end of nearly every call")]
    pub(crate) fn count_simple(&self, series: usize, ticks: u64) -> bool {
        match self.series.flat.get(series).and_then(OnceLock::get) {
            Some(cells) if self.buckets.is_lowest(ticks) => cells.count(0, ticks),
            _ => return false,
        }
        true
    }

    /// The same, of calls that took longer, of the first that ends in a series, and of series in pages.
    #[inline(never)]
    fn count_anyhow(&self, series: usize, ticks: u64) {
        self.series(series).into_iter().for_each(|cells| cells.count(self.buckets.of(ticks), ticks));
    }

    fn series(&self, series: usize) -> Option<&SeriesCells> {
        let cells = self.series.slot(series)?;
        Some(cells.get_or_init(|| {
            let _busy = busy::now();
            let buckets = std::iter::repeat_with(AtomicU64::default).take(self.buckets.count()).collect();
            SeriesCells { sum: AtomicU64::default(), buckets }
        }))
    }

    /// The series that calls have ended in, each with its place.
    pub(super) fn touched(&self) -> impl Iterator<Item = (usize, &SeriesCells)> {
        self.series.touched()
    }
}

impl SeriesCells {
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the end of every call")]
    fn count(&self, bucket: usize, ticks: u64) {
        self.buckets.get(bucket).into_iter().for_each(|bucket| add(bucket, 1));
        add(&self.sum, ticks);
    }

    pub(super) fn sum(&self) -> u64 {
        self.sum.load(Ordering::Relaxed)
    }

    pub(super) fn buckets(&self) -> impl Iterator<Item = u64> {
        self.buckets.iter().map(|cell| cell.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_large_table_has_pages_and_gives_each_series_its_place() {
        let table = Table::new(MAX_FLAT * 4 + 3);
        let places = [0, 63, 64, 1000, MAX_FLAT * 4 + 2];
        for place in places {
            let slot = table.slot(place).expect("within");
            slot.get_or_init(|| SeriesCells { sum: AtomicU64::new(place as u64), buckets: [].into() });
        }
        let touched: Vec<_> = table.touched().map(|(place, cells)| (place, cells.sum())).collect();
        assert_eq!(touched, places.map(|place| (place, place as u64)));
        assert!(table.slot(MAX_FLAT * 40).is_none());
    }

    #[test]
    fn cells_of_a_thread_that_ended_go_to_the_next() {
        let lease = || acquire().map(|cells| std::ptr::from_ref(cells).addr());
        let first = thread::spawn(lease).join().expect("no panic");
        // Other tests may take and give back cells meanwhile, but none are made while some are free.
        let made = all().len();
        for _ in 0..200 {
            thread::spawn(lease).join().expect("no panic");
        }
        assert!(all().len() <= made + 8, "{} threads' cells after {made}", all().len());
        assert!(all().iter().any(|cells| Some(std::ptr::from_ref(*cells).addr()) == first));
    }
}
