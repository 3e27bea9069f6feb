//! The environment variables, by their OpenTelemetry names where there is one.
//!
//! A wrong value of an `OBS_*` variable is an error at the start. The variables of OpenTelemetry are often set by a
//! platform for every service that runs on it, so they follow the
//! [specification](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/): a wrong value is
//! a warning, and counts as unset; enumerations ignore case; a wrong entry of a list costs that entry alone; of the
//! Booleans, `true` alone is true. A wrong endpoint or certificate disables its exporter, since another destination
//! was not asked for.

#[cfg(feature = "otlp")]
mod otlp;
mod problems;

#[cfg(feature = "otlp")]
pub(super) use otlp::Choices;

use super::InitError;
use crate::clock::Source;
use crate::subscriber::{Filter, InvalidDirectives};
use crate::trace::Sampler;
use problems::Problems;

/// Where variables come from: the process, or a test.
pub(super) struct Environment<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    problems: Problems,
}

impl<'a> Environment<'a> {
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup, problems: Problems::default() }
    }

    /// Logs the values that are not used.
    pub(super) fn log_problems(&self) {
        self.problems.log();
    }

    /// The messages of the values that are not used.
    #[cfg(test)]
    pub(super) fn messages(&self) -> Vec<String> {
        self.problems.messages()
    }

    /// Returns a variable's value. OpenTelemetry has variables that are empty count as not set. An empty `OBS_*` variable is a
    /// value like any other, which no setting takes: a secret that could not be mounted must not open the admin server.
    fn get(&self, name: &str) -> Option<String> {
        let value = (self.lookup)(name)?.trim().to_owned();
        (!value.is_empty() || name.starts_with("OBS_")).then_some(value)
    }

    #[cfg(not(feature = "otlp"))]
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A variable of our own.
    pub(super) fn parsed<T>(
        &self,
        name: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, InitError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let parsed = parse(&value).map(Some);
        parsed.ok_or_else(|| InitError::Invalid { setting: name, value, expected: expected.to_owned() })
    }

    #[cfg(any(feature = "admin", feature = "profile-cpu"))]
    fn flag(&self, name: &'static str) -> Result<Option<bool>, InitError> {
        self.parsed(name, "`true` or `false`", |value| value.to_ascii_lowercase().parse().ok())
    }

    /// A variable of OpenTelemetry. A value that it does not take counts as unset, and `instead` says what that means.
    pub(super) fn standard<T>(
        &self,
        name: &'static str,
        expected: &str,
        instead: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.get(name)?;
        let parsed = parse(&value);
        if parsed.is_none() {
            self.problems.warn(name, &value, expected, instead);
        }
        parsed
    }

    /// The same, if its values are words. `parse` gets them in lower case.
    fn standard_word<T>(
        &self,
        name: &'static str,
        expected: &str,
        instead: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.standard(name, expected, instead, |value| parse(&value.to_ascii_lowercase()))
    }

    /// The same, if it is a Boolean: any value but `true` is false.
    fn standard_flag(&self, name: &'static str) -> bool {
        let parse = |value: &str| value.parse().ok();
        self.standard_word(name, "`true` or `false`", "it counts as `false`", parse).unwrap_or(false)
    }

    /// The same, if it is a list of words: wrong ones are left out. `None` if the variable is not set or no word is
    /// left; `default` says what that means.
    fn standard_list<T>(
        &self,
        name: &'static str,
        expected: &str,
        default: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let value = self.get(name)?;
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for entry in value.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            match parse(&entry.to_ascii_lowercase()) {
                Some(parsed) => known.push(parsed),
                None => unknown.push(entry),
            }
        }
        let instead = if known.is_empty() { default } else { "this entry is left out" };
        for entry in unknown {
            self.problems.warn(name, entry, expected, instead);
        }
        (!known.is_empty()).then_some(known)
    }

    pub(super) fn sdk_disabled(&self) -> bool {
        self.standard_flag("OTEL_SDK_DISABLED")
    }

    /// Which headers carry what is known of a request, besides its id: the trace, and baggage.
    pub(super) fn propagators(&self) -> Option<(bool, bool)> {
        let (expected, default) =
            ("`tracecontext`, `baggage` or both, or `none`", "`tracecontext,baggage` is used");
        let chosen = self.standard_list("OTEL_PROPAGATORS", expected, default, |name| match name {
            "tracecontext" => Some((true, false)),
            "baggage" => Some((false, true)),
            "none" => Some((false, false)),
            _ => None,
        })?;
        Some(chosen.into_iter().fold((false, false), |all, one| (all.0 || one.0, all.1 || one.1)))
    }

    /// Where the time of calls comes from.
    pub(super) fn clock(&self) -> Result<Option<Source>, InitError> {
        self.parsed("OBS_CLOCK", "`counter` or `system`", |value| match value {
            "counter" => Some(Source::Counter),
            "system" => Some(Source::System),
            _ => None,
        })
    }

    pub(super) fn service_name(&self) -> Option<String> {
        self.get("OTEL_SERVICE_NAME")
    }

    /// The attributes of the resource: comma-separated `key=value`, percent-encoded. By the specification of
    /// resources, an error in one discards all of them.
    pub(super) fn resource_attributes(&self) -> Vec<(String, String)> {
        let expected = "comma-separated `key=value` pairs, with `%2C` and the like for special characters";
        let instead = "none of it is used";
        let pairs = self.standard("OTEL_RESOURCE_ATTRIBUTES", expected, instead, |value| {
            value.split(',').map(str::trim).filter(|pair| !pair.is_empty()).map(pair).collect()
        });
        pairs.unwrap_or_default()
    }

    /// The filter of `RUST_LOG`, and remarks on directives that are left out: the variable is for every program, so a
    /// mistake in it does not stop this one.
    pub(super) fn log_filter(&self) -> Option<(Filter, Vec<String>)> {
        self.get("RUST_LOG").map(|value| Filter::parse_lossy(&value))
    }

    #[cfg(feature = "admin")]
    pub(super) fn admin_host(&self) -> Option<std::net::IpAddr> {
        let (expected, instead) = ("an IP address, such as 127.0.0.1", "127.0.0.1 is used");
        self.standard_word("OTEL_EXPORTER_PROMETHEUS_HOST", expected, instead, |value| {
            if value == "localhost" { Some(std::net::Ipv4Addr::LOCALHOST.into()) } else { value.parse().ok() }
        })
    }

    #[cfg(feature = "admin")]
    pub(super) fn admin_port(&self) -> Option<u16> {
        let (expected, instead) = ("a port, 0 to 65535", "9464 is used");
        self.standard("OTEL_EXPORTER_PROMETHEUS_PORT", expected, instead, |value| value.parse().ok())
    }

    #[cfg(feature = "admin")]
    pub(super) fn admin_token(&self) -> Result<Option<crate::admin::Token>, InitError> {
        let name = "OBS_ADMIN_TOKEN";
        self.get(name).map(|token| super::admin::checked(name, &token)).transpose()
    }

    #[cfg(feature = "admin")]
    pub(super) fn admin_allow_remote(&self) -> Result<Option<bool>, InitError> {
        self.flag("OBS_ADMIN_ALLOW_REMOTE")
    }

    #[cfg(feature = "profile-cpu")]
    pub(super) fn cpu_profiling(&self) -> Result<Option<bool>, InitError> {
        self.flag("OBS_CPU_PROFILING")
    }

    pub(super) fn sampler(&self) -> Option<Sampler> {
        let names = "one of `always_on`, `always_off`, `traceidratio`, `parentbased_always_on`, \
                     `parentbased_always_off`, `parentbased_traceidratio`";
        let instead = "`parentbased_always_on` is used";
        self.standard_word("OTEL_TRACES_SAMPLER", names, instead, |value| {
            Some(match value {
                "always_on" => Sampler::AlwaysOn,
                "always_off" => Sampler::AlwaysOff,
                "traceidratio" => Sampler::TraceIdRatio(self.ratio()),
                "parentbased_always_on" => Sampler::ParentBasedAlwaysOn,
                "parentbased_always_off" => Sampler::ParentBasedAlwaysOff,
                "parentbased_traceidratio" => Sampler::ParentBasedTraceIdRatio(self.ratio()),
                _ => return None,
            })
        })
    }

    /// The share of traces that a sampler keeps, for those that take one.
    fn ratio(&self) -> f64 {
        let (expected, instead) = ("a number from 0 to 1", "1.0 is used");
        let ratio = self.standard("OTEL_TRACES_SAMPLER_ARG", expected, instead, |value| {
            value.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio))
        });
        ratio.unwrap_or(1.0)
    }
}

/// The message of a filter that does not parse.
pub(super) fn invalid_filter(setting: &'static str, value: String, error: &InvalidDirectives) -> InitError {
    InitError::Invalid { setting, value, expected: error.to_string() }
}

/// One `key=value`, percent-encoded.
fn pair(text: &str) -> Option<(String, String)> {
    let (key, value) = text.split_once('=')?;
    let (key, value) = (percent_decode(key.trim())?, percent_decode(value.trim())?);
    (!key.is_empty()).then_some((key, value))
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            if !digits.iter().all(u8::is_ascii_hexdigit) {
                return None;
            }
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
