//! The process of one case. It waits for commands on standard input, one a line:
//!
//! - `batch THREADS GROUPS` makes that many groups of calls on one thread or on two at once, and answers
//!   with the thread CPU nanoseconds and the allocations of a call;
//! - `arrived` answers with how many calls were made, and how many spans or lines came out of them.

use crate::allocations;
use crate::case::{Case, Running, Work};
use cpu_time::ThreadTime;
use rustix::thread::{CpuSet, sched_setaffinity};
use std::io::{self, BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// Threads that make calls at once, at most.
pub(crate) const THREADS: usize = 2;

/// Calls in a group where something is handed over: less than the smallest buffer of any stack.
const SMALL_GROUP: u64 = 200;
/// Calls before such a group, not measured: the pause has cooled the caches.
const WARM_UP: u64 = 50;
/// Long enough to take away what a group has left behind.
const PAUSE: Duration = Duration::from_millis(3);
/// Calls to find out how many make a group of other works.
const PROBE: u64 = 256;
/// How long such a group takes, about.
const GROUP_NANOS: u128 = 400_000;

/// Serves one case until standard input ends.
pub(crate) fn serve(case: &Case) -> io::Result<()> {
    // Whatever the stack starts runs beside the first calling thread and not on the same core, as it would on
    // a machine with many.
    pin(1);
    let running = Arc::new((case.start)());
    let plan = Plan::of(case.work, &running);
    let made = Arc::new(AtomicU64::new(0));
    let threads: Vec<Caller> = (0..THREADS)
        .map(|core| Caller::start(core, Arc::clone(&running), plan, Arc::clone(&made)))
        .collect::<io::Result<_>>()?;
    batch(&threads, 4)?;
    let mut answers = io::stdout().lock();
    writeln!(answers, "ready")?;
    answers.flush()?;
    for command in io::stdin().lock().lines() {
        let command = command?;
        let words: Vec<&str> = command.split(' ').collect();
        match words[..] {
            ["batch", count, groups] => {
                let count: usize = count.parse().map_err(io::Error::other)?;
                let groups = groups.parse().map_err(io::Error::other)?;
                let callers = threads.get(..count).ok_or_else(|| io::Error::other("too many threads"))?;
                let Measured { nanos, allocations } = batch(callers, groups)?;
                writeln!(answers, "{nanos} {allocations}")?;
            }
            ["arrived"] => {
                let arrived =
                    running.arrived.as_ref().map_or_else(|| "-".to_owned(), |all| all().to_string());
                writeln!(answers, "{} {arrived}", made.load(Ordering::Relaxed) + plan.calls_before)?;
            }
            _ => return Err(io::Error::other(format!("no command: {command}"))),
        }
        answers.flush()?;
    }
    Ok(())
}

/// Makes so many calls on this thread for callgrind to count.
pub(crate) fn once(case: &Case, calls: u64) {
    let running = (case.start)();
    (running.calls)(WARM_UP);
    counted(&running, calls);
}

/// The function in which callgrind counts; by its name, see [`COUNTED`].
#[inline(never)]
fn counted(running: &Running, calls: u64) {
    (running.calls)(calls);
}

pub(crate) const COUNTED: &str = "*worker::counted*";

/// Averages over a call.
#[derive(Clone, Copy, Debug)]
struct Measured {
    nanos: f64,
    allocations: f64,
}

/// How calls are grouped.
#[derive(Clone, Copy, Debug)]
struct Plan {
    warm_up: u64,
    calls: u64,
    pause: Duration,
    /// What it took to find the plan.
    calls_before: u64,
}

impl Plan {
    fn of(work: Work, running: &Running) -> Self {
        if work.hands_over() {
            return Self { warm_up: WARM_UP, calls: SMALL_GROUP, pause: PAUSE, calls_before: 0 };
        }
        (running.calls)(PROBE);
        let before = ThreadTime::now();
        (running.calls)(PROBE);
        let nanos = before.elapsed().as_nanos().max(1);
        let calls = u64::try_from(GROUP_NANOS * u128::from(PROBE) / nanos).unwrap_or(u64::MAX);
        Self {
            warm_up: 0,
            calls: calls.clamp(PROBE, 1_000_000),
            pause: Duration::ZERO,
            calls_before: 2 * PROBE,
        }
    }
}

/// Has each of these threads make so many groups of calls, all at once.
fn batch(callers: &[Caller], groups: u64) -> io::Result<Measured> {
    let ended = || io::Error::other("a calling thread ended");
    let meeting = Arc::new(Meeting { threads: callers.len(), arrived: AtomicUsize::new(0) });
    for caller in callers {
        caller.orders.send(Order { groups, meeting: Arc::clone(&meeting) }).map_err(|_| ended())?;
    }
    let mut sum = Measured { nanos: 0.0, allocations: 0.0 };
    for caller in callers {
        let measured = caller.answers.recv().map_err(|_| ended())?;
        sum.nanos += measured.nanos;
        sum.allocations += measured.allocations;
    }
    #[allow(clippy::cast_precision_loss, reason = "a handful of threads")]
    let threads = callers.len() as f64;
    Ok(Measured { nanos: sum.nanos / threads, allocations: sum.allocations / threads })
}

/// A thread that makes calls when told to.
struct Caller {
    orders: Sender<Order>,
    answers: Receiver<Measured>,
}

struct Order {
    groups: u64,
    meeting: Arc<Meeting>,
}

impl Caller {
    fn start(core: usize, running: Arc<Running>, plan: Plan, made: Arc<AtomicU64>) -> io::Result<Self> {
        let (orders, received) = channel();
        let (answer, answers) = channel();
        thread::Builder::new().name("caller".to_owned()).spawn(move || {
            pin(core);
            let reading_the_clock = reading_the_clock();
            while let Ok(Order { groups, meeting }) = received.recv() {
                let mut nanos = Duration::ZERO;
                let mut allocations = 0;
                for _ in 0..groups {
                    if plan.warm_up > 0 {
                        (running.calls)(plan.warm_up);
                    }
                    meeting.meet();
                    let allocated = allocations::count();
                    let before = ThreadTime::now();
                    (running.calls)(plan.calls);
                    nanos += before.elapsed().saturating_sub(reading_the_clock);
                    allocations += allocations::count() - allocated;
                    if !plan.pause.is_zero() {
                        thread::sleep(plan.pause);
                    }
                }
                made.fetch_add(groups * (plan.calls + plan.warm_up), Ordering::Relaxed);
                #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
                let calls = (groups * plan.calls) as f64;
                #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
                let measured = Measured {
                    nanos: nanos.as_nanos() as f64 / calls,
                    allocations: allocations as f64 / calls,
                };
                if answer.send(measured).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { orders, answers })
    }
}

/// What reading the thread's CPU time costs, which is no part of a call.
fn reading_the_clock() -> Duration {
    (0..1_000).map(|_| ThreadTime::now().elapsed()).min().unwrap_or_default()
}

/// Keeps this thread, and those it starts, on one core. Where there is no such core it goes where it likes.
pub(crate) fn pin(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core);
    let _ = sched_setaffinity(None, &cores);
}

/// Where threads wait for each other without going to sleep: groups are so short that a thread which has to
/// be woken up would find the other one done.
struct Meeting {
    threads: usize,
    arrived: AtomicUsize,
}

impl Meeting {
    fn meet(&self) {
        let number = self.arrived.fetch_add(1, Ordering::AcqRel);
        let all = (number / self.threads + 1) * self.threads;
        let mut waited = 0_u32;
        while self.arrived.load(Ordering::Acquire) < all {
            waited += 1;
            // On a busy machine the other thread may be waiting for this core.
            if waited.is_multiple_of(10_000) {
                thread::yield_now();
            }
            std::hint::spin_loop();
        }
    }
}
