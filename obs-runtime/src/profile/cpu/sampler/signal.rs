//! The timer, its signal, and what is done when it comes.

#![allow(unsafe_code, reason = "system calls, and what the kernel hands to a handler")]

use super::samples::{self, Who};
use super::{ACTIVE, INSIDE, unavailable, workers};
use crate::profile::cpu::CpuError;
use crate::profile::running;
use framehop::UnwindRegsNative;
use std::io::Error;
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The handler that we have installed, or 0.
static INSTALLED: AtomicUsize = AtomicUsize::new(0);

/// Where a thread was interrupted.
pub(super) struct Registers {
    pub(super) instruction: u64,
    pub(super) stack: u64,
    frame: u64,
    #[cfg(target_arch = "aarch64")]
    link: u64,
}

impl Registers {
    #[cfg(target_arch = "x86_64")]
    fn of(context: &libc::ucontext_t) -> Self {
        let register = |index: libc::c_int| {
            usize::try_from(index)
                .ok()
                .and_then(|index| context.uc_mcontext.gregs.get(index))
                .map_or(0, |word| u64::from_ne_bytes(word.to_ne_bytes()))
        };
        Self {
            instruction: register(libc::REG_RIP),
            stack: register(libc::REG_RSP),
            frame: register(libc::REG_RBP),
        }
    }

    #[cfg(target_arch = "aarch64")]
    fn of(context: &libc::ucontext_t) -> Self {
        let context = &context.uc_mcontext;
        Self { instruction: context.pc, stack: context.sp, frame: context.regs[29], link: context.regs[30] }
    }

    #[cfg(target_arch = "x86_64")]
    pub(super) fn native(&self) -> UnwindRegsNative {
        UnwindRegsNative::new(self.instruction, self.stack, self.frame)
    }

    /// The upper bits of a return address may be its signature.
    #[cfg(target_arch = "aarch64")]
    pub(super) fn native(&self) -> UnwindRegsNative {
        let mask = framehop::aarch64::PtrAuthMask(u64::MAX >> 16);
        UnwindRegsNative::new_with_ptr_auth_mask(mask, self.link, self.stack, self.frame)
    }
}

/// Takes a sample of the thread that it interrupts. What it calls allocates nothing and waits for nobody.
extern "C" fn interrupted(_signal: libc::c_int, _info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the address is this thread's for as long as the thread is.
    let errno = unsafe { &mut *libc::__errno_location() };
    let before = *errno;
    INSIDE.fetch_add(1, Ordering::SeqCst);
    if ACTIVE.load(Ordering::SeqCst) {
        // SAFETY: to a handler with `SA_SIGINFO` the kernel hands what it has saved of the thread, until it returns.
        sample(&Registers::of(unsafe { &*context.cast::<libc::ucontext_t>() }));
    }
    INSIDE.fetch_sub(1, Ordering::SeqCst);
    *errno = before;
}

fn sample(registers: &Registers) {
    let (site, trace) = running::here().unwrap_or((0, 0));
    let mut who = Who { site, trace, thread: 0, name: [0; 16], cut: false };
    // SAFETY: system calls that take nothing, and 16 bytes for a name.
    unsafe {
        who.thread = u64::from_ne_bytes(libc::syscall(libc::SYS_gettid).to_ne_bytes());
        libc::prctl(libc::PR_GET_NAME, who.name.as_mut_ptr(), 0, 0, 0);
    }
    let unwound = workers::unwind(registers, |addresses, cut| {
        samples::put(&Who { cut, ..who.clone() }, addresses);
    });
    if unwound.is_none() {
        samples::put(&Who { cut: true, ..who }, &[registers.instruction]);
    }
}

/// Makes the handler that of the signal, for good: a late signal must find it. Takes the place of nobody's.
pub(super) fn install() -> Result<(), CpuError> {
    let mut found = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: it is asked for alone, and zeroes are an action: the default.
    let (failed, found) =
        unsafe { (libc::sigaction(libc::SIGPROF, null(), found.as_mut_ptr()) != 0, found.assume_init()) };
    if failed {
        return Err(failure("sigaction"));
    }
    match found.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => {}
        ours if ours == INSTALLED.load(Ordering::SeqCst) => return Ok(()),
        _ => return Err(unavailable("SIGPROF has a handler already, and it stays")),
    }
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = interrupted;
    // SAFETY: zeroes are an action, and the mask is filled before it is used. No other handler of the process comes
    // in between, which would take the stack of signals for free while we are on another.
    let result = unsafe {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
        libc::sigfillset(&raw mut action.sa_mask);
        INSTALLED.store(action.sa_sigaction, Ordering::SeqCst);
        libc::sigaction(libc::SIGPROF, &raw const action, null_mut())
    };
    if result == 0 { Ok(()) } else { Err(failure("sigaction")) }
}

/// Starts the timer, unless somebody else has it.
pub(super) fn start_timer(hz: u32) -> Result<(), CpuError> {
    let mut running = libc::itimerval { it_interval: time(0), it_value: time(0) };
    // SAFETY: it is asked for alone.
    if unsafe { libc::getitimer(libc::ITIMER_PROF, &raw mut running) } != 0 {
        return Err(failure("getitimer"));
    }
    if running.it_value.tv_sec != 0 || running.it_value.tv_usec != 0 {
        return Err(unavailable("the timer ITIMER_PROF is in use"));
    }
    if set_timer(1_000_000 / hz) { Ok(()) } else { Err(failure("setitimer")) }
}

pub(super) fn stop_timer() {
    set_timer(0);
}

fn set_timer(micros: u32) -> bool {
    let timer = libc::itimerval { it_interval: time(micros), it_value: time(micros) };
    // SAFETY: the kernel reads what it is given. Its signals have a handler.
    unsafe { libc::setitimer(libc::ITIMER_PROF, &raw const timer, null_mut()) == 0 }
}

fn time(micros: u32) -> libc::timeval {
    libc::timeval { tv_sec: (micros / 1_000_000).into(), tv_usec: (micros % 1_000_000).into() }
}

/// How much CPU time the process has used.
pub(super) fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes a time to where one is.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

fn failure(call: &str) -> CpuError {
    unavailable(format!("{call}: {}", Error::last_os_error()))
}
