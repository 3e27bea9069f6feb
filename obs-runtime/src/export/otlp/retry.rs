//! Trying again: how often, how long, and when to stop.

use super::answer::{Answer, Failure, TooLarge};
use crate::export::closing;
use std::time::{Duration, Instant};

/// The most that is waited after the first failure; twice as much after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The longest that a collector can send us away for.
const LONGEST_HOLD: Duration = Duration::from_secs(5 * 60);

/// Time, and what depends on it: the process's, or a test's.
pub(super) trait Pace {
    fn now(&self) -> Instant;
    /// By when everything is to be sent, if the end has begun.
    fn closing(&self) -> Option<Instant>;
    /// Waits, at most until the end begins.
    fn wait(&mut self, pause: Duration);
    /// Any duration up to that one.
    fn up_to(&mut self, longest: Duration) -> Duration;
}

/// The process's time.
pub(super) struct Clock;

impl Pace for Clock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn closing(&self) -> Option<Instant> {
        closing::until()
    }

    fn wait(&mut self, pause: Duration) {
        closing::wait(pause);
    }

    fn up_to(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(fastrand::f64())
    }
}

/// A request, as far as sending it again goes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attempt {
    /// Whether smaller requests can be made of it.
    pub(super) several: bool,
    /// Whether it is a part of one that was not taken.
    pub(super) halved: bool,
    /// When its time is up, once it was sent: of one that was halved, for all that is made of it.
    pub(super) until: Option<Instant>,
}

impl Attempt {
    /// Whether it failed because of its size.
    pub(super) fn is_of_size(&self, failure: &Failure) -> bool {
        failure.is_of_size(self.several, self.halved)
    }
}

/// Sends one request after the other, each as often as it takes.
pub(super) struct Retry {
    /// How long one request may take in all.
    timeout: Duration,
    /// The collector wants no request before.
    not_before: Option<Instant>,
    /// The last request was given up, however often it was tried.
    gave_up: bool,
}

impl Retry {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, not_before: None, gave_up: false }
    }

    /// Sends a request until it is taken, until that is hopeless, or until its time is up. `send` is
    /// told how much of that there is left.
    pub(super) fn run(
        &mut self,
        pace: &mut impl Pace,
        request: &mut Attempt,
        mut send: impl FnMut(Duration) -> Result<Answer, Failure>,
    ) -> Result<Answer, Failure> {
        self.hold(pace);
        let now = pace.now();
        // A time that no clock can tell is one that never comes.
        let never = now + Duration::from_secs(365 * 24 * 60 * 60);
        let until = *request.until.get_or_insert_with(|| now.checked_add(self.timeout).unwrap_or(never));
        let result = self.insist(pace, request, until, &mut send);
        self.gave_up =
            result.as_ref().is_err_and(|failure| failure.retryable && !request.is_of_size(failure));
        result
    }

    fn insist(
        &mut self,
        pace: &mut impl Pace,
        request: &Attempt,
        until: Instant,
        send: &mut impl FnMut(Duration) -> Result<Answer, Failure>,
    ) -> Result<Answer, Failure> {
        let mut longest = FIRST_PAUSE;
        let mut last = None;
        loop {
            let left = time_left(pace, until);
            if left.is_zero() {
                return Err(last.unwrap_or_else(no_time));
            }
            let failure = match send(left) {
                Ok(answer) => return Ok(answer),
                Err(failure) if !failure.retryable || request.is_of_size(&failure) => return Err(failure),
                // At the end, nobody waits for a collector that has been dead for long.
                Err(failure) if self.gave_up && pace.closing().is_some() => return Err(failure),
                Err(failure) => failure,
            };
            // Those who are sent away together come back one by one.
            let back_off = pace.up_to(longest);
            let pause = failure.retry_after.map_or(back_off, |after| after.saturating_add(back_off));
            if failure.retry_after.is_some() {
                self.not_before = Some(pace.now() + pause.min(LONGEST_HOLD));
            }
            if pause >= time_left(pace, until) {
                return Err(failure);
            }
            last = Some(failure);
            pace.wait(pause);
            longest = (longest * 2).min(LONGEST_PAUSE);
        }
    }

    /// Keeps a new request back for as long as the collector asked for when it refused the last one.
    /// Nothing is lost meanwhile that the queue has room for.
    fn hold(&mut self, pace: &mut impl Pace) {
        let Some(until) = self.not_before.take() else { return };
        if pace.closing().is_none() {
            pace.wait(until.saturating_duration_since(pace.now()));
        }
    }
}

fn no_time() -> Failure {
    let text = "no time was left to send it".to_owned();
    Failure { text, retryable: true, retry_after: None, too_large: TooLarge::No, refused: false }
}

/// How long may still be tried.
fn time_left(pace: &impl Pace, until: Instant) -> Duration {
    let until = pace.closing().map_or(until, |closing| closing.min(until));
    until.saturating_duration_since(pace.now())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// Time that passes when it is waited for, and when a request is sent.
    struct Simulated {
        start: Instant,
        passed: Duration,
        closing: Option<Duration>,
        waited: Vec<Duration>,
    }

    impl Simulated {
        fn new() -> Self {
            Self { start: Instant::now(), passed: Duration::ZERO, closing: None, waited: Vec::new() }
        }
    }

    impl Pace for Simulated {
        fn now(&self) -> Instant {
            self.start + self.passed
        }

        fn closing(&self) -> Option<Instant> {
            self.closing.map(|closing| self.start + closing)
        }

        fn wait(&mut self, pause: Duration) {
            self.passed += pause;
            self.waited.push(pause);
        }

        fn up_to(&mut self, longest: Duration) -> Duration {
            longest
        }
    }

    fn failure(retryable: bool, retry_after: Option<u64>) -> Result<Answer, Failure> {
        let retry_after = retry_after.map(Duration::from_secs);
        let text = "no".to_owned();
        Err(Failure { text, retryable, retry_after, too_large: TooLarge::No, refused: !retryable })
    }

    /// Sends one request that gets these answers, and none after them. Says how often it was sent.
    fn sent(
        retry: &mut Retry,
        pace: &mut Simulated,
        answers: Vec<Result<Answer, Failure>>,
    ) -> (Result<Answer, Failure>, usize) {
        let (mut answers, mut count) = (VecDeque::from(answers), 0);
        let result = retry.run(pace, &mut Attempt::default(), |_| {
            count += 1;
            answers.pop_front().unwrap_or_else(|| failure(true, None))
        });
        (result, count)
    }

    const TIMEOUT: Duration = Duration::from_secs(10);

    #[test]
    fn pauses_double_until_the_time_is_up() {
        let (mut retry, mut pace) = (Retry::new(TIMEOUT), Simulated::new());
        let (result, count) = sent(&mut retry, &mut pace, Vec::new());
        assert_eq!((result, count), (failure(true, None), 6));
        let millis: Vec<u128> = pace.waited.iter().map(Duration::as_millis).collect();
        assert_eq!(millis, [250, 500, 1000, 2000, 4000], "5 more seconds would be too many");
    }

    #[test]
    fn a_request_is_sent_until_it_is_taken() {
        let (mut retry, mut pace) = (Retry::new(TIMEOUT), Simulated::new());
        let answers = vec![failure(true, None), failure(true, Some(3)), Ok(Answer::default())];
        assert_eq!(sent(&mut retry, &mut pace, answers), (Ok(Answer::default()), 3));
        assert_eq!(pace.waited, [Duration::from_millis(250), Duration::from_millis(3500)]);
    }

    #[test]
    fn a_collector_that_may_be_asked_again_at_once_is_not_asked_all_the_time() {
        let (mut retry, mut pace) = (Retry::new(TIMEOUT), Simulated::new());
        let (_, count) = sent(&mut retry, &mut pace, (0..100).map(|_| failure(true, Some(0))).collect());
        assert_eq!(count, 6);
    }

    #[test]
    fn a_timeout_without_end_is_no_error() {
        let (mut retry, mut pace) = (Retry::new(Duration::MAX), Simulated::new());
        sent(&mut retry, &mut pace, vec![failure(true, None), Ok(Answer::default())]).0.expect("taken");
    }

    #[test]
    fn what_is_hopeless_is_not_tried_again() {
        let (mut retry, mut pace) = (Retry::new(TIMEOUT), Simulated::new());
        let (result, count) = sent(&mut retry, &mut pace, vec![failure(false, None)]);
        assert_eq!((result, count, pace.waited.len()), (failure(false, None), 1, 0));
    }

    #[test]
    fn a_collector_that_sends_us_away_for_longer_is_left_alone_for_so_long() {
        let (mut retry, mut pace) = (Retry::new(TIMEOUT), Simulated::new());
        let (_, count) = sent(&mut retry, &mut pace, vec![failure(true, Some(60))]);
        assert_eq!((count, pace.waited.len()), (1, 0), "that request would be too old by then");
        sent(&mut retry, &mut pace, vec![Ok(Answer::default())]).0.expect("taken");
        assert_eq!(pace.waited, [Duration::from_millis(60_250)], "the next one waits");
        sent(&mut retry, &mut pace, vec![Ok(Answer::default())]).0.expect("taken");
        assert_eq!(pace.waited.len(), 1, "and those behind it do not");
    }

    #[test]
    fn the_end_leaves_as_much_time_as_it_says() {
        let (mut retry, mut pace) = (Retry::new(TIMEOUT), Simulated::new());
        pace.closing = Some(Duration::from_millis(600));
        let (result, count) = sent(&mut retry, &mut pace, Vec::new());
        assert_eq!((result, count), (failure(true, None), 2));
        let (result, count) = sent(&mut retry, &mut pace, Vec::new());
        assert_eq!(count, 1, "it has been dead for long: {result:?}");
        pace.passed = Duration::from_secs(1);
        assert_eq!(sent(&mut retry, &mut pace, Vec::new()), (Err(no_time()), 0));
    }

    #[test]
    fn a_request_that_may_be_too_large_is_not_tried_again_as_it_is() {
        let (mut retry, mut pace) = (Retry::new(TIMEOUT), Simulated::new());
        let mut tries = |too_large, several, halved| {
            let (mut attempt, mut count) = (Attempt { several, halved, until: None }, 0);
            let failure = Failure {
                text: String::new(),
                retryable: true,
                retry_after: None,
                too_large,
                refused: false,
            };
            let result = retry.run(&mut pace, &mut attempt, |_| {
                count += 1;
                Err(Failure { text: String::new(), ..failure })
            });
            assert!(result.is_err() && attempt.until.is_some());
            count
        };
        assert_eq!(tries(TooLarge::No, true, true), 6);
        assert_eq!(tries(TooLarge::IfSeveral, false, true), 6);
        assert_eq!(tries(TooLarge::IfSeveral, true, false), 1);
        assert_eq!(tries(TooLarge::IfHalved, false, false), 6);
        assert_eq!(tries(TooLarge::IfHalved, false, true), 1);
        assert_eq!(tries(TooLarge::Yes, false, false), 1);
    }
}
