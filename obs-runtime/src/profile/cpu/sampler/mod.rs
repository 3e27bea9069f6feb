//! Taking samples on Linux: a timer for the CPU time of the process, and what its signals find.
//!
//! What the handler may touch is there before the timer starts and stays for good: it allocates nothing, waits for
//! nobody and reads no memory that could be gone. The stack is read by the kernel, which refuses where we would crash;
//! tables for unwinding are copies.

mod memory;
mod modules;
mod report;
mod samples;
mod signal;
mod stack;
mod workers;

use super::CpuError;
use crate::profile::Profile;
use modules::Modules;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// The process that has a recording on, or 0. A forked process finds that of its parent, which is no concern of its.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// Whether the handler takes samples.
static ACTIVE: AtomicBool = AtomicBool::new(false);

#[inline]
pub(super) fn is_active() -> bool {
    ACTIVE.load(Ordering::Relaxed)
}

/// How many threads are in the handler.
static INSIDE: AtomicUsize = AtomicUsize::new(0);

/// What the workers know of, and in which process they were made.
static KNOWN: Mutex<Option<(u32, Modules)>> = Mutex::new(None);

/// How long to wait for a thread in the handler: it takes microseconds, unless a debugger or `SIGSTOP` holds it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A recording that is on.
#[derive(Debug)]
pub(super) struct Running {
    hz: u32,
    process: u32,
    taken: SystemTime,
    started: Instant,
    cpu_at_start: Duration,
    lost_at_start: u64,
}

impl Running {
    pub(super) fn start(hz: u32) -> Result<Self, CpuError> {
        let process = std::process::id();
        let owner = OWNER.load(Ordering::SeqCst);
        if owner == process
            || OWNER.compare_exchange(owner, process, Ordering::SeqCst, Ordering::SeqCst).is_err()
        {
            return Err(CpuError::Busy);
        }
        let started = Self::begin(process, hz);
        if started.is_err() {
            OWNER.store(0, Ordering::SeqCst);
        }
        started
    }

    fn begin(process: u32, hz: u32) -> Result<Self, CpuError> {
        prepare(process)?;
        samples::clear();
        let (taken, started, cpu_at_start) = (SystemTime::now(), Instant::now(), signal::cpu_time());
        let lost_at_start = super::LOST.load(Ordering::Relaxed);
        ACTIVE.store(true, Ordering::SeqCst);
        signal::start_timer(hz).inspect_err(|_| ACTIVE.store(false, Ordering::SeqCst))?;
        Ok(Self { hz, process, taken, started, cpu_at_start, lost_at_start })
    }

    pub(super) fn finish(self) -> Profile {
        let (cpu, duration) = (signal::cpu_time().saturating_sub(self.cpu_at_start), self.started.elapsed());
        let mut profile = report::empty(self.hz, self.taken);
        if self.stop() {
            profile.duration = duration;
            let lost = super::LOST.load(Ordering::Relaxed) - self.lost_at_start;
            report::fill(&mut profile, cpu, lost);
        }
        profile
    }

    /// Whether it was on in this process.
    fn stop(&self) -> bool {
        let here = self.process == std::process::id();
        if here && ACTIVE.load(Ordering::SeqCst) {
            signal::stop_timer();
            ACTIVE.store(false, Ordering::SeqCst);
            wait_until_left();
        }
        here
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.stop() {
            OWNER.store(0, Ordering::SeqCst);
        }
    }
}

/// Waits until no thread is in the handler.
fn wait_until_left() -> bool {
    let waiting = Instant::now();
    while INSIDE.load(Ordering::SeqCst) != 0 {
        if waiting.elapsed() > PATIENCE {
            return false;
        }
        std::thread::sleep(Duration::from_micros(50));
    }
    true
}

/// Everything that the handler needs.
fn prepare(process: u32) -> Result<(), CpuError> {
    // Taken by a thread that is no more, if at all: one of the parent's, at the fork.
    let Ok(mut known) = KNOWN.try_lock() else { return Err(CpuError::Busy) };
    if known.as_ref().is_some_and(|(made_in, _)| *made_in != process) {
        // Whoever was in the handler at the fork is not in this process.
        ACTIVE.store(false, Ordering::SeqCst);
        INSIDE.store(0, Ordering::SeqCst);
        *known = None;
    }
    if !wait_until_left() {
        return Err(unavailable("a thread does not come back from the last recording"));
    }
    memory::probe()?;
    signal::install()?;
    let modules = Modules::loaded();
    if known.as_ref().is_none_or(|(_, known)| *known != modules) {
        *known = None;
        workers::prepare(&modules)?;
        *known = Some((process, modules));
    }
    Ok(())
}

fn unavailable(why: impl Into<String>) -> CpuError {
    CpuError::Unavailable(why.into())
}
