//! A thousand observed functions, called on 64 threads: what that takes of memory. A program of its own, as the
//! runtime knows every function that is linked in.
//!
//! Prints the resident bytes that the calls added, then the bytes that the first call of a function takes on a
//! thread, and a call in a further series.

#[path = "../allocations.rs"]
mod allocations;

use obs_runtime::{Label, observe};
use std::fs;
use std::hint::black_box;
use std::io;
use std::sync::{Arc, Barrier};
use std::thread;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

const THREADS: usize = 64;

macro_rules! functions {
    ($($name:ident)*) => {
        $(#[observe]
        #[inline(never)]
        fn $name(number: u64) -> Result<u64, std::fmt::Error> {
            Ok(number + 1)
        })*

        pub(super) const FUNCTIONS: [super::Function; 10] = [$($name),*];
    };
}

macro_rules! modules {
    ($($name:ident)*) => {
        $(mod $name {
            use obs_runtime::observe;

            functions!(f0 f1 f2 f3 f4 f5 f6 f7 f8 f9);
        })*

        const MODULES: [[Function; 10]; 100] = [$($name::FUNCTIONS),*];
    };
}

type Function = fn(u64) -> Result<u64, std::fmt::Error>;

modules!(
    m00 m01 m02 m03 m04 m05 m06 m07 m08 m09 m10 m11 m12 m13 m14 m15 m16 m17 m18 m19
    m20 m21 m22 m23 m24 m25 m26 m27 m28 m29 m30 m31 m32 m33 m34 m35 m36 m37 m38 m39
    m40 m41 m42 m43 m44 m45 m46 m47 m48 m49 m50 m51 m52 m53 m54 m55 m56 m57 m58 m59
    m60 m61 m62 m63 m64 m65 m66 m67 m68 m69 m70 m71 m72 m73 m74 m75 m76 m77 m78 m79
    m80 m81 m82 m83 m84 m85 m86 m87 m88 m89 m90 m91 m92 m93 m94 m95 m96 m97 m98 m99
);

#[derive(Clone, Copy, Debug, Label)]
enum Value {
    First,
    Second,
    Third,
}

#[observe(labels(value), no_span, no_log)]
#[inline(never)]
fn labelled(value: Value) -> u64 {
    value as u64
}

fn main() -> io::Result<()> {
    let started = obs_runtime::builder().log_filter("info").log_output(io::sink()).no_admin().init();
    let _running = started.map_err(io::Error::other)?;
    let resident_bytes = resident_bytes_of_threads()?;
    let (first, further) = thread::spawn(bytes_of_series).join().map_err(|_| io::Error::other("a panic"))?;
    println!("{resident_bytes} {first} {further}");
    Ok(())
}

fn resident_bytes_of_threads() -> io::Result<u64> {
    let meeting = Arc::new(Barrier::new(THREADS + 1));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let meeting = Arc::clone(&meeting);
            thread::spawn(move || {
                meeting.wait();
                meeting.wait();
                for function in MODULES.as_flattened() {
                    let _ = black_box(function(black_box(1)));
                }
                meeting.wait();
                meeting.wait();
            })
        })
        .collect();
    meeting.wait();
    let before = resident_bytes()?;
    meeting.wait();
    meeting.wait();
    let after = resident_bytes()?;
    meeting.wait();
    for thread in threads {
        thread.join().map_err(|_| io::Error::other("a panic"))?;
    }
    Ok(after.saturating_sub(before))
}

/// On a thread that has called something else already.
fn bytes_of_series() -> (u64, u64) {
    let bytes = |value| {
        let before = allocations::bytes();
        black_box(labelled(black_box(value)));
        allocations::bytes() - before
    };
    let _ = m00::FUNCTIONS[0](1);
    let first = bytes(Value::First);
    bytes(Value::Second);
    (first, bytes(Value::Third))
}

fn resident_bytes() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.map(|number| number * 1024).ok_or_else(|| io::Error::other("no VmRSS in /proc/self/status"))
}
