//! Time: raw ticks of the time stamp counter on the hot path, wall time for what leaves the process.
//!
//! Which clock there is, and how fast its ticks are, `quanta` finds out. Reading the counter is one instruction,
//! which is all that a call has time for: so that is done here.

use quanta::Clock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where ticks come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The processor's counter, if it is steady; else the system's clock.
    Counter,
    /// The system's monotonic clock, in nanoseconds.
    System,
}

/// Chosen once, before the first tick; calibrated then.
static CHOSEN: OnceLock<Source> = OnceLock::new();
static TICKS: OnceLock<Ticks> = OnceLock::new();

/// Ticks are those of the counter: what a call looks at.
static COUNTER: AtomicBool = AtomicBool::new(false);

enum Ticks {
    Counter(Clock),
    System(Instant),
}

/// Says where ticks are to come from. Has no effect once a tick has been taken.
pub(crate) fn choose(source: Source) {
    let _ = CHOSEN.set(source);
}

fn ticks_source() -> &'static Ticks {
    TICKS.get_or_init(|| match CHOSEN.get_or_init(|| Source::Counter) {
        Source::Counter => {
            let clock = Clock::new();
            // What lies between two readings of the counter is one itself.
            let (before, between, after) = (counter::read(), clock.raw(), counter::read());
            COUNTER.store(before <= between && between <= after, Ordering::Relaxed);
            Ticks::Counter(clock)
        }
        Source::System => Ticks::System(Instant::now()),
    })
}

/// Whether ticks are those of the counter.
pub(crate) fn is_counter() -> bool {
    ticks_source();
    COUNTER.load(Ordering::Relaxed)
}

/// The present, for who knows that ticks are those of the counter.
#[inline]
pub(crate) fn counter() -> u64 {
    debug_assert!(COUNTER.load(Ordering::Relaxed), "ticks are of another clock");
    counter::read()
}

/// The present, in ticks that mean nothing but their difference.
#[inline]
pub(crate) fn now() -> u64 {
    if COUNTER.load(Ordering::Relaxed) { counter::read() } else { now_elsewhere() }
}

#[cold]
fn now_elsewhere() -> u64 {
    match ticks_source() {
        Ticks::Counter(clock) => clock.raw(),
        Ticks::System(start) => u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX),
    }
}

/// A difference of ticks in nanoseconds.
pub(crate) fn nanos(ticks: u64) -> u64 {
    match ticks_source() {
        Ticks::Counter(clock) => clock.delta_as_nanos(0, ticks),
        Ticks::System(_) => ticks,
    }
}

#[cfg(target_arch = "x86_64")]
mod counter {
    /// The time stamp counter.
    #[inline]
    #[allow(unsafe_code, reason = "one instruction, which the compiler has no safe name for")]
    pub(super) fn read() -> u64 {
        // SAFETY: every x86-64 processor has the instruction, and it reads a register and nothing else.
        unsafe { core::arch::x86_64::_rdtsc() }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod counter {
    /// Later than any tick, so that nobody takes it for one.
    pub(super) fn read() -> u64 {
        u64::MAX
    }
}

/// A duration in ticks.
pub(crate) fn ticks(nanos: f64) -> u64 {
    // A second's worth of ticks on any machine, long enough that rounding does not show.
    const SAMPLE: u64 = 1 << 32;
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    {
        (nanos * SAMPLE as f64 / self::nanos(SAMPLE) as f64).round() as u64
    }
}

/// The last moment taken, for all threads, so that what they say of the same tick agrees.
static LATEST: Mutex<Anchor> = Mutex::new(Anchor::NONE);

/// A moment known by both clocks. Taken anew each second, it follows adjustments of the wall clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anchor {
    ticks: u64,
    unix_nanos: u64,
}

impl Anchor {
    /// Before any moment: the first use takes a real one.
    pub(crate) const NONE: Self = Self { ticks: 0, unix_nanos: 0 };

    const MAX_AGE_NANOS: u64 = 1_000_000_000;

    /// Reads both clocks, the one between two readings of the other. A thread that is put aside meanwhile
    /// tries again.
    fn take() -> Self {
        const TRIES: usize = 8;
        const CLOSE_ENOUGH_NANOS: u64 = 1_000;
        let mut closest = (u64::MAX, Self::NONE);
        for _ in 0..TRIES {
            let before = now();
            let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let apart = now().saturating_sub(before);
            if apart < closest.0 {
                let unix_nanos = u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX);
                closest = (apart, Self { ticks: before + apart / 2, unix_nanos });
            }
            if nanos(apart) <= CLOSE_ENOUGH_NANOS {
                break;
            }
        }
        closest.1
    }

    /// The latest moment that another thread has taken, or a new one if that is too long ago.
    #[cold]
    fn latest(ticks: u64) -> Self {
        // Nobody waits for a thread that was put aside: its moment serves the next who ask.
        let Ok(mut latest) = LATEST.try_lock() else { return Self::take() };
        if latest.is_old(ticks) {
            *latest = Self::take();
        }
        *latest
    }

    fn is_old(&self, ticks: u64) -> bool {
        self.unix_nanos == 0
            || nanos(ticks.saturating_sub(self.ticks)) > Self::MAX_AGE_NANOS
            || (ticks < self.ticks && self.is_ahead())
    }

    /// Whether the counter has begun anew since, as it may when a machine was suspended or moved.
    fn is_ahead(&self) -> bool {
        nanos(self.ticks.saturating_sub(now())) > Self::MAX_AGE_NANOS
    }

    /// Nanoseconds since the epoch at a tick not long ago.
    pub(crate) fn unix_nanos(&mut self, ticks: u64) -> u64 {
        // As nearly always.
        let since = nanos(ticks.saturating_sub(self.ticks));
        if ticks >= self.ticks && since <= Self::MAX_AGE_NANOS && self.unix_nanos > 0 {
            return self.unix_nanos + since;
        }
        if self.is_old(ticks) {
            *self = Self::latest(ticks);
            if self.is_old(ticks) {
                // A tick later than the present is of a counter that has begun anew since.
                return self.unix_nanos;
            }
        }
        if ticks >= self.ticks {
            self.unix_nanos + nanos(ticks - self.ticks)
        } else {
            self.unix_nanos.saturating_sub(nanos(self.ticks - ticks))
        }
    }

    /// The wall time at a tick not long ago.
    pub(crate) fn system_time(&mut self, ticks: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.unix_nanos(ticks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_and_nanoseconds_convert_back_and_forth() {
        for wanted in [1_000.0, 5e6, 1e9, 10e9] {
            #[allow(clippy::cast_precision_loss)]
            let back = nanos(ticks(wanted)) as f64;
            assert!((back - wanted).abs() <= wanted * 1e-6 + 2.0, "{wanted} came back as {back}");
        }
    }

    /// How far what is told lies outside of the time in which it is asked for. However long that takes, and unless the
    /// wall clock is set meanwhile.
    fn apart_from_the_present(tell: impl Fn() -> SystemTime) -> Duration {
        loop {
            let (before, since) = (SystemTime::now(), Instant::now());
            let told = tell();
            let (took, after) = (since.elapsed(), SystemTime::now());
            let by_the_wall = after.duration_since(before).unwrap_or_default();
            if by_the_wall.abs_diff(took) < Duration::from_millis(1) {
                return before.duration_since(told).or(told.duration_since(after)).unwrap_or_default();
            }
        }
    }

    #[test]
    fn anchored_time_agrees_with_the_wall_clock() {
        let apart = apart_from_the_present(|| {
            let mut anchor = Anchor::NONE;
            anchor.system_time(now())
        });
        assert!(apart < Duration::from_millis(100), "{apart:?}");
    }

    /// Checks that the anchor tells the present for a tick, and not a time hours away.
    fn assert_tells_the_present(anchor: Anchor, tick: u64) {
        let apart = apart_from_the_present(|| { anchor }.system_time(tick));
        assert!(apart < Duration::from_mins(1), "{apart:?} for {tick} with {anchor:?}");
    }

    #[test]
    fn ticks_that_are_a_little_behind_are_told_as_the_moment_they_are() {
        let anchor = Anchor::take();
        let mut skewed = anchor;
        let behind = skewed.unix_nanos(anchor.ticks - ticks(1e6));
        assert!((anchor.unix_nanos - behind).abs_diff(1_000_000) < 10, "{behind} with {anchor:?}");
        assert_eq!(skewed.ticks, anchor.ticks, "and take no other anchor");
    }

    #[test]
    fn after_the_counter_has_begun_anew_wall_time_is_right_again() {
        // Taken when the machine had been up for hours more than the counter knows of now.
        let before = Anchor { ticks: now() + ticks(3_600e9), ..Anchor::take() };
        assert_tells_the_present(before, now());
        // A call that began then and ends now.
        assert_tells_the_present(Anchor::take(), before.ticks);
        assert_tells_the_present(before, before.ticks + ticks(5e9));
    }
}
