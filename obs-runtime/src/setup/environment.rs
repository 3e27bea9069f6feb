//! The environment variables, by their OpenTelemetry names where there is one.

use super::InitError;
use crate::subscriber::Filter;
use crate::trace::Sampler;
use std::time::Duration;

/// Where variables come from: the process, or a test.
pub(super) struct Environment<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
}

/// Settings of the span exporter.
#[cfg(feature = "otlp")]
#[derive(Clone, Debug)]
pub(super) struct Otlp {
    pub(super) endpoint: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) timeout: Duration,
}

impl<'a> Environment<'a> {
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup }
    }

    /// A variable; one that is empty counts as not set, as OpenTelemetry has it.
    fn get(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    #[cfg(not(feature = "otlp"))]
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn parsed<T>(
        &self,
        name: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, InitError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match parse(&value) {
            Some(parsed) => Ok(Some(parsed)),
            None => Err(InitError::Invalid { setting: name, value, expected: expected.to_owned() }),
        }
    }

    pub(super) fn sdk_disabled(&self) -> Result<bool, InitError> {
        let parse = |value: &str| value.to_ascii_lowercase().parse().ok();
        Ok(self.parsed("OTEL_SDK_DISABLED", "`true` or `false`", parse)?.unwrap_or(false))
    }

    pub(super) fn service_name(&self) -> Option<String> {
        self.get("OTEL_SERVICE_NAME")
    }

    pub(super) fn resource_attributes(&self) -> Result<Vec<(String, String)>, InitError> {
        Ok(self.pairs("OTEL_RESOURCE_ATTRIBUTES")?.unwrap_or_default())
    }

    pub(super) fn log_filter(&self) -> Result<Option<Filter>, InitError> {
        let Some(value) = self.get("RUST_LOG") else { return Ok(None) };
        Filter::parse(&value).map(Some).map_err(|error| invalid_filter("RUST_LOG", value, &error))
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
pub(super) fn invalid_filter(
    setting: &'static str,
    value: String,
    error: &tracing_subscriber::filter::ParseError,
) -> InitError {
    InitError::Invalid {
        setting,
        value,
        expected: format!(
            "a level (off, error, warn, info, debug, trace) or comma-separated `target=level` directives ({error})"
        ),
    }
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(feature = "otlp")]
impl Environment<'_> {
    /// The exporter's settings, if an endpoint is configured.
    pub(super) fn otlp(&self, endpoint: Option<String>) -> Result<Option<Otlp>, InitError> {
        let exporter = self.parsed("OTEL_TRACES_EXPORTER", "`otlp` or `none`", |value| match value {
            "otlp" => Some(true),
            "none" => Some(false),
            _ => None,
        })?;
        let timeout = self
            .millis("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")?
            .or(self.millis("OTEL_EXPORTER_OTLP_TIMEOUT")?)
            .unwrap_or(Duration::from_secs(10));
        let headers = self
            .pairs("OTEL_EXPORTER_OTLP_TRACES_HEADERS")?
            .or(self.pairs("OTEL_EXPORTER_OTLP_HEADERS")?)
            .unwrap_or_default();
        let given = match endpoint {
            Some(endpoint) => Some(check_url("otlp_endpoint", &endpoint)?.join_traces()),
            None => match self.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
                Some(endpoint) => Some(check_url("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint)?.0),
                None => self
                    .get("OTEL_EXPORTER_OTLP_ENDPOINT")
                    .map(|endpoint| Ok(check_url("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)?.join_traces()))
                    .transpose()?,
            },
        };
        let Some(endpoint) = given.filter(|_| exporter != Some(false)) else { return Ok(None) };
        for name in ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"] {
            self.parsed(name, "`http/protobuf`", |value| (value == "http/protobuf").then_some(()))?;
        }
        Ok(Some(Otlp { endpoint, headers, timeout }))
    }

    pub(super) fn batching(&self) -> Result<crate::export::spans::Batching, InitError> {
        let mut batching = crate::export::spans::Batching::default();
        if let Some(delay) = self.millis("OTEL_BSP_SCHEDULE_DELAY")? {
            batching.schedule_delay = delay;
        }
        if let Some(size) = self.count("OTEL_BSP_MAX_QUEUE_SIZE")? {
            batching.max_queue_size = size;
        }
        if let Some(size) = self.count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE")? {
            batching.max_export_batch_size = size;
        }
        if batching.max_export_batch_size > batching.max_queue_size {
            return Err(InitError::Invalid {
                setting: "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
                value: batching.max_export_batch_size.to_string(),
                expected: format!("at most OTEL_BSP_MAX_QUEUE_SIZE, which is {}", batching.max_queue_size),
            });
        }
        Ok(batching)
    }

    fn millis(&self, name: &'static str) -> Result<Option<Duration>, InitError> {
        let parse = |value: &str| value.parse().ok().filter(|millis| *millis > 0).map(Duration::from_millis);
        self.parsed(name, "a number of milliseconds above zero", parse)
    }

    fn count(&self, name: &'static str) -> Result<Option<usize>, InitError> {
        const MAX: usize = 1_000_000;
        self.parsed(name, "a whole number, 1 to 1000000", |value| {
            value.parse().ok().filter(|count| (1..=MAX).contains(count))
        })
    }
}

/// A URL that was checked.
#[cfg(feature = "otlp")]
#[derive(Debug)]
struct Url(String);

#[cfg(feature = "otlp")]
impl Url {
    /// The traces' path below an endpoint for all signals.
    fn join_traces(&self) -> String {
        format!("{}/v1/traces", self.0.trim_end_matches('/'))
    }
}

#[cfg(feature = "otlp")]
fn check_url(setting: &'static str, url: &str) -> Result<Url, InitError> {
    let uri = url.parse::<http::Uri>().ok();
    if uri.is_some_and(|uri| {
        uri.scheme_str() == Some("http") && uri.host().is_some_and(|host| !host.is_empty())
    }) {
        return Ok(Url(url.to_owned()));
    }
    Err(InitError::Invalid {
        setting,
        value: url.to_owned(),
        expected: "an `http://host:port` URL, such as http://127.0.0.1:4318".to_owned(),
    })
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

    #[test]
    fn wrong_values_name_the_variable_and_what_it_takes() {
        let message = with(&[("OTEL_TRACES_SAMPLER", "sometimes")], |environment| {
            environment.sampler().expect_err("invalid").to_string()
        });
        assert!(
            message.starts_with("OTEL_TRACES_SAMPLER is \"sometimes\"; it takes one of `always_on`"),
            "{message}"
        );
        let message = with(&[("RUST_LOG", "shop=loud")], |environment| {
            environment.log_filter().expect_err("invalid").to_string()
        });
        assert!(message.starts_with("RUST_LOG is \"shop=loud\"; it takes a level (off, error"), "{message}");
        let disabled = with(&[("OTEL_SDK_DISABLED", "1")], |environment| environment.sdk_disabled().is_err());
        assert!(disabled);
        for attributes in ["a", "=b", "a=%4", "a=%ff"] {
            let read = with(&[("OTEL_RESOURCE_ATTRIBUTES", attributes)], |environment| {
                environment.resource_attributes()
            });
            assert!(read.is_err(), "{attributes}");
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

    #[test]
    #[cfg(feature = "otlp")]
    fn endpoints_follow_the_exporter_specification() {
        let endpoint = |variables: &[(&str, &str)]| {
            with(variables, |environment| environment.otlp(None)).map(|otlp| otlp.map(|otlp| otlp.endpoint))
        };
        let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");
        let traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:1/as/given");
        assert_eq!(endpoint(&[]).expect("valid"), None);
        assert_eq!(endpoint(&[all]).expect("valid").as_deref(), Some("http://collector:4318/v1/traces"));
        assert_eq!(endpoint(&[all, traces]).expect("valid").as_deref(), Some("http://traces:1/as/given"));
        assert_eq!(endpoint(&[all, ("OTEL_TRACES_EXPORTER", "none")]).expect("valid"), None);
        for wrong in ["collector:4318", "https://collector:4318", "http://", "http:///x"] {
            assert!(endpoint(&[("OTEL_EXPORTER_OTLP_ENDPOINT", wrong)]).is_err(), "{wrong}");
        }
        let protocol = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        assert_eq!(endpoint(&[protocol]).expect("nothing is exported"), None);
        assert!(endpoint(&[all, protocol]).is_err());
    }
}
