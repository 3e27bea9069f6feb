//! The writer: a bounded buffer for each thread that logs, and one thread that empties them in order.
//!
//! A buffer at its limit drops the line and counts it, so neither a slow terminal nor a full disk holds a
//! request up.

use super::Format;
use super::file_size;
use super::framed::{self, Batch};
use super::output::{Writing, Written};
use super::stdout::Stdout;
use crate::overflow::Kept;
use crate::rings::{Own, Rings};
use crate::{busy, clock, threads};
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes of the ring in front of a thread's growing buffer: some two thousand lines, as a start may print.
const RING_BYTES: usize = 512 * 1024;

/// How often a thread whose buffer is at its limit lets others run before it drops a line: as long as the writer
/// takes to wake up, or to get a core at all; and only for microseconds while it is held up by its output.
const YIELDS: usize = 200;
const YIELDS_FOR_OUTPUT: usize = 20;

/// Lines that the output is given in one piece.
const LINES_AT_ONCE: usize = 4096;

/// How long the writer sleeps after it found something, and at most when it finds nothing.
const BUSY: Duration = Duration::from_millis(2);
const IDLE: Duration = Duration::from_millis(50);

/// How long a line waits to be written that comes after the end of the runtime, when there may be no
/// later. If that is not enough, the lines after it do not wait.
const LATE: Duration = Duration::from_secs(1);

/// How often a flush looks whether the writer's thread is still there.
const LOOK: Duration = Duration::from_millis(50);

/// How long after the last line that was dropped lines still count as [being lost](trouble), and how long one
/// write may take before the output counts as stuck.
const TROUBLE: Duration = Duration::from_secs(5);

static WRITER: OnceLock<Writer> = OnceLock::new();
static RUNNING: AtomicBool = AtomicBool::new(false);
static CLOSED: AtomicBool = AtomicBool::new(false);
/// Time in ticks since which the writer has waited for its output, or 0.
static IN_OUTPUT: AtomicU64 = AtomicU64::new(0);
/// Lines that the output has taken.
static WRITTEN: AtomicU64 = AtomicU64::new(0);
/// Lines that the writer has taken out of the rings, until each is written or dropped.
static IN_HAND: AtomicU64 = AtomicU64::new(0);
static DROPPED: AtomicU64 = AtomicU64::new(0);
/// Time in ticks of the last drop, or 0 if the output works again.
static DROPPED_AT: AtomicU64 = AtomicU64::new(0);
static RINGS: Rings<framed::Write, framed::Read> = Rings::new(|| framed::buffer(RING_BYTES));

thread_local! {
    static OWN: Own<framed::Write> = const { Own::new() };
}

struct Writer {
    format: Format,
    thread: threads::Handle,
    flushes: Mutex<Flushes>,
    flushed: Condvar,
}

/// How many flushes were asked for, and how many of those are done.
#[derive(Default)]
struct Flushes {
    asked: u64,
    done: u64,
    /// Why the last lines could not be written, if they could not.
    failure: Option<String>,
}

/// What became of all lines so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) written: u64,
    pub(crate) dropped: u64,
    /// Lines in the rings and in the writer's hands.
    pub(crate) pending: u64,
}

/// Where lines go.
pub(crate) enum Output {
    /// Standard output.
    Stdout,
    /// Anything else; text only if the format says so.
    Other(Box<dyn Write + Send>),
}

/// Starts the writer's thread. A second call has no effect.
pub(crate) fn start(format: Format, output: Output) -> io::Result<()> {
    let (format, output): (Format, Box<dyn Write + Send>) = match output {
        Output::Stdout => {
            let terminal = io::stdout().is_terminal();
            // By https://no-color.org.
            let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            let auto = match terminal {
                true if plain => Format::Text,
                true => Format::ColorText,
                false => Format::Json,
            };
            (if format == Format::Auto { auto } else { format }, Box::new(Stdout))
        }
        Output::Other(output) => (if format == Format::Auto { Format::Json } else { format }, output),
    };
    file_size::limit_is_an_error();
    let mut output = Writing::to(output);
    let thread = threads::spawn("obs-log", move || {
        // What it calls may be observed: the output, the allocator.
        let _busy = busy::now();
        // Parked until the static below is there to read.
        while WRITER.get().is_none() {
            thread::park_timeout(BUSY);
        }
        if let Some(writer) = WRITER.get() {
            // An output that logs would never come to an end.
            super::without_lines(|| writer.run(&mut output));
        }
    })?;
    let _ = WRITER.set(Writer { format, thread, flushes: Mutex::default(), flushed: Condvar::new() });
    RUNNING.store(true, Ordering::Release);
    Ok(())
}

/// Whether lines are written at all.
#[inline]
pub(super) fn running() -> bool {
    RUNNING.load(Ordering::Relaxed)
}

pub(super) fn format() -> Format {
    WRITER.get().map_or(Format::Json, |writer| writer.format)
}

/// Hands over a line behind room for its header. False if it does not fit.
pub(super) fn push(ticks: u64, line: &mut [u8]) -> bool {
    let Some(writer) = WRITER.get() else { return false };
    let push = |own: &Own<framed::Write>| {
        RINGS.write(own, |buffer| {
            let mut yields = 0;
            let kept = loop {
                let kept = buffer.push(ticks, line);
                let held_up = || IN_OUTPUT.load(Ordering::Relaxed) != 0 || !writer.thread.is_alive();
                if kept != Kept::No || yields >= YIELDS || (yields >= YIELDS_FOR_OUTPUT && held_up()) {
                    break kept;
                }
                yields += 1;
                writer.thread.unpark();
                thread::yield_now();
            };
            if kept == Kept::InNewChunk || buffer.is_half_full() {
                writer.thread.unpark();
            }
            kept != Kept::No
        })
    };
    let pushed = matches!(OWN.try_with(push), Ok(Some(true)));
    if CLOSED.load(Ordering::Relaxed) && !flush(Instant::now() + LATE) {
        // The output is stuck; whoever logs now is not to wait for it again.
        CLOSED.store(false, Ordering::Relaxed);
    }
    pushed
}

/// From now on each line is waited for.
pub(crate) fn close() {
    CLOSED.store(true, Ordering::Relaxed);
}

/// Counts lines that are lost.
pub(super) fn count_dropped(lines: u64) {
    if lines > 0 {
        DROPPED_AT.store(clock::now(), Ordering::Relaxed);
        DROPPED.fetch_add(lines, Ordering::Relaxed);
    }
}

/// How many lines have been lost.
pub(crate) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Lines that the output has taken.
pub(crate) fn written() -> u64 {
    WRITTEN.load(Ordering::Relaxed)
}

/// Counts all lines. The sum is exact while no thread logs and the writer is idle or waits for its output.
pub(crate) fn totals() -> Totals {
    let (written, dropped) = (written(), dropped());
    let mut in_hand = None;
    let mut in_buffers = 0;
    RINGS.read(|buffer| {
        // The writer moves lines from the rings into its hands only while it holds the lock that is held here.
        in_hand.get_or_insert_with(|| IN_HAND.load(Ordering::Relaxed));
        in_buffers += buffer.count();
    });
    Totals { written, dropped, pending: in_buffers + in_hand.unwrap_or(0) }
}

/// Why lines are being lost, if they are.
pub(crate) fn trouble() -> Option<String> {
    let writer = WRITER.get()?;
    if let Some(failure) = &lock(&writer.flushes).failure {
        return Some(format!("log lines can't be written: {failure}"));
    }
    let now = clock::now();
    let since =
        |ticks: u64| (ticks > 0).then(|| Duration::from_nanos(clock::nanos(now.saturating_sub(ticks))));
    if let Some(waits) = since(IN_OUTPUT.load(Ordering::Relaxed)).filter(|waits| *waits >= TROUBLE) {
        return Some(format!("the log output has taken nothing for {} s", waits.as_secs()));
    }
    let dropped = since(DROPPED_AT.load(Ordering::Relaxed)).is_some_and(|dropped| dropped < TROUBLE);
    dropped.then(|| "log lines are being dropped".to_owned())
}

/// Waits until every line logged so far is written or dropped. Returns false if the deadline comes first, and at once if
/// the writer's thread is gone.
pub(crate) fn flush(deadline: Instant) -> bool {
    let Some(writer) = WRITER.get() else { return true };
    let mut flushes = lock(&writer.flushes);
    flushes.asked += 1;
    let wanted = flushes.asked;
    writer.thread.unpark();
    while flushes.done < wanted {
        let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
        if !writer.thread.is_alive() {
            return false;
        }
        let left = left.min(LOOK);
        flushes = writer.flushed.wait_timeout(flushes, left).unwrap_or_else(PoisonError::into_inner).0;
    }
    true
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Writer {
    fn run(&self, output: &mut Writing) {
        let mut batch = Batch::default();
        let mut pause = BUSY;
        // Lines that a run before this one had in its hands when it panicked.
        count_dropped(IN_HAND.swap(0, Ordering::Relaxed));
        IN_OUTPUT.store(0, Ordering::Relaxed);
        loop {
            let asked = lock(&self.flushes).asked;
            RINGS.read(|buffer| {
                buffer.take(&mut batch);
                IN_HAND.store(batch.len() as u64, Ordering::Relaxed);
            });
            pause = if batch.len() == 0 { (pause * 2).min(IDLE) } else { BUSY };
            batch.sort();
            let lines: Vec<&[u8]> = batch.lines().map(|(_, line)| line).collect();
            for lines in lines.chunks(LINES_AT_ONCE) {
                self.write(output, lines);
            }
            // Makes room in the buffers that the lines were taken from.
            batch.clear();
            let mut flushes = lock(&self.flushes);
            flushes.done = asked;
            let more = flushes.asked > asked;
            drop(flushes);
            self.flushed.notify_all();
            if !more {
                thread::park_timeout(pause);
            }
        }
    }

    fn write(&self, output: &mut Writing, lines: &[&[u8]]) {
        // Never 0, which is not waiting.
        IN_OUTPUT.store(clock::now().max(1), Ordering::Relaxed);
        let Written { lost, failure } = output.write(lines);
        IN_OUTPUT.store(0, Ordering::Relaxed);
        IN_HAND.fetch_sub(lines.len() as u64, Ordering::Relaxed);
        WRITTEN.fetch_add(lines.len() as u64 - lost, Ordering::Relaxed);
        count_dropped(lost);
        let mut flushes = lock(&self.flushes);
        if flushes.failure.is_some() && failure.is_none() {
            DROPPED_AT.store(0, Ordering::Relaxed);
        }
        flushes.failure = failure;
    }
}
