//! Has jemalloc write its profile, where nobody else reads it.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Seek};
use std::marker::PhantomData;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use tikv_jemalloc_ctl::raw;

/// The profile, from its beginning. It is in memory where that can be, for not every process has a directory to write to.
pub(super) fn taken() -> io::Result<File> {
    in_memory().or_else(|_| in_directory())
}

#[cfg(target_os = "linux")]
fn in_memory() -> io::Result<File> {
    use rustix::fs::{MemfdFlags, memfd_create};
    use std::os::fd::AsRawFd;
    let mut file = File::from(memfd_create("obs-heap", MemfdFlags::CLOEXEC)?);
    written(format!("/proc/self/fd/{}", file.as_raw_fd()).into())?;
    file.rewind()?;
    Ok(file)
}

#[cfg(not(target_os = "linux"))]
fn in_memory() -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// In a directory that is ours alone, and is gone afterwards.
fn in_directory() -> io::Result<File> {
    struct Removed(PathBuf);
    impl Drop for Removed {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
    let directory = std::env::temp_dir().join(format!("obs-heap-{:016x}", fastrand::u64(..)));
    // An error if there is one already, whatever it is.
    fs::DirBuilder::new().mode(0o700).create(&directory)?;
    let directory = Removed(directory);
    let path = directory.0.join("heap");
    written(path.clone())?;
    File::open(path)
}

fn written(path: PathBuf) -> io::Result<()> {
    let path = CString::new(path.into_os_string().into_vec())?;
    write(&path).map_err(|error| io::Error::other(format!("`prof.dump` to {path:?}: {error}")))
}

#[allow(unsafe_code, reason = "jemalloc has the type of a setting by its name alone")]
fn write(path: &CString) -> Result<(), tikv_jemalloc_ctl::Error> {
    // SAFETY: `prof.dump` takes a `const char *`, a C string, which it reads before it returns.
    unsafe { raw::write(b"prof.dump\0", path.as_ptr()) }
}

/// Whether samples are being taken.
#[allow(unsafe_code, reason = "jemalloc has the type of a setting by its name alone")]
pub(super) fn active() -> bool {
    // SAFETY: `prof.active` is a `bool`; the size is checked.
    unsafe { raw::read(b"prof.active\0") }.unwrap_or(false)
}

/// The calling thread's allocations are not sampled until this is dropped, so that a profile does not show the memory that
/// profiles themselves need. Memory that was sampled before is still counted when the thread frees it.
#[must_use]
pub(crate) struct Unsampled {
    before: Option<bool>,
    /// The setting belongs to the thread.
    thread: PhantomData<*const ()>,
}

/// Has jemalloc take no samples of the calling thread. Does nothing if the program allocates with something else.
pub(crate) fn unsampled() -> Unsampled {
    Unsampled { before: exchange(false), thread: PhantomData }
}

impl Drop for Unsampled {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            exchange(before);
        }
    }
}

#[allow(unsafe_code, reason = "jemalloc has the type of a setting by its name alone")]
fn exchange(sampled: bool) -> Option<bool> {
    // SAFETY: `thread.prof.active` is a `bool`, read and written; the sizes are checked.
    unsafe { raw::update(b"thread.prof.active\0", sampled) }.ok()
}
