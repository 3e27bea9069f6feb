//! Leaks memory in one function, and serves heap profiles of that, or says what one has cost.
//!
//! ```text
//! leaky serve          leaks 256 MiB and serves; each line on its input leaks 8 MiB more
//! leaky measure MIB    leaks so much, and says by how much a profile has raised the peak of memory in use
//! ```

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::io::{BufRead, stdin};

obs_runtime::heap_profiling!();

const BLOCK: usize = 16 << 10;

#[inline(never)]
fn leak_much(mebibytes: usize) {
    for _ in 0..(mebibytes << 20) / BLOCK {
        black_box(vec![1_u8; BLOCK].leak());
    }
}

/// As large, but gone.
#[inline(never)]
fn use_shortly(mebibytes: usize) {
    for _ in 0..(mebibytes << 20) / BLOCK {
        drop(black_box(vec![1_u8; BLOCK]));
    }
}

#[inline(never)]
fn keep_little() {
    black_box(vec![1_u8; 4 << 20].leak());
}

/// The most memory that has been in use so far, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("there is /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn serve() {
    let guard = obs_runtime::builder().admin(([127, 0, 0, 1], 0).into()).init().expect("the runtime starts");
    leak_much(256);
    use_shortly(256);
    keep_little();
    println!("{}", guard.admin_address().expect("it listens"));
    for line in stdin().lock().lines() {
        line.expect("a line");
        leak_much(8);
        println!("leaked");
    }
}

/// Allocations of many stacks, as of a program that is large.
fn leak_from_many_places(mebibytes: usize) {
    fn deeper(depth: usize, path: usize) {
        if depth == 0 {
            leak_much(1);
        } else if path & 1 == 0 {
            deeper(depth - 1, path >> 1);
            black_box(());
        } else {
            black_box(depth);
            deeper(depth - 1, path >> 1);
            black_box(depth);
        }
    }
    for path in 0..mebibytes {
        deeper(40, path.wrapping_mul(0x9e37_79b9));
    }
}

fn measure(mebibytes: usize) {
    leak_from_many_places(mebibytes);
    let before = peak();
    let began = std::time::Instant::now();
    let profile = obs_runtime::profile::heap().expect("a profile");
    let taken = began.elapsed();
    let bytes = profile.to_pprof();
    println!("{} KiB, {} bytes of pprof, {taken:?}", peak() - before, bytes.len());
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve"] => serve(),
        ["measure", mebibytes] => measure(mebibytes.parse().expect("a number of MiB")),
        _ => panic!("it takes `serve` or `measure MIB`"),
    }
}
