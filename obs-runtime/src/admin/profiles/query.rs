//! What is asked about a profile.

use std::ops::RangeInclusive;
use std::time::Duration;

const SECONDS: RangeInclusive<u32> = 1..=300;
const HZ: RangeInclusive<u32> = 1..=1000;

/// A parameter of a query, of which each profile takes some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameter {
    Seconds,
    Hz,
    MinAge,
    Debug,
}

/// The parameters that came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) seconds: Option<u32>,
    pub(super) hz: Option<u32>,
    pub(super) min_age: Option<Duration>,
    pub(super) debug: bool,
}

impl Parameter {
    fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Hz => "hz",
            Self::MinAge => "min_age",
            Self::Debug => "debug",
        }
    }

    /// What is valid.
    pub(super) fn takes(self) -> &'static str {
        match self {
            Self::Seconds => "`seconds` with a whole number from 1 to 300",
            Self::Hz => "`hz` with a whole number from 1 to 1000",
            Self::MinAge => "`min_age` with a whole number of ms or s, such as `500ms`, `5s` or `5`",
            Self::Debug => "`debug` with 1 for text, or 0",
        }
    }

    /// Reads a value; `None` if it is not valid.
    fn set(self, value: &str, query: &mut Query) -> Option<()> {
        match self {
            Self::Seconds => query.seconds = Some(number(value).filter(|number| SECONDS.contains(number))?),
            Self::Hz => query.hz = Some(number(value).filter(|number| HZ.contains(number))?),
            Self::MinAge => query.min_age = Some(age(value)?),
            Self::Debug => {
                query.debug = match value {
                    "1" => true,
                    "0" => false,
                    _ => return None,
                }
            }
        }
        Some(())
    }
}

impl Query {
    /// Reads `name=value&..`; an error says what is valid.
    pub(super) fn read(text: &str, takes: &[Parameter]) -> Result<Self, String> {
        let mut query = Self::default();
        let mut seen = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(parameter) = takes.iter().find(|parameter| parameter.name() == name) else {
                let takes: Vec<_> = takes.iter().map(|parameter| parameter.takes()).collect();
                return Err(format!("there is no parameter {name:?} here; there is {}", takes.join("; ")));
            };
            if seen.contains(parameter) {
                return Err(format!("`{name}` is there more than once"));
            }
            seen.push(*parameter);
            if parameter.set(value, &mut query).is_none() {
                return Err(format!("`{name}` is {value:?}; it takes {}", parameter.takes()));
            }
        }
        Ok(query)
    }
}

fn number(text: &str) -> Option<u32> {
    // `parse` would take a sign.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn age(text: &str) -> Option<Duration> {
    match text.strip_suffix("ms") {
        Some(millis) => Some(Duration::from_millis(number(millis)?.into())),
        None => Some(Duration::from_secs(number(text.strip_suffix('s').unwrap_or(text))?.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[Parameter] = &[Parameter::Seconds, Parameter::Hz, Parameter::MinAge, Parameter::Debug];

    #[test]
    fn what_is_valid_is_read() {
        let read = |text| Query::read(text, ALL).expect(text);
        assert_eq!(read(""), Query::default());
        assert_eq!(read("debug=0"), Query::default());
        let all = Query {
            seconds: Some(300),
            hz: Some(1000),
            min_age: Some(Duration::from_millis(500)),
            debug: true,
        };
        assert_eq!(read("seconds=300&hz=1000&&min_age=500ms&debug=1"), all);
        for (text, seconds) in [("min_age=5s", 5), ("min_age=7", 7), ("min_age=0", 0)] {
            assert_eq!(read(text).min_age, Some(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_not_is_refused_with_what_is() {
        for text in [
            "seconds=0",
            "seconds=301",
            "seconds=",
            "seconds",
            "seconds=+1",
            "seconds=1.5",
            "seconds=99999999999",
            "hz=0",
            "hz=1001",
            "hz=x",
            "min_age=s",
            "min_age=5m",
            "min_age=-1s",
            "min_age=ms",
            "min_age=%35",
            "debug=2",
            "debug",
        ] {
            let problem = Query::read(text, ALL).expect_err(text);
            let name = text.split('=').next().expect("a name");
            assert!(problem.starts_with(&format!("`{name}` is ")), "{problem}");
            assert!(problem.contains(&format!("it takes `{name}` with")), "{problem}");
        }
        let twice = Query::read("hz=1&hz=1", ALL).expect_err("twice");
        assert_eq!(twice, "`hz` is there more than once");
        let unknown = Query::read("gc=1", &[Parameter::Seconds, Parameter::Debug]).expect_err("unknown");
        assert!(unknown.contains("no parameter \"gc\"") && unknown.contains("from 1 to 300"), "{unknown}");
        assert!(!unknown.contains("hz"), "{unknown}");
    }
}
