//! Reading memory that may not be there: the kernel copies it, and refuses where a load would be a fault.

use super::unavailable;
use crate::profile::cpu::CpuError;
use std::io::Error;

/// How much of the stack is looked at.
const STACK: usize = 64 << 10;

/// How much of it is read at once. Most stacks are no deeper.
const PART: usize = 8 << 10;

/// Copies what lies at an address; as much as there is, which may be nothing. Fit for a handler of signals.
#[allow(unsafe_code, reason = "the system call takes addresses")]
pub(super) fn read(address: u64, into: &mut [u8]) -> usize {
    let Ok(address) = usize::try_from(address) else { return 0 };
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let remote = libc::iovec { iov_base: std::ptr::without_provenance_mut(address), iov_len: into.len() };
    // SAFETY: the kernel writes to `into`, which is ours alone, and no more than its length; of what it reads it checks
    // that it is there.
    let read =
        unsafe { libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(read).unwrap_or(0)
}

/// Whether memory can be read so.
pub(super) fn probe() -> Result<(), CpuError> {
    let (word, mut copy) = (0x0b5e_17ed_u32.to_ne_bytes(), [0; 4]);
    if read(word.as_ptr().addr() as u64, &mut copy) == word.len() && copy == word {
        return Ok(());
    }
    Err(unavailable(format!(
        "the system call process_vm_readv is refused, perhaps by a seccomp filter: {}",
        Error::last_os_error()
    )))
}

/// A copy of a stack from its pointer on, made as far as it is asked for.
pub(super) struct StackCopy {
    base: u64,
    filled: usize,
    bytes: Box<[u8]>,
}

impl StackCopy {
    pub(super) fn new() -> Self {
        Self { base: 0, filled: 0, bytes: vec![0; STACK].into() }
    }

    /// Forgets what was copied; the stack begins there now.
    pub(super) fn begin(&mut self, pointer: u64) {
        (self.base, self.filled) = (pointer, 0);
    }

    /// The word at an address of the stack.
    pub(super) fn word(&mut self, address: u64) -> Option<u64> {
        let start = usize::try_from(address.checked_sub(self.base)?).ok()?;
        let end = start.checked_add(size_of::<u64>()).filter(|end| *end <= STACK)?;
        while self.filled < end {
            let part = &mut self.bytes[self.filled..(self.filled + PART).min(STACK)];
            match read(self.base.checked_add(self.filled as u64)?, part) {
                0 => return None,
                copied => self.filled += copied,
            }
        }
        self.bytes.get(start..end)?.try_into().ok().map(u64::from_ne_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_not_read() {
        probe().expect("the kernel reads for us");
        let mut bytes = [0; 64];
        for address in [0, 8, 0xdead_0000_0000, 1 << 63, u64::MAX - 8, u64::MAX] {
            assert_eq!(read(address, &mut bytes), 0, "{address:#x}");
            let mut stack = StackCopy::new();
            stack.begin(address);
            assert_eq!(stack.word(address), None);
        }
    }

    #[test]
    fn words_of_the_stack_by_their_addresses() {
        let words: Vec<u64> = (0..STACK as u64 / 8 + 2).collect();
        let base = words.as_ptr().addr() as u64;
        let mut stack = StackCopy::new();
        stack.begin(base);
        for index in [0, 1, 1023, 1024, 8191] {
            assert_eq!(stack.word(base + 8 * index), Some(index));
        }
        for beyond in [base - 8, base + STACK as u64 - 4, base + STACK as u64, u64::MAX] {
            assert_eq!(stack.word(beyond), None);
        }
    }
}
