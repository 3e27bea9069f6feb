//! What is alive in memory, and who has made it: samples that jemalloc takes.

mod dump;
mod parse;

pub(crate) use dump::unsampled;

use super::Profile;
use super::model::{Frame, ValueType};
use super::symbols::Symbols;
use std::fmt;
use std::io::{self, BufReader};
use std::sync::Mutex;
use std::time::SystemTime;
use tikv_jemalloc_ctl::{profiling, thread};

const TYPES: &[ValueType] = &[
    ("alloc_objects", "count"),
    ("alloc_space", "bytes"),
    ("inuse_objects", "count"),
    ("inuse_space", "bytes"),
];

/// One at a time: each needs memory.
static UNDER_WAY: Mutex<()> = Mutex::new(());

/// Makes jemalloc the allocator of the program and has it take samples, one for each 512 KiB that are allocated. It goes
/// into the program's `main.rs`, once, beside `fn main`:
///
/// ```
/// obs_runtime::heap_profiling!();
///
/// fn main() {
///     let profile = obs_runtime::profile::heap().expect("jemalloc takes samples");
///     println!("{} bytes of pprof", profile.to_pprof().len());
/// }
/// ```
///
/// It says `prof:true,prof_active:true,prof_accum:true,lg_prof_sample:19`; `_RJEM_MALLOC_CONF` in the environment is read
/// after that, so `_RJEM_MALLOC_CONF=prof:false` turns it off, and `lg_prof_sample:21` takes fewer samples. A crate that
/// forbids `unsafe` may use it.
#[macro_export]
macro_rules! heap_profiling {
    () => {
        const _: () = {
            #[global_allocator]
            static ALLOCATOR: $crate::__private::Jemalloc = $crate::__private::Jemalloc;

            // Under both of the names that jemalloc may have been built to look for.
            #[unsafe(export_name = "_rjem_malloc_conf")]
            static PREFIXED: $crate::__private::MallocConf = $crate::__private::MALLOC_CONF;

            #[unsafe(export_name = "malloc_conf")]
            static PLAIN: $crate::__private::MallocConf = $crate::__private::MALLOC_CONF;
        };
    };
}

/// The address of a C string, as jemalloc wants it.
pub type MallocConf = &'static [u8; 61];
/// What jemalloc is told.
pub const MALLOC_CONF: MallocConf = b"prof:true,prof_active:true,prof_accum:true,lg_prof_sample:19\0";

/// Why there is no heap profile.
#[derive(Debug)]
#[non_exhaustive]
pub enum HeapError {
    /// The program allocates with something else.
    NoAllocator,
    /// jemalloc takes no samples.
    Off,
    /// Another one is being taken.
    Busy,
    /// jemalloc has written none, or it can't be read.
    Dump(io::Error),
}

impl fmt::Display for HeapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAllocator => f.write_str(
                "the program does not allocate with jemalloc: write `obs_runtime::heap_profiling!();` into its main.rs, \
                 beside `fn main`, in place of any `#[global_allocator]`",
            ),
            Self::Off => f.write_str(
                "jemalloc takes no samples: take `prof:false` and `prof_active:false` out of `_RJEM_MALLOC_CONF` in the \
                 environment; or, if the program declares jemalloc itself, write `obs_runtime::heap_profiling!();` into \
                 its main.rs in place of the `#[global_allocator]`",
            ),
            Self::Busy => f.write_str("another heap profile is being taken"),
            Self::Dump(error) => write!(f, "jemalloc's profile can't be had: {error}"),
        }
    }
}

impl std::error::Error for HeapError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Dump(error) => Some(error),
            Self::NoAllocator | Self::Off | Self::Busy => None,
        }
    }
}

/// What is alive in memory (`inuse_objects`, `inuse_space`), and what has been allocated since the process started
/// (`alloc_objects`, `alloc_space`), by the stack that has allocated it, estimated from samples.
///
/// It takes [`heap_profiling!`](crate::heap_profiling) in the program. Frames of the allocator and of the standard library
/// at the inner end of a stack are left out, so that the innermost one is who wanted the memory. Memory that this function
/// itself needs is not in the profile.
///
/// ```no_run
/// # fn main() -> Result<(), obs_runtime::profile::HeapError> {
/// let before = obs_runtime::profile::heap()?;
/// // .. and some time later:
/// let grown = obs_runtime::profile::heap()?.minus(&before);
/// # Ok(())
/// # }
/// ```
pub fn heap() -> Result<Profile, HeapError> {
    available()?;
    let _one = UNDER_WAY.try_lock().map_err(|_| HeapError::Busy)?;
    let _unsampled = unsampled();
    let taken = SystemTime::now();
    let dump = dump::taken().map_err(HeapError::Dump)?;
    profile(BufReader::new(dump), taken).map_err(HeapError::Dump)
}

/// Whether there can be one.
pub(crate) fn available() -> Result<(), HeapError> {
    if !is_the_allocator() {
        return Err(HeapError::NoAllocator);
    }
    let on = profiling::prof::read().unwrap_or(false) && dump::active();
    if on { Ok(()) } else { Err(HeapError::Off) }
}

/// Whether jemalloc counts what we allocate.
fn is_the_allocator() -> bool {
    let Ok(count) = thread::allocatedp::read() else { return false };
    let before = count.get();
    drop(std::hint::black_box(Box::new([0_u8; 64])));
    count.get() != before
}

fn profile(dump: impl io::BufRead, taken: SystemTime) -> io::Result<Profile> {
    let mut stacks = Vec::new();
    let rate = parse::read(dump, |addresses, values| stacks.push((Box::<[u64]>::from(addresses), values)))?;
    let symbols = Symbols::of(stacks.iter().flat_map(|(addresses, _)| addresses.iter().copied()));
    let mut profile = Profile::new(TYPES, taken);
    for (addresses, values) in stacks {
        let frames = addresses.iter().flat_map(|address| symbols.frames(*address)).cloned().collect();
        profile.add(without_allocator(frames), Vec::new(), &values);
    }
    profile.period = Some((("space", "bytes"), rate));
    Ok(profile)
}

/// The stack up to who wanted the memory. All of it, if nobody else is on it.
fn without_allocator(mut stack: Vec<Frame>) -> Vec<Frame> {
    // Inside of what the allocator calls itself, everything is its own, whatever that is called.
    let inside = stack.iter().rposition(is_entrance).map_or(0, |entrance| entrance + 1);
    let outside = &stack[inside..];
    if let Some(first) = outside.iter().position(|frame| !is_machinery(frame)) {
        stack.drain(..inside + first);
    }
    stack
}

/// Whether it is where the allocator is entered.
fn is_entrance(frame: &Frame) -> bool {
    let name = frame.function.as_str();
    name.starts_with("_rjem_")
        || name.contains("tikv_jemallocator::Jemalloc")
        || name.contains("__rust_alloc")
        || name.contains("__rust_realloc")
}

/// Whether it is a function of the standard library's containers, by its file, or by its name where that is all there is.
fn is_machinery(frame: &Frame) -> bool {
    const NAMES: [&str; 5] = ["alloc::", "core::", "std::alloc::", "std::collections::", "hashbrown::"];
    const FILES: [&str; 5] = [
        "/library/alloc/src/",
        "/library/core/src/",
        "/library/std/src/alloc.rs",
        "/library/std/src/collections/",
        "/hashbrown-",
    ];
    let named = |name: &str| NAMES.iter().any(|start| name.starts_with(start));
    let name = frame.function.as_str().trim_start_matches('<');
    // `u8 as alloc::..`, but not `shop::Order as core::clone::Clone`.
    let of_primitive = || name.split_once(" as ").is_some_and(|(ty, of)| !ty.contains("::") && named(of));
    FILES.iter().any(|part| frame.file.as_str().contains(part)) || named(name) || of_primitive()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_begins_where_memory_was_wanted() {
        let frame = |function: &'static str, file: &'static str| Frame {
            function: function.into(),
            file: file.into(),
            line: 1,
            address: 1,
        };
        let stack = [
            frame("imalloc_body", "src/jemalloc.c"),
            frame("_rjem_malloc", "src/jemalloc.c"),
            frame("<tikv_jemallocator::Jemalloc as core::alloc::GlobalAlloc>::alloc", ""),
            frame("<T as Specialised>::from_elem", "/rustc/0123/library/alloc/src/vec/mod.rs"),
            frame("<u8 as alloc::vec::spec_from_elem::SpecFromElem>::from_elem", ""),
            frame("<shop::Order as core::clone::Clone>::clone", ""),
            // Which is inside of `catch_unwind`.
            frame("__rust_try", ""),
            frame("core::ops::function::FnOnce::call_once", "/rustc/0123/library/core/src/ops/function.rs"),
            frame("shop::main", "src/main.rs"),
        ];
        let kept = without_allocator(stack.to_vec());
        assert_eq!(kept, stack[5..]);
        assert_eq!(without_allocator(stack[..5].to_vec()), stack[..5], "there is nobody else");
        assert_eq!(without_allocator(Vec::new()), []);
    }

    #[test]
    fn without_jemalloc_it_says_what_to_write() {
        let error = heap().expect_err("this is not its allocator").to_string();
        assert!(error.contains("`obs_runtime::heap_profiling!();`") && error.contains("main.rs"), "{error}");
    }

    #[test]
    fn the_settings_are_a_c_string() {
        assert!(std::ffi::CStr::from_bytes_with_nul(MALLOC_CONF).is_ok());
    }
}
