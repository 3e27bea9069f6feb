//! What the profiles look for.

use super::environment::Environment;
use super::{Builder, InitError};
use std::time::Duration;

const SLOW_POLL: Duration = Duration::from_millis(100);
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// From how long on, if ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limit(Option<Duration>);

/// What is set in code.
#[derive(Default)]
pub(super) struct Profiling {
    slow_poll: Option<Limit>,
    stuck_after: Option<Limit>,
}

impl Builder {
    /// From how long on a poll of an observed future is slow: it is in the profile [`block`](crate::profile::block), and
    /// logged at WARN, each stack at most every 10 seconds. `None` for never.
    #[must_use]
    pub fn slow_poll(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.profiling.slow_poll = Some(Limit(limit.into()));
        self
    }

    /// From how long on a call is stuck, of functions whose `#[observe(stuck = "..")]` does not say: while it runs it is
    /// counted in `function_calls_stuck`, and logged once at WARN, with the observed functions that it is in. Found
    /// within half a second. `None` for never.
    #[must_use]
    pub fn stuck_after(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.profiling.stuck_after = Some(Limit(limit.into()));
        self
    }
}

impl Profiling {
    /// Code goes before the environment, whose values have to be right all the same.
    pub(super) fn resolve(
        &self,
        environment: &Environment<'_>,
    ) -> Result<(Option<Duration>, Option<Duration>), InitError> {
        let (slow_poll, stuck_after) = (environment.slow_poll()?, environment.stuck_after()?);
        Ok((
            self.slow_poll.or(slow_poll).map_or(Some(SLOW_POLL), |limit| limit.0),
            self.stuck_after.or(stuck_after).map_or(Some(STUCK_AFTER), |limit| limit.0),
        ))
    }
}

impl Environment<'_> {
    fn slow_poll(&self) -> Result<Option<Limit>, InitError> {
        self.limit("OBS_SLOW_POLL")
    }

    fn stuck_after(&self) -> Result<Option<Limit>, InitError> {
        self.limit("OBS_STUCK_AFTER")
    }

    fn limit(&self, name: &'static str) -> Result<Option<Limit>, InitError> {
        let expected = "a whole number above zero and `ms`, `s` or `m`, such as `100ms`, or `off`";
        self.parsed(name, expected, |value| {
            if value == "off" { Some(Limit(None)) } else { duration(value).map(|limit| Limit(Some(limit))) }
        })
    }
}

fn duration(text: &str) -> Option<Duration> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number: u64 = text[..text.len() - unit.len()].parse().ok().filter(|number| *number > 0)?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(
        profiling: &Profiling,
        variables: &[(&str, &str)],
    ) -> Result<(Option<Duration>, Option<Duration>), String> {
        let lookup =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        profiling.resolve(&Environment::new(&lookup)).map_err(|error| error.to_string())
    }

    #[test]
    fn code_goes_before_the_environment_and_that_before_what_is_usual() {
        let (nothing, set) = (Profiling::default(), crate::builder().slow_poll(None).profiling);
        assert_eq!(resolve(&nothing, &[]), Ok((Some(SLOW_POLL), Some(STUCK_AFTER))));
        let variables = [("OBS_SLOW_POLL", "20ms"), ("OBS_STUCK_AFTER", "off")];
        assert_eq!(resolve(&nothing, &variables), Ok((Some(Duration::from_millis(20)), None)));
        assert_eq!(resolve(&set, &variables), Ok((None, None)));
        let variables = [("OBS_STUCK_AFTER", "5m")];
        assert_eq!(resolve(&set, &variables), Ok((None, Some(Duration::from_secs(5 * 60)))));
    }

    #[test]
    fn a_wrong_limit_names_its_variable_and_what_it_takes() {
        for wrong in ["", "0s", "100", "1.5s", "s", "-1s", "99999999999999999999s", "1h"] {
            let error = resolve(&Profiling::default(), &[("OBS_STUCK_AFTER", wrong)]).expect_err(wrong);
            assert!(error.starts_with(&format!("OBS_STUCK_AFTER is {wrong:?}; it takes a whole")), "{error}");
        }
    }
}
