//! Why a runtime did not start: each names the setting and what it takes.

use crate::text::Escaper;
use std::error::Error;
use std::fmt;

/// Why the runtime could not be started.
#[non_exhaustive]
pub enum InitError {
    /// A setting has a value that it does not take.
    Invalid {
        /// The environment variable, or the builder's method.
        setting: &'static str,
        /// What it was set to.
        value: String,
        /// What it takes.
        expected: String,
    },
    /// The runtime has been started before in this process.
    AlreadyStarted,
    /// The application has installed a `tracing` subscriber of its own.
    SubscriberInstalled,
    /// The application has installed a logger of the `log` crate.
    LoggerInstalled,
    /// The admin server could not take its address.
    Address {
        /// The address.
        address: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Other machines would reach the admin server, and nothing says who may see what.
    AdminOpen {
        /// The address.
        address: String,
    },
    /// A function with the attribute `health_check` can't be registered.
    #[cfg(feature = "health")]
    HealthCheck(crate::health::RegisterError),
    /// A thread could not be started.
    Thread(std::io::Error),
    /// An exporter could not be built.
    Exporter(Box<dyn Error + Send + Sync>),
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values and errors of other crates go to a terminal.
        self.describe(&mut Escaper(f))
    }
}

impl InitError {
    fn describe(&self, f: &mut impl fmt::Write) -> fmt::Result {
        match self {
            Self::Invalid { setting, value, expected } => {
                write!(f, "{setting} is {value:?}; it takes {expected}")
            }
            Self::AlreadyStarted => f.write_str("the runtime was started before; start it once, in `main`"),
            Self::SubscriberInstalled => f.write_str(
                "a global `tracing` subscriber is installed already; remove that call, this runtime brings its own, \
                 or add `obs_runtime::layer()` (feature `layer`) to that one",
            ),
            Self::LoggerInstalled => f.write_str(
                "a logger of the `log` crate is installed already; remove that call, this runtime takes its records",
            ),
            Self::Address { address, source } => write!(
                f,
                "the admin server can't listen on {address}: {source}; choose another with \
                 `builder().admin(..)` or OTEL_EXPORTER_PROMETHEUS_PORT, or `no_admin()`"
            ),
            Self::AdminOpen { address } => write!(
                f,
                "on {address} other machines would reach the admin server, and it has no token; set one with \
                 `builder().admin_token(..)` or OBS_ADMIN_TOKEN, or let everybody see `/metrics` and `/health/*` with \
                 `admin_allow_remote()` or OBS_ADMIN_ALLOW_REMOTE=true, or choose an address such as 127.0.0.1"
            ),
            #[cfg(feature = "health")]
            Self::HealthCheck(source) => write!(f, "{source}"),
            Self::Thread(source) => write!(f, "a thread of the runtime can't be started: {source}"),
            Self::Exporter(source) => write!(f, "the exporter can't be built: {source}"),
        }
    }
}

/// As its text: this is what Rust prints when `main` returns the error.
impl fmt::Debug for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for InitError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Address { source, .. } | Self::Thread(source) => Some(source),
            Self::Exporter(source) => Some(&**source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_others_do_not_steer_a_terminal() {
        let source = || std::io::Error::other("\u{1b}[2J\u{202e}\u{9b}");
        let invalid = InitError::Invalid {
            setting: "log_filter",
            value: "\u{2066}".to_owned(),
            expected: "\u{7f}".to_owned(),
        };
        let address = InitError::Address { address: "\r".to_owned(), source: source() };
        for error in [invalid, address, InitError::Thread(source()), InitError::Exporter(source().into())] {
            let text = error.to_string();
            assert!(!text.contains(crate::text::is_unsafe), "{text:?}");
        }
    }
}
