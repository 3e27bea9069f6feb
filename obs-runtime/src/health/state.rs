//! How a check stands: what its runs have said, settled by thresholds. Pure; the time is told from outside, without the time
//! in which the process was [stopped](super::clock).

use super::{Health, Probe, Spec, Status};
use std::time::{Duration, Instant, SystemTime};

/// What a run of a check came to: how well it is, or why it failed.
pub(crate) type RunResult = Result<Health, String>;

/// A run that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) result: RunResult,
    pub(crate) took: Duration,
    pub(crate) ended: Instant,
    /// For people to read.
    pub(crate) ended_at: SystemTime,
}

/// What is known of a check.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// What the thresholds have settled on; nothing before the first run.
    settled: Option<Status>,
    /// Since when it is run.
    watched: Option<Instant>,
    /// How many runs in a row have said something else.
    contrary: u32,
    last: Option<Run>,
    pub(crate) runs: u64,
    pub(crate) failures: u64,
}

/// How a check stands at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) status: Status,
    /// Why it is not better, or what the last run said although it is.
    pub(crate) output: Option<String>,
    pub(crate) last: Option<Run>,
    pub(crate) age: Option<Duration>,
}

impl State {
    /// From now on it is run.
    pub(crate) fn watched(&mut self, now: Instant) {
        self.watched = Some(now);
    }

    /// Notes a run. Returns how the check has stood and stands now, where that has changed.
    pub(crate) fn note(&mut self, spec: &Spec, run: Run) -> Option<(Option<Status>, Status)> {
        let said = match &run.result {
            Ok(Health::Good) => Status::Pass,
            Ok(Health::Degraded(_)) => Status::Warn,
            Err(_) => Status::Fail,
        };
        self.runs += 1;
        self.failures += u64::from(said == Status::Fail);
        self.last = Some(run);
        let before = self.settled;
        self.contrary = if before == Some(said) { 0 } else { self.contrary + 1 };
        let needed = match (before, said) {
            // The first word is taken as it is, and between good and degraded nothing is at stake.
            (None, _) | (Some(Status::Pass | Status::Warn), Status::Pass | Status::Warn) => 1,
            (Some(_), Status::Fail) => spec.failures,
            (Some(Status::Fail), _) => spec.successes,
        };
        if before == Some(said) || self.contrary < needed {
            return None;
        }
        self.settled = Some(said);
        self.contrary = 0;
        Some((before, said))
    }

    /// Whether it has passed, which is all that a check of the start is asked.
    pub(crate) fn has_passed(&self) -> bool {
        matches!(self.settled, Some(Status::Pass | Status::Warn))
    }

    /// How the check stands.
    pub(crate) fn standing(&self, spec: &Spec, now: Instant) -> Standing {
        let age = self.last.as_ref().map(|run| now.saturating_duration_since(run.ended));
        let (status, output) = match (self.settled, &self.last, age) {
            (Some(settled), Some(run), Some(age)) => {
                // What has started stays started.
                let stale = age > spec.stale_after() && !(spec.probe == Probe::Startup && self.has_passed());
                if stale {
                    (Status::Fail, Some(format!("its last result is {} old", super::shown(age))))
                } else {
                    (settled, output(&run.result))
                }
            }
            _ if self
                .watched
                .is_some_and(|since| now.saturating_duration_since(since) > spec.stale_after()) =>
            {
                (Status::Fail, Some("it has not come to a result".to_owned()))
            }
            // A process is not restarted for what is not known yet, but gets no traffic either.
            _ if spec.probe == Probe::Liveness => (Status::Pass, None),
            _ => (Status::Fail, Some("it has not run yet".to_owned())),
        };
        Standing { status, output, last: self.last.clone(), age }
    }
}

fn output(result: &RunResult) -> Option<String> {
    match result {
        Ok(Health::Good) => None,
        Ok(Health::Degraded(why)) | Err(why) => Some(why.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A check at moments of a clock that only the test moves.
    struct Clock {
        spec: Spec,
        state: State,
        start: Instant,
        now: Duration,
    }

    impl Clock {
        fn new(spec: Spec) -> Self {
            Self { spec, state: State::default(), start: Instant::now(), now: Duration::ZERO }
        }

        fn after(&mut self, seconds: u64) -> &mut Self {
            self.now += Duration::from_secs(seconds);
            self
        }

        fn run(&mut self, result: RunResult) -> Option<(Option<Status>, Status)> {
            let ended = self.start + self.now;
            let run = Run { result, took: Duration::ZERO, ended, ended_at: SystemTime::UNIX_EPOCH };
            self.state.note(&self.spec, run)
        }

        fn status(&self) -> Status {
            self.state.standing(&self.spec, self.start + self.now).status
        }
    }

    fn spec(probe: Probe) -> Spec {
        let spec = Spec::new("database").probe(probe).every(Duration::from_secs(10));
        spec.failures(3).successes(2)
    }

    fn bad() -> RunResult {
        Err("refused".to_owned())
    }

    #[test]
    fn one_blip_does_not_flap() {
        let mut check = Clock::new(spec(Probe::Readiness));
        assert_eq!(check.status(), Status::Fail, "nothing is known yet");
        assert_eq!(check.run(Ok(Health::Good)), Some((None, Status::Pass)));
        for _ in 0..5 {
            assert_eq!(check.after(10).run(bad()), None);
            assert_eq!(check.after(10).run(bad()), None);
            assert_eq!(check.after(10).run(Ok(Health::Good)), None, "and the count begins anew");
            assert_eq!(check.status(), Status::Pass);
        }
        assert_eq!(check.after(10).run(bad()), None);
        assert_eq!(check.after(10).run(bad()), None);
        assert_eq!(check.after(10).run(bad()), Some((Some(Status::Pass), Status::Fail)));
        assert_eq!(check.after(10).run(bad()), None, "said once");
        assert_eq!(check.status(), Status::Fail);
        assert_eq!(check.after(10).run(Ok(Health::Good)), None);
        assert_eq!(check.status(), Status::Fail, "one success is not enough either");
        assert_eq!(check.after(10).run(Ok(Health::Good)), Some((Some(Status::Fail), Status::Pass)));
        assert_eq!((check.state.runs, check.state.failures), (22, 14));
    }

    #[test]
    fn the_first_result_is_taken_at_its_word() {
        let mut check = Clock::new(spec(Probe::Readiness));
        assert_eq!(check.run(bad()), Some((None, Status::Fail)));
        assert_eq!(check.status(), Status::Fail);
    }

    #[test]
    fn a_result_that_is_too_old_counts_as_failing() {
        let mut check = Clock::new(spec(Probe::Readiness).stale(Duration::from_secs(25)));
        check.run(Ok(Health::Good));
        assert_eq!(check.after(25).status(), Status::Pass);
        assert_eq!(check.after(1).status(), Status::Fail);
        check.run(Ok(Health::Good));
        assert_eq!(check.status(), Status::Pass, "until there is a new one");
    }

    #[test]
    fn what_is_not_known_yet_is_alive_and_not_ready() {
        assert_eq!(Clock::new(spec(Probe::Liveness)).status(), Status::Pass);
        assert_eq!(Clock::new(spec(Probe::Readiness)).status(), Status::Fail);
        assert_eq!(Clock::new(spec(Probe::Startup)).status(), Status::Fail);
    }

    #[test]
    fn one_that_never_comes_to_a_result_fails() {
        let mut check = Clock::new(spec(Probe::Liveness).stale(Duration::from_secs(25)));
        assert_eq!(check.after(100).status(), Status::Pass, "nobody has run it");
        check.state.watched(check.start + check.now);
        assert_eq!(check.after(25).status(), Status::Pass);
        assert_eq!(check.after(1).status(), Status::Fail);
        check.run(Ok(Health::Good));
        assert_eq!(check.status(), Status::Pass);
    }

    #[test]
    fn what_has_started_stays_started() {
        let mut check = Clock::new(spec(Probe::Startup));
        check.run(Ok(Health::Good));
        assert_eq!(check.after(1_000_000).status(), Status::Pass);
    }

    #[test]
    fn degraded_is_not_down() {
        let mut check = Clock::new(spec(Probe::Readiness));
        check.run(Ok(Health::Good));
        let degraded = Ok(Health::Degraded("one of three replicas is behind".to_owned()));
        assert_eq!(check.run(degraded), Some((Some(Status::Pass), Status::Warn)));
        assert_eq!(check.status(), Status::Warn);
        let standing = check.state.standing(&check.spec, check.start);
        assert_eq!(standing.output.as_deref(), Some("one of three replicas is behind"));
        assert_eq!(check.run(Ok(Health::Good)), Some((Some(Status::Warn), Status::Pass)));
    }
}
