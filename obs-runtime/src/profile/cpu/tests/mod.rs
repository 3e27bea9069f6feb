//! Recordings of what is known, and of processes that make it hard.

mod others;
mod stress;

use super::*;
use crate::profile::model::{Frame, Label};
use crate::profile::symbols::has_debug_information;
use std::hint::black_box;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One recording at a time, and nobody else's business with signals.
pub(super) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    enable(true);
    alone
}

/// Computes, so many times as long.
#[inline(always)]
#[allow(clippy::inline_always, reason = "a frame that is inlined, for a profile to show")]
fn compute(times: u32) -> u64 {
    (0..1000 * times).fold(1, |number: u64, step| {
        black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step.into()))
    })
}

#[inline(never)]
fn takes_three_parts() -> u64 {
    black_box(compute(90)) + 1
}

#[inline(never)]
fn takes_one_part() -> u64 {
    black_box(compute(30)) + 2
}

/// For how long the thread has had a processor, which is less than time goes by on a busy machine.
#[allow(unsafe_code, reason = "the standard library does not know that clock")]
fn computed() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock is one that each thread has, and the time is written to what is ours.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) }, 0);
    Duration::new(
        time.tv_sec.try_into().expect("a time"),
        time.tv_nsec.try_into().expect("a part of a second"),
    )
}

/// Repeats it until that has taken so much of a processor's time.
fn repeat(time: Duration, work: impl Fn() -> u64) {
    let end = computed() + time;
    while computed() < end {
        black_box(work());
    }
}

/// Computes that long.
fn busy(time: Duration) {
    repeat(time, || compute(1));
}

#[inline(never)]
fn deep(depth: u32, bottom: &dyn Fn()) -> u32 {
    if depth == 0 {
        bottom();
        return 0;
    }
    black_box(deep(black_box(depth - 1), bottom)) + 1
}

fn is_in(stack: &[Frame], function: &str) -> bool {
    stack.iter().any(|frame| frame.function.as_str().contains(function))
}

/// How much there is of a column in stacks that have a function.
fn with(profile: &Profile, function: &str, column: usize) -> i64 {
    let found = profile.samples.iter().filter(|((stack, _), _)| is_in(stack, function));
    found.map(|(_, values)| values[column]).sum()
}

#[test]
fn the_right_function_leads() {
    let _alone = alone();
    let recording = start(250).expect("a recording");
    repeat(Duration::from_secs(2), || takes_three_parts() + takes_one_part());
    let profile = recording.finish();
    for column in [0, 1] {
        let three = with(&profile, "takes_three_parts", column);
        let one = with(&profile, "takes_one_part", column);
        println!("{} {three} to {one}", profile.types[column].1);
        assert!((55..=92).contains(&(100 * three / (three + one).max(1))), "{three} to {one}");
    }
    assert_eq!(profile.types, [("samples", "count"), ("cpu", "nanoseconds")]);
    assert_eq!(profile.period, Some((("cpu", "nanoseconds"), 4_000_000)));
    assert!(profile.duration >= Duration::from_secs(2), "{:?}", profile.duration);
    // As long as it has computed, whatever became of the timer.
    let cpu = Duration::from_nanos(with(&profile, "takes_", 1).try_into().expect("time goes on"));
    assert!(cpu >= Duration::from_millis(200) && cpu < Duration::from_secs(4), "{cpu:?}");
}

#[test]
fn stacks_are_whole_and_say_who() {
    let _alone = alone();
    let recording = start(250).expect("a recording");
    let thread = std::thread::Builder::new().name("a-named-thread-of-tests".into());
    let computing = thread.spawn(|| repeat(Duration::from_millis(600), takes_one_part)).expect("a thread");
    computing.join().expect("it ends");
    let profile = recording.finish();
    let found: Vec<_> =
        profile.samples.iter().filter(|((stack, _), _)| is_in(stack, "takes_one_part")).collect();
    let ((stack, labels), _) = found.iter().max_by_key(|(_, values)| values[0]).expect("it was seen");
    let names: Vec<_> = stack.iter().map(|frame| frame.function.as_str()).collect();
    let place = |name: &str| names.iter().position(|found| found.ends_with(name)).expect(name);
    // From the leaf to where the thread began, and nothing of the handler.
    assert!(names.iter().any(|name| name.contains("thread_start")), "{names:#?}");
    let (first, file) = (&stack[place("takes_one_part")], "obs-runtime/src/profile/cpu/tests/mod.rs");
    if has_debug_information() {
        // Inlined, though nothing is optimised.
        assert!(place("compute") < place("takes_one_part"), "{names:#?}");
        assert!(first.file.as_str().ends_with(file) && first.line > 30, "{first:?}");
    }
    // The kernel keeps 15 characters of a name.
    let [Label { key: "thread", value }] = &labels[..] else { panic!("{labels:?}") };
    assert_eq!(value.as_str(), "a-named-thread-");
    for (stack, _) in profile.samples.keys() {
        assert!(!is_in(stack, "sampler::signal::") && !is_in(stack, "sampler::workers::"), "{stack:#?}");
    }
    let whole = found.iter().filter(|((stack, _), _)| is_in(stack, "thread_start")).count();
    assert!(whole * 10 >= found.len() * 9, "{whole} of {}", found.len());
}

#[test]
fn of_deep_stacks_the_innermost_frames() {
    let _alone = alone();
    let recording = start(250).expect("a recording");
    let thread = std::thread::Builder::new().stack_size(64 << 20);
    let bottom = || busy(Duration::from_millis(300));
    let depth = thread.spawn(move || deep(10_000, &bottom)).expect("a thread").join().expect("it ends");
    assert_eq!(depth, 10_000);
    let profile = recording.finish();
    let mut cut = 0;
    for (stack, _) in profile.samples.keys() {
        let depth = stack.iter().filter(|frame| frame.function.as_str().ends_with("deep")).count();
        if depth > 50 {
            cut += 1;
            assert_eq!(stack.last().map(|frame| frame.function.as_str()), Some("[truncated]"));
            assert!(depth <= 128 || !cfg!(debug_assertions), "{depth}");
        }
    }
    assert!(cut > 0, "{:#?}", profile.samples.keys().next());
}

#[test]
fn one_at_a_time_and_none_unless_enabled() {
    let _alone = alone();
    for hz in [0, 1001, u32::MAX] {
        assert_eq!(start(hz).err(), Some(CpuError::Rate(hz)));
    }
    let first = start(1).expect("a recording");
    assert_eq!(start(1).err(), Some(CpuError::Busy));
    drop(first);
    drop(start(1000).expect("the first is over"));
    enable(false);
    let refused = start(99).err();
    enable(true);
    let message = refused.expect("it is not enabled").to_string();
    assert!(message.contains("builder().cpu_profiling(true)"), "{message}");
    assert!(message.contains("OBS_CPU_PROFILING=true"), "{message}");
}
