//! Many short recordings of a process in which everything happens at once.

#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#![allow(unsafe_code, reason = "signals are blocked and stacks chosen by system calls")]

use super::*;
use std::collections::BTreeMap;
use std::panic::{catch_unwind, resume_unwind};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// A panic that takes down frames which have something to drop, and says nothing.
fn panics() {
    fn fall(depth: u32, _held: &str) {
        let held = format!("to be dropped at {depth}");
        if depth == 0 {
            resume_unwind(Box::new(held));
        }
        fall(depth - 1, &held);
    }
    assert!(catch_unwind(|| fall(30, "")).is_err());
}

fn allocates() {
    let mut kept = BTreeMap::new();
    for number in 0..500_usize {
        kept.insert(number * 7919 % 500, vec![0_u8; number * 37 % 4000]);
        kept.remove(&(number / 2));
    }
    black_box(kept);
}

/// Threads that end at once, some with hardly a stack.
fn starts_threads() {
    let started: Vec<_> = (0..4)
        .map(|number| {
            let thread =
                thread::Builder::new().stack_size(if number % 2 == 0 { 16 << 10 } else { 256 << 10 });
            thread.spawn(|| busy(Duration::from_micros(500))).expect("a thread")
        })
        .collect();
    for thread in started {
        thread.join().expect("it ends");
    }
}

/// Signals that are blocked for a while.
fn blocks() {
    // SAFETY: the masks are this thread's own, and put back.
    unsafe {
        let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        busy(Duration::from_millis(2));
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, null_mut());
    }
}

/// A stack for signals that has room for what the kernel saves and little else, and then none at all.
fn has_hardly_a_signal_stack() {
    const GUARD: usize = 64 << 10;
    let thread = thread::spawn(|| {
        // SAFETY: the stack is new memory behind a guard, and gone from the thread before it is given back; zeroes and a
        // flag are no stack; what was there is put back before the thread ends.
        unsafe {
            let size =
                usize::try_from(libc::getauxval(libc::AT_MINSIGSTKSZ)).expect("a size").max(2048) + 4096;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let memory =
                libc::mmap(null_mut(), GUARD + size, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
            assert_ne!(memory, libc::MAP_FAILED);
            assert_eq!(libc::mprotect(memory, GUARD, libc::PROT_NONE), 0);
            let small = libc::stack_t { ss_sp: memory.byte_add(GUARD), ss_flags: 0, ss_size: size };
            let none = libc::stack_t { ss_sp: null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
            let mut before: libc::stack_t = std::mem::zeroed();
            assert_eq!(libc::sigaltstack(&raw const small, &raw mut before), 0);
            busy(Duration::from_millis(5));
            assert_eq!(libc::sigaltstack(&raw const none, null_mut()), 0);
            libc::munmap(memory, GUARD + size);
            busy(Duration::from_millis(2));
            libc::sigaltstack(&raw const before, null_mut());
        }
    });
    thread.join().expect("it ends");
}

/// Down to where the stack is almost at its end.
fn runs_out_of_stack() {
    let bottom = || busy(Duration::from_millis(1));
    let thread = thread::Builder::new().stack_size(16 << 20);
    thread.spawn(move || deep(10_000, &bottom)).expect("a thread").join().expect("it ends");
}

/// System calls that are interrupted.
fn waits() {
    thread::sleep(Duration::from_micros(200));
    black_box(std::fs::read("/proc/self/maps").expect("it can be read"));
}

/// A signal for each thread that there is, wherever it is: more than any timer sends.
fn signals() {
    for task in std::fs::read_dir("/proc/self/task").expect("threads").flatten() {
        let Some(thread) = task.file_name().to_str().and_then(|name| name.parse::<libc::pid_t>().ok()) else {
            continue;
        };
        // SAFETY: the signal has a handler; for a thread that is no more there is none.
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, libc::SIGPROF) };
    }
}

fn stress(recordings: u32) {
    let _alone = alone();
    let work =
        [panics, allocates, starts_threads, blocks, has_hardly_a_signal_stack, runs_out_of_stack, waits];
    drop(start(1).expect("a recording, and from then on a handler"));
    let ended = AtomicBool::new(false);
    let (mut samples, lost) = (0, LOST.load(Ordering::Relaxed));
    thread::scope(|scope| {
        for first in 0..3 {
            let (work, ended) = (&work, &ended);
            scope.spawn(move || {
                let mut all = work.iter().cycle().skip(first * 2);
                while !ended.load(Ordering::Relaxed) {
                    all.next().expect("they go round")();
                }
            });
        }
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                signals();
                thread::sleep(Duration::from_micros(100));
            }
        });
        for round in 0..recordings {
            let recording = start(1000).expect("a recording");
            thread::sleep(Duration::from_millis(u64::from(round % 8) * 10));
            // Names are found in every 20th alone: in debug that takes longer than all the rest.
            if round % 20 == 19 {
                let profile = recording.finish();
                samples += profile.samples.values().map(|values| values[0]).sum::<i64>();
            } else {
                drop(recording);
            }
        }
        ended.store(true, Ordering::Relaxed);
    });
    let lost = LOST.load(Ordering::Relaxed) - lost;
    println!("{recordings} recordings, {samples} samples in every 20th of them, {lost} lost");
    assert!(samples > i64::from(recordings) / 20);
}

#[test]
fn nothing_crashes() {
    stress(60);
}

/// For hands: takes some minutes.
#[test]
#[ignore = "takes some minutes"]
fn nothing_crashes_for_long() {
    stress(5_000);
}
