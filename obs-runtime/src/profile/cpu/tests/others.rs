//! What others do with signals, timers and processes.

#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#![allow(unsafe_code, reason = "it is done by system calls")]

use super::*;
use std::ptr::{null, null_mut};

fn action(handler: usize) -> libc::sigaction {
    // SAFETY: zeroes are an action: the default.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action
}

#[test]
fn a_handler_of_others_stays() {
    extern "C" fn theirs(_signal: libc::c_int) {}
    let _alone = alone();
    drop(start(99).expect("a recording"));
    let (mut ours, mut found) = (action(0), action(0));
    let handler: extern "C" fn(libc::c_int) = theirs;
    let action = action(handler as usize);
    // SAFETY: the handler does nothing; ours is put back.
    let refused = unsafe {
        libc::sigaction(libc::SIGPROF, &raw const action, &raw mut ours);
        let refused = start(99).err();
        libc::sigaction(libc::SIGPROF, null(), &raw mut found);
        libc::sigaction(libc::SIGPROF, &raw const ours, null_mut());
        refused
    };
    assert!(matches!(&refused, Some(CpuError::Unavailable(why)) if why.contains("SIGPROF")), "{refused:?}");
    assert_eq!(found.sa_sigaction, handler as usize);
    drop(start(99).expect("ours is back"));
}

#[test]
fn a_timer_of_others_goes_on() {
    let _alone = alone();
    let second = |seconds| libc::timeval { tv_sec: seconds, tv_usec: 0 };
    let mut timer = libc::itimerval { it_interval: second(0), it_value: second(100_000) };
    // SAFETY: it ends long before it is due.
    let refused = unsafe {
        libc::setitimer(libc::ITIMER_PROF, &raw const timer, null_mut());
        let refused = start(99).err();
        libc::getitimer(libc::ITIMER_PROF, &raw mut timer);
        let none = libc::itimerval { it_interval: second(0), it_value: second(0) };
        libc::setitimer(libc::ITIMER_PROF, &raw const none, null_mut());
        refused
    };
    assert!(
        matches!(&refused, Some(CpuError::Unavailable(why)) if why.contains("ITIMER_PROF")),
        "{refused:?}"
    );
    assert!(timer.it_value.tv_sec > 90_000);
}

#[test]
fn a_late_signal_ends_nothing() {
    let _alone = alone();
    drop(start(1000).expect("a recording"));
    for _ in 0..100 {
        // SAFETY: the signal has a handler.
        unsafe {
            *libc::__errno_location() = 77;
            libc::raise(libc::SIGPROF);
            assert_eq!(*libc::__errno_location(), 77);
        }
    }
    // One of another kind than the timer's, while it is on.
    let recording = start(1).expect("a recording");
    for _ in 0..100 {
        // SAFETY: as above.
        unsafe {
            *libc::__errno_location() = 77;
            libc::raise(libc::SIGPROF);
            assert_eq!(*libc::__errno_location(), 77);
        }
    }
    let profile = recording.finish();
    assert!(with(&profile, "a_late_signal_ends_nothing", 0) >= 100);
}

/// How a child ended: 0 if all is well.
fn in_a_child(run: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child has this thread alone. It ends before anything of the test's is dropped twice.
    unsafe {
        match libc::fork() {
            0 => libc::_exit(std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_or(99)),
            child => {
                let mut status = 0;
                assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
                status
            }
        }
    }
}

#[test]
fn a_forked_process_is_on_its_own() {
    let _alone = alone();
    let mut recording = Some(start(1000).expect("a recording"));
    busy(Duration::from_millis(50));
    for round in 0..20 {
        let status = in_a_child(|| {
            // What the parent records is not ours, and does not keep us from recording.
            let inherited = recording.take();
            if round % 2 == 0 {
                drop(inherited);
            } else if !inherited.expect("it was there").finish().samples.is_empty() {
                return 1;
            }
            let Ok(own) = start(1000) else { return 2 };
            repeat(Duration::from_millis(30), takes_one_part);
            // Names are not asked for: another thread may have held a lock of theirs at the fork.
            drop(own);
            0
        });
        assert_eq!(status, 0, "round {round}");
    }
    assert_eq!(start(1).err(), Some(CpuError::Busy), "the parent's goes on");
    repeat(Duration::from_millis(500), takes_three_parts);
    let profile = recording.take().expect("it is still on").finish();
    assert!(with(&profile, "takes_three_parts", 0) > 0);
}
