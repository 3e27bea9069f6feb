//! Why the log level was not changed: each says what is valid.

use super::MAX_TIME_TO_LIVE;
use std::fmt;
use std::time::Duration;

/// Why the log level was not changed.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The directives don't parse.
    Directives {
        /// What they are.
        value: String,
        /// What they take.
        expected: String,
    },
    /// The time to live is zero, or longer than [`MAX_TIME_TO_LIVE`].
    TimeToLive(Duration),
    /// There is no runtime whose log level that would be.
    NotStarted,
    /// There is no thread to wait for the end of a temporary change.
    Thread(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directives { value, expected } => {
                write!(f, "the log level is {value:?}; it takes {expected}")
            }
            Self::TimeToLive(time) => {
                let hours = MAX_TIME_TO_LIVE.as_secs() / 3600;
                write!(f, "the time to live is {time:?}; it takes more than zero, and at most {hours} hours")
            }
            Self::NotStarted => f.write_str("the runtime is not started, so there is no log level to change"),
            Self::Thread(error) => write!(f, "a thread of the runtime can't be started: {error}"),
        }
    }
}

/// As its text: this is what Rust prints when `main` returns the error.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use crate::log_level;
    use std::time::Duration;

    #[test]
    fn errors_say_what_is_valid() {
        let error = log_level::set("shop=loud").expect_err("no level").to_string();
        assert!(
            error.starts_with("the log level is \"shop=loud\"; it takes a level (off, error, warn"),
            "{error}"
        );
        assert!(log_level::set("").expect_err("nothing").to_string().ends_with("(there is none)"));
        for time in [Duration::ZERO, Duration::from_secs(24 * 3600 + 1)] {
            let error = log_level::set_for("debug", time).expect_err("no time").to_string();
            assert!(error.ends_with("it takes more than zero, and at most 24 hours"), "{error}");
        }
    }
}
