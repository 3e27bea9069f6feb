//! A stack for the handler. That of a signal may have a few kilobytes left, and running over its end is the end of
//! the process.

#![allow(unsafe_code, reason = "memory for a stack, and the instructions that go there and back")]

use super::unavailable;
use crate::profile::cpu::CpuError;
use std::io::Error;
use std::ptr::{NonNull, null_mut};

/// What unwinding takes without optimisation is a tenth of it.
const SIZE: usize = 256 << 10;

/// Below it nothing may be written; larger than a page anywhere.
const GUARD: usize = 64 << 10;

/// A stack, which stays for good.
pub(super) struct Stack {
    top: NonNull<u8>,
}

// SAFETY: its memory belongs to it alone, on whichever thread.
unsafe impl Send for Stack {}

impl Stack {
    pub(super) fn new() -> Result<Self, CpuError> {
        let failed = || unavailable(format!("no memory for a stack: {}", Error::last_os_error()));
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: the kernel chooses where, so nothing of anybody's is there.
        let bottom = unsafe { libc::mmap(null_mut(), GUARD + SIZE, protection, flags, -1, 0) };
        if bottom == libc::MAP_FAILED {
            return Err(failed());
        }
        // SAFETY: it is the memory of just now, which nobody uses yet.
        if unsafe { libc::mprotect(bottom, GUARD, libc::PROT_NONE) } != 0 {
            return Err(failed());
        }
        // SAFETY: one past the end of that memory.
        let top = unsafe { bottom.cast::<u8>().add(GUARD + SIZE) };
        NonNull::new(top).map(|top| Self { top }).ok_or_else(failed)
    }

    /// Calls `run` on this stack, once it is exclusively ours.
    pub(super) fn call<F: FnOnce()>(&mut self, run: F) {
        extern "C" fn enter<F: FnOnce()>(run: *mut Option<F>) {
            // SAFETY: it is the pointer to `run` of below, who waits for us.
            let run = unsafe { (*run).take() };
            if let Some(run) = run {
                run();
            }
        }
        let mut run = Some(run);
        let (run, top) = (&raw mut run, self.top.as_ptr());
        // SAFETY: the memory below `top` is a stack that is large enough, aligned to a page and used by nobody else, for
        // this borrow is exclusive. What the call keeps (r12, x20) has the old stack pointer meanwhile, and what
        // it does not keep is declared. `enter` does not unwind: out of an `extern "C"` function it would abort.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            std::arch::asm!(
                "xchg rsp, r12",
                "call {enter}",
                "mov rsp, r12",
                enter = sym enter::<F>,
                in("rdi") run,
                inout("r12") top => _,
                clobber_abi("C"),
            );
        }
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        unsafe {
            std::arch::asm!(
                "mov x21, sp",
                "mov sp, x20",
                "bl {enter}",
                "mov sp, x21",
                enter = sym enter::<F>,
                in("x0") run,
                inout("x20") top => _,
                out("x21") _,
                clobber_abi("C"),
            );
        }
    }
}
