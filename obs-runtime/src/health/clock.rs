//! Time in which the process ran.
//!
//! The system's clock goes on while a process is stopped: by `SIGSTOP`, in a frozen cgroup, under a debugger, or with its
//! virtual machine. No check runs meanwhile, and no result gets worse by that. A thread looks at the clock every [`PERIOD`].
//! Between two looks at most [`LONGEST`] counts as time in which the process ran; the rest counts as a stop.

use crate::threads;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_millis(300);

static CLOCK: Mutex<Clock> = Mutex::new(Clock { looked: None, stopped: Duration::ZERO });

fn clock() -> MutexGuard<'static, Clock> {
    CLOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Clock {
    /// The last look. `None` before the start, when no stop is known.
    looked: Option<Instant>,
    /// The sum of all stops before it.
    stopped: Duration,
}

impl Clock {
    /// The sum of all stops until now. A stop counts before the thread has looked after its end.
    fn stopped(&self, now: Instant) -> Duration {
        let since = self.looked.map_or(Duration::ZERO, |looked| now.saturating_duration_since(looked));
        self.stopped + since.saturating_sub(LONGEST)
    }

    fn look(&mut self, now: Instant) {
        self.stopped = self.stopped(now);
        self.looked = Some(now);
    }

    fn without_stops(&self, now: Instant) -> Instant {
        now.checked_sub(self.stopped(now)).unwrap_or(now)
    }
}

/// Starts the thread `obs-health-clock`. Where it can't be started, stops count as time like any other.
pub(super) fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let look = || loop {
            clock().look(Instant::now());
            thread::sleep(PERIOD);
        };
        let _ = threads::spawn("obs-health-clock", look);
    });
}

/// The present [without stops](without_stops). A probe counts as a look, so that time goes on without the thread, too.
pub(crate) fn now() -> Instant {
    let (now, mut clock) = (Instant::now(), clock());
    if clock.looked.is_some() {
        clock.look(now);
    }
    clock.without_stops(now)
}

/// Moves the present back by the time in which the process was stopped. The difference of two such moments is the time in
/// which it ran.
pub(super) fn without_stops(now: Instant) -> Instant {
    clock().without_stops(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_in_which_the_process_ran_counts() {
        let (start, mut clock) = (Instant::now(), Clock { looked: None, stopped: Duration::ZERO });
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(clock.without_stops(at(50_000)), at(50_000), "it has not been started");
        for look in 0..=100 {
            clock.look(at(look * 100));
        }
        assert_eq!(clock.without_stops(at(10_000)), at(10_000));
        assert_eq!(clock.without_stops(at(10_299)), at(10_299), "the thread may be late");
        // A probe comes before the thread has looked.
        assert_eq!(clock.without_stops(at(30_000)), at(10_300));
        clock.look(at(30_010));
        assert_eq!(clock.without_stops(at(30_110)), at(10_400));
        // A second stop adds to the first.
        clock.look(at(30_110));
        assert_eq!(clock.without_stops(at(3_630_110)), at(10_700));
        clock.look(at(3_630_110));
        assert_eq!(clock.without_stops(at(3_630_010)), at(10_600), "asked before the last look");
    }
}
