//! The environment variables, by their OpenTelemetry names where there is one.

#[cfg(feature = "otlp")]
mod otlp;

#[cfg(feature = "otlp")]
pub(super) use otlp::Choices;

use super::InitError;
use crate::clock::Source;
use crate::subscriber::{Filter, InvalidDirectives};
use crate::trace::Sampler;

/// Where variables come from: the process, or a test.
pub(super) struct Environment<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Environment<'a> {
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup }
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

    pub(super) fn parsed<T>(
        &self,
        name: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, InitError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        parse(&value).map(Some).ok_or_else(|| {
            // Headers are where secrets are.
            let value = if name.ends_with("_HEADERS") { "***".to_owned() } else { value };
            InitError::Invalid { setting: name, value, expected: expected.to_owned() }
        })
    }

    fn flag(&self, name: &'static str) -> Result<Option<bool>, InitError> {
        self.parsed(name, "`true` or `false`", |value| value.to_ascii_lowercase().parse().ok())
    }

    pub(super) fn sdk_disabled(&self) -> Result<bool, InitError> {
        Ok(self.flag("OTEL_SDK_DISABLED")?.unwrap_or(false))
    }

    /// Which headers carry what is known of a request, besides its id: the trace, and baggage.
    pub(super) fn propagators(&self) -> Result<Option<(bool, bool)>, InitError> {
        self.parsed("OTEL_PROPAGATORS", "`tracecontext`, `baggage` or both, or `none`", |value| {
            value.split(',').try_fold((false, false), |(trace, baggage), name| match name.trim() {
                "tracecontext" => Some((true, baggage)),
                "baggage" => Some((trace, true)),
                "none" => Some((trace, baggage)),
                _ => None,
            })
        })
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

    pub(super) fn resource_attributes(&self) -> Result<Vec<(String, String)>, InitError> {
        Ok(self.pairs("OTEL_RESOURCE_ATTRIBUTES")?.unwrap_or_default())
    }

    /// The filter of `RUST_LOG`, and remarks on directives that are left out: the variable is for every program, so a
    /// mistake in it does not stop this one.
    pub(super) fn log_filter(&self) -> Option<(Filter, Vec<String>)> {
        self.get("RUST_LOG").map(|value| Filter::parse_lossy(&value))
    }

    #[cfg(feature = "admin")]
    pub(super) fn admin_host(&self) -> Result<Option<std::net::IpAddr>, InitError> {
        self.parsed("OTEL_EXPORTER_PROMETHEUS_HOST", "an IP address, such as 127.0.0.1", |value| {
            if value == "localhost" { Some(std::net::Ipv4Addr::LOCALHOST.into()) } else { value.parse().ok() }
        })
    }

    #[cfg(feature = "admin")]
    pub(super) fn admin_port(&self) -> Result<Option<u16>, InitError> {
        self.parsed("OTEL_EXPORTER_PROMETHEUS_PORT", "a port, 0 to 65535", |value| value.parse().ok())
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

    pub(super) fn sampler(&self) -> Result<Option<Sampler>, InitError> {
        const RATIO: &str = "a number from 0 to 1";
        let ratio = self.parsed("OTEL_TRACES_SAMPLER_ARG", RATIO, |value| {
            value.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio))
        });
        let names = "one of `always_on`, `always_off`, `traceidratio`, `parentbased_always_on`, \
                     `parentbased_always_off`, `parentbased_traceidratio`";
        let sampler = self.parsed("OTEL_TRACES_SAMPLER", names, |value| {
            Some(match value {
                "always_on" => Sampler::AlwaysOn,
                "always_off" => Sampler::AlwaysOff,
                "traceidratio" => Sampler::TraceIdRatio(1.0),
                "parentbased_always_on" => Sampler::ParentBasedAlwaysOn,
                "parentbased_always_off" => Sampler::ParentBasedAlwaysOff,
                "parentbased_traceidratio" => Sampler::ParentBasedTraceIdRatio(1.0),
                _ => return None,
            })
        })?;
        Ok(match sampler {
            Some(Sampler::TraceIdRatio(all)) => Some(Sampler::TraceIdRatio(ratio?.unwrap_or(all))),
            Some(Sampler::ParentBasedTraceIdRatio(all)) => {
                Some(Sampler::ParentBasedTraceIdRatio(ratio?.unwrap_or(all)))
            }
            other => other,
        })
    }

    /// Comma-separated `key=value`, percent-encoded.
    fn pairs(&self, name: &'static str) -> Result<Option<Vec<(String, String)>>, InitError> {
        let expected = "comma-separated `key=value` pairs, with `%2C` and the like for special characters";
        self.parsed(name, expected, |value| {
            let pairs = value.split(',').map(str::trim).filter(|pair| !pair.is_empty());
            pairs
                .map(|pair| {
                    let (key, value) = pair.split_once('=')?;
                    let (key, value) = (key.trim(), percent_decode(value.trim())?);
                    (!key.is_empty()).then(|| (key.to_owned(), value))
                })
                .collect()
        })
    }
}

/// The message of a filter that does not parse.
pub(super) fn invalid_filter(setting: &'static str, value: String, error: &InvalidDirectives) -> InitError {
    InitError::Invalid { setting, value, expected: error.to_string() }
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
mod tests {
    use super::*;

    fn with<R>(variables: &[(&str, &str)], run: impl FnOnce(&Environment<'_>) -> R) -> R {
        let lookup =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        run(&Environment::new(&lookup))
    }

    #[test]
    fn empty_variables_count_as_unset() {
        with(&[("OTEL_SERVICE_NAME", " "), ("OTEL_TRACES_SAMPLER", "")], |environment| {
            assert_eq!(environment.service_name(), None);
            assert_eq!(environment.sampler().expect("valid"), None);
        });
    }

    /// A failed mount of a secret, or a template that was not filled in.
    #[test]
    fn empty_variables_of_ours_are_wrong() {
        for empty in ["", " ", "\t\r\n"] {
            let error = |name, read: &dyn Fn(&Environment<'_>) -> Option<InitError>| {
                let error = with(&[(name, empty)], read).unwrap_or_else(|| panic!("{name} is {empty:?}"));
                let error = error.to_string();
                assert!(
                    error.starts_with(&format!("{name} is ")) && error.contains("; it takes "),
                    "{error}"
                );
            };
            error("OBS_CLOCK", &|environment| environment.clock().err());
            #[cfg(feature = "admin")]
            {
                error("OBS_ADMIN_TOKEN", &|environment| environment.admin_token().err());
                error("OBS_ADMIN_ALLOW_REMOTE", &|environment| environment.admin_allow_remote().err());
            }
            #[cfg(feature = "profile-cpu")]
            error("OBS_CPU_PROFILING", &|environment| environment.cpu_profiling().err());
        }
    }

    #[test]
    fn wrong_values_name_the_variable_and_what_it_takes() {
        let message = with(&[("OTEL_TRACES_SAMPLER", "sometimes")], |environment| {
            environment.sampler().expect_err("invalid").to_string()
        });
        assert!(
            message.starts_with("OTEL_TRACES_SAMPLER is \"sometimes\"; it takes one of `always_on`"),
            "{message}"
        );
        let (filter, remarks) = with(&[("RUST_LOG", "warn,shop=loud")], |environment| {
            environment.log_filter().expect("it is set")
        });
        assert_eq!((filter.directives(), remarks.len()), ("warn", 1), "{remarks:?}");
        let message = with(&[("OBS_CLOCK", "sundial")], |environment| {
            environment.clock().expect_err("invalid").to_string()
        });
        assert_eq!(message, "OBS_CLOCK is \"sundial\"; it takes `counter` or `system`");
        let disabled = with(&[("OTEL_SDK_DISABLED", "1")], |environment| environment.sdk_disabled().is_err());
        assert!(disabled);
        for attributes in ["a", "=b", "a=%4", "a=%ff"] {
            let read = with(&[("OTEL_RESOURCE_ATTRIBUTES", attributes)], |environment| {
                environment.resource_attributes()
            });
            assert!(read.is_err(), "{attributes}");
        }
    }

    #[cfg(feature = "profile-cpu")]
    #[test]
    fn cpu_profiling_is_on_or_off() {
        let enabled = |value| {
            with(&[("OBS_CPU_PROFILING", value)], |environment| {
                environment.cpu_profiling().map_err(|error| error.to_string())
            })
        };
        for (value, is) in [("true", Some(true)), ("False", Some(false))] {
            assert_eq!(enabled(value).expect("valid"), is, "{value}");
        }
        let message = enabled("99").expect_err("invalid");
        assert_eq!(message, "OBS_CPU_PROFILING is \"99\"; it takes `true` or `false`");
    }

    #[test]
    fn the_clock_is_the_counter_or_the_systems() {
        for (value, source) in [("counter", Some(Source::Counter)), ("system", Some(Source::System))] {
            let clock = with(&[("OBS_CLOCK", value)], |environment| environment.clock().expect("valid"));
            assert_eq!(clock, source, "{value}");
        }
    }

    #[test]
    fn a_ratio_belongs_to_the_samplers_that_take_one() {
        let sampler = |name, arg| {
            with(&[("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", arg)], |environment| {
                environment.sampler()
            })
        };
        assert_eq!(sampler("traceidratio", "0.25").expect("valid"), Some(Sampler::TraceIdRatio(0.25)));
        assert_eq!(sampler("always_on", "ignored").expect("valid"), Some(Sampler::AlwaysOn));
        assert!(sampler("traceidratio", "2").is_err());
    }

    #[test]
    fn resource_attributes_are_percent_decoded() {
        let read = with(&[("OTEL_RESOURCE_ATTRIBUTES", "a=1, b = x%2Cy%C3%A9 ,")], |environment| {
            environment.resource_attributes().expect("valid")
        });
        assert_eq!(read, [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "x,yé".to_owned())]);
    }
}
