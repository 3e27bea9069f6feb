//! A file in memory, as long as it is needed.

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::ptr::{NonNull, null_mut};

/// The program that this process runs: what is read of it is in memory until this is dropped.
#[derive(Debug)]
pub(super) struct Mapped {
    start: NonNull<c_void>,
    length: usize,
}

#[allow(unsafe_code, reason = "a file in memory")]
impl Mapped {
    /// Also where the program has been replaced on disk since it started.
    pub(super) fn own_program() -> io::Result<Self> {
        let file = File::open("/proc/self/exe")?;
        let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        // SAFETY: a mapping of its own, at a place that the kernel chooses, overlaps nothing.
        let start = unsafe { mmap(null_mut(), length, ProtFlags::READ, MapFlags::PRIVATE, &file, 0)? };
        let start = NonNull::new(start).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { start, length })
    }
}

#[allow(unsafe_code, reason = "a file in memory")]
impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `length` bytes from `start` are mapped and readable until `drop`, which the borrow precludes. They are
        // initialised, being a file's, and do not change: the kernel lets nobody write to a program that is running.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), self.length) }
    }
}

#[allow(unsafe_code, reason = "a file in memory")]
impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing borrows from it any more.
        let _ = unsafe { munmap(self.start.as_ptr(), self.length) };
    }
}
