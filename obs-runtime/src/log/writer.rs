//! The writer: a bounded buffer for each thread that logs, and one thread that empties them in order.
//!
//! A buffer at its limit drops the line and counts it, so neither a slow terminal nor a full disk holds a
//! request up.

use super::Format;
use super::framed::{self, Batch};
use super::output::Writing;
use crate::busy;
use crate::overflow::Kept;
use crate::rings::{Own, Rings};
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
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

static WRITER: OnceLock<Writer> = OnceLock::new();
static RUNNING: AtomicBool = AtomicBool::new(false);
static CLOSED: AtomicBool = AtomicBool::new(false);
/// The writer waits for its output.
static IN_OUTPUT: AtomicBool = AtomicBool::new(false);
static DROPPED: AtomicU64 = AtomicU64::new(0);
static RINGS: Rings<framed::Write, framed::Read> = Rings::new(|| framed::buffer(RING_BYTES));

thread_local! {
    static OWN: Own<framed::Write> = const { Own::new() };
}

struct Writer {
    format: Format,
    thread: Thread,
    flushes: Mutex<Flushes>,
    flushed: Condvar,
}

/// How many flushes were asked for, and how many of those are done.
#[derive(Default)]
struct Flushes {
    asked: u64,
    done: u64,
    /// Whether the last lines could not be written.
    failing: bool,
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
            (if format == Format::Auto { auto } else { format }, Box::new(io::stdout()))
        }
        Output::Other(output) => (if format == Format::Auto { Format::Json } else { format }, output),
    };
    let thread = thread::Builder::new().name("obs-log".into()).spawn(move || {
        // What it calls may be observed: the output, the allocator.
        let _busy = busy::now();
        // Parked until the static below is there to read.
        while WRITER.get().is_none() {
            thread::park_timeout(BUSY);
        }
        if let Some(writer) = WRITER.get() {
            // An output that logs would never come to an end.
            super::without_lines(|| writer.run(Writing::to(output)));
        }
    })?;
    let _ = WRITER.set(Writer {
        format,
        thread: thread.thread().clone(),
        flushes: Mutex::default(),
        flushed: Condvar::new(),
    });
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
                let most = if IN_OUTPUT.load(Ordering::Relaxed) { YIELDS_FOR_OUTPUT } else { YIELDS };
                if kept != Kept::No || yields >= most {
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
    DROPPED.fetch_add(lines, Ordering::Relaxed);
}

/// How many lines have been lost.
pub(crate) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Waits until every line logged so far is written, or the deadline has come. False if the deadline
/// came first, or if the output does not take lines.
pub(crate) fn flush(deadline: Instant) -> bool {
    let Some(writer) = WRITER.get() else { return true };
    let mut flushes = lock(&writer.flushes);
    flushes.asked += 1;
    let wanted = flushes.asked;
    writer.thread.unpark();
    while flushes.done < wanted {
        let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
        flushes = writer.flushed.wait_timeout(flushes, left).unwrap_or_else(PoisonError::into_inner).0;
    }
    !flushes.failing
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Writer {
    fn run(&self, mut output: Writing) {
        let mut batch = Batch::default();
        let mut pause = BUSY;
        let mut failing = false;
        loop {
            let asked = lock(&self.flushes).asked;
            RINGS.read(|buffer| buffer.take(&mut batch));
            pause = if batch.len() == 0 { (pause * 2).min(IDLE) } else { BUSY };
            batch.sort();
            let lines: Vec<&[u8]> = batch.lines().map(|(_, line)| line).collect();
            for lines in lines.chunks(LINES_AT_ONCE) {
                IN_OUTPUT.store(true, Ordering::Relaxed);
                let lost = output.write(lines);
                IN_OUTPUT.store(false, Ordering::Relaxed);
                failing = lost > 0;
                count_dropped(lost);
            }
            // Makes room in the buffers that the lines were taken from.
            batch.clear();
            let mut flushes = lock(&self.flushes);
            flushes.done = asked;
            flushes.failing = failing;
            let more = flushes.asked > asked;
            drop(flushes);
            self.flushed.notify_all();
            if !more {
                thread::park_timeout(pause);
            }
        }
    }
}
