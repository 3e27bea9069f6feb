//! What the handler works with: a few of each, since few threads are interrupted at the same time.

use super::memory::StackCopy;
use super::modules::Modules;
use super::signal::Registers;
use super::stack::Stack;
use crate::profile::cpu::CpuError;
use framehop::{CacheNative, MustNotAllocateDuringUnwind, Unwinder, UnwinderNative};
use std::cell::UnsafeCell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

const WORKERS: usize = 8;

/// How many frames of a stack are noted: the innermost.
pub(super) const FRAMES: usize = 128;

static WORKING: OnceLock<Vec<Slot>> = OnceLock::new();

struct Slot {
    taken: AtomicBool,
    worker: UnsafeCell<Worker>,
}

// SAFETY: `with` hands out the worker to one at a time, which may be any thread.
#[allow(unsafe_code, reason = "`taken` guards the cell")]
unsafe impl Sync for Slot {}

/// What one stack is unwound with.
struct Worker {
    unwinding: Unwinding,
    stack: Stack,
}

struct Unwinding {
    unwinder: UnwinderNative<Vec<u8>, MustNotAllocateDuringUnwind>,
    cache: CacheNative<MustNotAllocateDuringUnwind>,
    copy: StackCopy,
    addresses: [u64; FRAMES],
}

impl Slot {
    #[allow(unsafe_code, reason = "`taken` guards the cell")]
    fn with<R>(&self, work: impl FnOnce(&mut Worker) -> R) -> Option<R> {
        self.taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).ok()?;
        // SAFETY: whoever finds `taken` false is alone until it is false again.
        let result = work(unsafe { &mut *self.worker.get() });
        self.taken.store(false, Ordering::Release);
        Some(result)
    }
}

/// Makes the workers, or tells them of what is loaded. Nobody is in the handler.
pub(super) fn prepare(modules: &Modules) -> Result<(), CpuError> {
    let mut unwinder = UnwinderNative::new();
    modules.copied().for_each(|module| unwinder.add_module(module));
    let unwinding = || Unwinding {
        unwinder: unwinder.clone(),
        cache: CacheNative::new_in(),
        copy: StackCopy::new(),
        addresses: [0; FRAMES],
    };
    if let Some(slots) = WORKING.get() {
        for slot in slots {
            // In a forked process one may be taken by a thread that was left behind.
            slot.taken.store(false, Ordering::Relaxed);
            slot.with(|worker| worker.unwinding = unwinding());
        }
        return Ok(());
    }
    let slot = || {
        let worker = Worker { unwinding: unwinding(), stack: Stack::new()? };
        Ok(Slot { taken: AtomicBool::new(false), worker: UnsafeCell::new(worker) })
    };
    let slots = (0..WORKERS).map(|_| slot()).collect::<Result<_, _>>()?;
    let _ = WORKING.set(slots);
    Ok(())
}

/// Shows the addresses of a stack, innermost first, and whether there are more. `None` if everybody is at work. Fit for
/// a handler of signals.
pub(super) fn unwind<R>(registers: &Registers, show: impl FnOnce(&[u64], bool) -> R) -> Option<R> {
    // Only the first that is free is given what is to be done.
    let mut show = Some(show);
    WORKING.get()?.iter().find_map(|slot| {
        slot.with(|worker| {
            let mut shown = None;
            let (unwinding, show) = (&mut worker.unwinding, show.take());
            worker.stack.call(|| {
                let (depth, cut) = unwinding.run(registers);
                let addresses = unwinding.addresses.get(..depth).unwrap_or_default();
                shown = show.map(|show| show(addresses, cut));
            });
            shown
        })
        .flatten()
    })
}

impl Unwinding {
    /// Puts down the addresses of a stack: how many there are, and whether there are more.
    fn run(&mut self, registers: &Registers) -> (usize, bool) {
        let Self { unwinder, cache, copy, addresses } = self;
        copy.begin(registers.stack);
        let mut word = |address| copy.word(address).ok_or(());
        let mut frames = unwinder.iter_frames(registers.instruction, registers.native(), cache, &mut word);
        for (depth, address) in addresses.iter_mut().enumerate() {
            match frames.next() {
                Ok(Some(frame)) => *address = frame.address(),
                Ok(None) => return (depth, false),
                Err(_) => return (depth, true),
            }
        }
        (FRAMES, true)
    }
}
