//! Where telemetry is sent, by the OpenTelemetry exporter specification. What is set for one signal
//! goes before what is set for all, and code before both.

mod batching;
mod metrics;
mod tls;

use super::{Environment, pair};
use crate::export::delivery::Signal;
use crate::export::otlp::{OtlpCompression, OtlpProtocol, Target, Tls};
use crate::setup::InitError;
use http::{HeaderName, HeaderValue, Uri};
use std::time::Duration;

/// What was set in code.
#[derive(Default)]
pub(in crate::setup) struct Choices {
    pub(in crate::setup) endpoint: Option<String>,
    pub(in crate::setup) protocol: Option<OtlpProtocol>,
    pub(in crate::setup) compression: Option<OtlpCompression>,
    pub(in crate::setup) timeout: Option<Duration>,
    pub(in crate::setup) headers: Vec<(String, String)>,
    pub(in crate::setup) logs: Option<bool>,
    pub(in crate::setup) metrics: Option<bool>,
}

/// Where each signal goes that goes anywhere.
#[derive(Debug)]
pub(in crate::setup) struct Targets {
    pub(in crate::setup) traces: Option<Target>,
    pub(in crate::setup) logs: Option<Target>,
    pub(in crate::setup) metrics: Option<Target>,
}

/// The variables of one setting: for each signal, and for all.
struct Names {
    own: [&'static str; Signal::ALL.len()],
    all: &'static str,
}

macro_rules! names {
    ($suffix:literal) => {
        Names {
            own: [
                concat!("OTEL_EXPORTER_OTLP_TRACES_", $suffix),
                concat!("OTEL_EXPORTER_OTLP_LOGS_", $suffix),
                concat!("OTEL_EXPORTER_OTLP_METRICS_", $suffix),
            ],
            all: concat!("OTEL_EXPORTER_OTLP_", $suffix),
        }
    };
}

const ENDPOINT: Names = names!("ENDPOINT");
const PROTOCOL: Names = names!("PROTOCOL");
const COMPRESSION: Names = names!("COMPRESSION");
const HEADERS: Names = names!("HEADERS");
const TIMEOUT: Names = names!("TIMEOUT");
#[cfg(feature = "otlp-grpc")]
const INSECURE: Names = names!("INSECURE");
#[cfg(feature = "otlp-tls")]
const CERTIFICATE: Names = names!("CERTIFICATE");
#[cfg(feature = "otlp-tls")]
const CLIENT_CERTIFICATE: Names = names!("CLIENT_CERTIFICATE");
#[cfg(feature = "otlp-tls")]
const CLIENT_KEY: Names = names!("CLIENT_KEY");

/// By the specification.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// A value, and the name of what set it.
type Named = (&'static str, String);

impl Environment<'_> {
    /// Where each signal goes.
    ///
    /// Traces go wherever an endpoint is set; logs and metrics, which have other ways out, only if that
    /// is asked for.
    pub(in crate::setup) fn otlp(&self, choices: &Choices) -> Result<Targets, InitError> {
        let by_endpoint = "traces are sent if an endpoint is set";
        let traces = self.exporter("OTEL_TRACES_EXPORTER", "`otlp` or `none`", by_endpoint, &[]);
        let logs = || {
            let (expected, default) =
                ("`otlp`, or `console` or `none` for stdout alone", "lines go to stdout alone");
            self.exporter("OTEL_LOGS_EXPORTER", expected, default, &["console"])
        };
        let metrics = || {
            let expected = "`otlp`, or `prometheus` or `none` for `/metrics` alone";
            self.exporter("OTEL_METRICS_EXPORTER", expected, "they are at `/metrics` alone", &["prometheus"])
        };
        Ok(Targets {
            traces: match traces {
                Some(false) => None,
                asked => self.target(Signal::Traces, asked.is_some(), choices)?,
            },
            logs: self.target_if(choices.logs.or_else(logs) == Some(true), Signal::Logs, choices)?,
            metrics: self.metrics_target(choices.metrics.or_else(metrics) == Some(true), choices)?,
        })
    }

    /// Whether a signal is to be sent: `None` if the variable is not set.
    fn exporter(&self, name: &'static str, expected: &str, default: &str, others: &[&str]) -> Option<bool> {
        let entries = self.standard_list(name, expected, default, |exporter| match exporter {
            "otlp" => Some(true),
            other => (other == "none" || others.contains(&other)).then_some(false),
        })?;
        Some(entries.contains(&true))
    }

    fn target_if(&self, asked: bool, signal: Signal, of: &Choices) -> Result<Option<Target>, InitError> {
        if asked { self.target(signal, true, of) } else { Ok(None) }
    }

    /// Where a signal goes. A variable that names no place to go, or no identity to go with, disables the exporter: to
    /// send telemetry elsewhere, or as another, was not asked for.
    fn target(&self, signal: Signal, asked: bool, of: &Choices) -> Result<Option<Target>, InitError> {
        match self.checked_target(signal, asked, of) {
            Err(InitError::Invalid { setting, value, expected }) if setting.starts_with("OTEL_") => {
                self.disable(signal, setting, &value, &expected);
                Ok(None)
            }
            target => target,
        }
    }

    /// Says at the start that a signal is not exported.
    pub(in crate::setup) fn disable(
        &self,
        signal: Signal,
        setting: &'static str,
        value: &str,
        expected: &str,
    ) {
        self.problems.error(setting, value, expected, &format!("{} are not exported", signal.name()));
    }

    /// Without an endpoint a signal goes to the usual one, if it was asked for, or nowhere.
    fn checked_target(&self, signal: Signal, asked: bool, of: &Choices) -> Result<Option<Target>, InitError> {
        let own = self.own(&ENDPOINT, signal).filter(|_| of.endpoint.is_none());
        let all = of.endpoint.clone().map(|endpoint| ("otlp_endpoint", endpoint));
        let all = all.or_else(|| self.named(ENDPOINT.all));
        if own.is_none() && all.is_none() && !asked {
            return Ok(None);
        }
        let protocol = of.protocol.or_else(|| self.protocol(signal)).unwrap_or_default();
        let url = match (protocol, own, all) {
            (OtlpProtocol::HttpProtobuf, Some((name, url)), _) => checked(name, &url)?,
            (OtlpProtocol::HttpProtobuf, None, all) => {
                let (name, url) = all.unwrap_or((ENDPOINT.all, "http://localhost:4318".to_owned()));
                if url.contains(['?', '#']) {
                    let expected = "a URL that paths can be put behind, without a query".to_owned();
                    return Err(InitError::Invalid { setting: name, value: without_user(&url), expected });
                }
                checked(name, &url)?;
                checked(name, &format!("{}/v1/{}", url.trim_end_matches('/'), signal.name()))?
            }
            #[cfg(feature = "otlp-grpc")]
            (OtlpProtocol::Grpc, own, all) => {
                let (name, url) = own.or(all).unwrap_or((ENDPOINT.all, "http://localhost:4317".to_owned()));
                checked(name, &self.with_scheme(url, signal))?
            }
        };
        let tls = if url.scheme_str() == Some("https") { self.tls(signal)? } else { Tls::default() };
        if of.timeout.is_some_and(|timeout| timeout.is_zero()) {
            let expected = "a duration above zero".to_owned();
            return Err(InitError::Invalid { setting: "otlp_timeout", value: "0".to_owned(), expected });
        }
        let set = || either(&TIMEOUT, signal, |name| self.millis(name, DEFAULT_TIMEOUT));
        let timeout = of.timeout.or_else(set).unwrap_or(DEFAULT_TIMEOUT);
        let batch_timeout = match signal {
            Signal::Traces => "OTEL_BSP_EXPORT_TIMEOUT",
            Signal::Logs => "OTEL_BLRP_EXPORT_TIMEOUT",
            Signal::Metrics => "OTEL_METRIC_EXPORT_TIMEOUT",
        };
        let batch_timeout = self.millis(batch_timeout, timeout);
        let compression = || {
            either(&COMPRESSION, signal, |name| {
                self.standard_word(name, "`gzip` or `none`", OR_ALL, |value| match value {
                    "gzip" => Some(OtlpCompression::Gzip),
                    "none" => Some(OtlpCompression::None),
                    _ => None,
                })
            })
        };
        Ok(Some(Target {
            signal,
            url,
            protocol,
            headers: self.headers(signal, &of.headers)?,
            timeout: batch_timeout.map_or(timeout, |batch| batch.min(timeout)),
            compression: of.compression.or_else(compression).unwrap_or_default(),
            tls,
        }))
    }

    fn protocol(&self, signal: Signal) -> Option<OtlpProtocol> {
        let expected = if cfg!(feature = "otlp-grpc") {
            "`http/protobuf` or `grpc`"
        } else {
            "`http/protobuf`; for `grpc`, build obs-runtime with its feature `otlp-grpc`"
        };
        either(&PROTOCOL, signal, |name| {
            self.standard_word(name, expected, OR_ALL, |value| match value {
                "http/protobuf" => Some(OtlpProtocol::HttpProtobuf),
                #[cfg(feature = "otlp-grpc")]
                "grpc" => Some(OtlpProtocol::Grpc),
                _ => None,
            })
        })
    }

    /// gRPC endpoints may be `host:port`, which is TLS unless said otherwise.
    #[cfg(feature = "otlp-grpc")]
    fn with_scheme(&self, url: String, signal: Signal) -> String {
        if url.contains("://") {
            return url;
        }
        let insecure = self.own(&INSECURE, signal).or_else(|| self.named(INSECURE.all));
        let scheme =
            if insecure.is_some_and(|(name, _)| self.standard_flag(name)) { "http" } else { "https" };
        format!("{scheme}://{url}")
    }

    /// Of equal keys, the one that was set closest counts. A wrong entry of a variable is left out.
    fn headers(
        &self,
        signal: Signal,
        chosen: &[(String, String)],
    ) -> Result<Vec<(HeaderName, HeaderValue)>, InitError> {
        let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
        let mut set = |(name, value): (HeaderName, HeaderValue)| {
            headers.retain(|(earlier, _)| *earlier != name);
            headers.push((name, value));
        };
        if let Some((name, entries)) = self.own(&HEADERS, signal).or_else(|| self.named(HEADERS.all)) {
            for entry in entries.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
                match pair(entry).and_then(|(key, value)| header(&key, &value)) {
                    Some(header) => set(header),
                    None => self.problems.warn(name, entry, EXPECTED_HEADERS, "a wrong pair is left out"),
                }
            }
        }
        for (key, value) in chosen {
            // The value may be a secret.
            let wrong = || InitError::Invalid {
                setting: "otlp_header",
                value: key.clone(),
                expected: "names and values that HTTP headers can have".to_owned(),
            };
            set(header(key, value).ok_or_else(wrong)?);
        }
        Ok(headers)
    }

    fn named(&self, name: &'static str) -> Option<Named> {
        Some((name, self.get(name)?))
    }

    fn own(&self, names: &Names, signal: Signal) -> Option<Named> {
        self.named(names.own[signal as usize])
    }
}

const EXPECTED_HEADERS: &str = "comma-separated `key=value` pairs of names and values that HTTP headers can have, \
                                with `%2C` and the like for special characters";

/// What happens if one of a signal's variables is wrong, or the one for all signals.
const OR_ALL: &str = "the value for all signals, or else the default, is used";

/// A header that is not shown.
fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, mut value) = (HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
    value.set_sensitive(true);
    Some((name, value))
}

/// What is set for the signal, or else for all.
fn either<T>(names: &Names, signal: Signal, read: impl Fn(&'static str) -> Option<T>) -> Option<T> {
    read(names.own[signal as usize]).or_else(|| read(names.all))
}

/// A URL with a host, and a scheme that can be spoken.
fn checked(setting: &'static str, url: &str) -> Result<Uri, InitError> {
    let scheme_is_known = |uri: &Uri| {
        let scheme = uri.scheme_str();
        scheme == Some("http") || (scheme == Some("https") && cfg!(feature = "otlp-tls"))
    };
    let uri = url.parse::<Uri>().ok();
    // What looks like a port has to be one.
    let port_is_one = |uri: &Uri| {
        let host = uri.authority().map_or("", |authority| authority.as_str());
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        uri.port_u16().is_some() || !host.rsplit(']').next().is_some_and(|port| port.contains(':'))
    };
    let uri = uri.filter(|uri| {
        scheme_is_known(uri) && port_is_one(uri) && uri.host().is_some_and(|host| !host.is_empty())
    });
    uri.ok_or_else(|| {
        let expected = if url.starts_with("https:") && !cfg!(feature = "otlp-tls") {
            "an `http://host:port` URL; for `https`, build obs-runtime with its feature `otlp-tls`"
        } else {
            "an `http://host:port` URL, such as http://127.0.0.1:4318"
        };
        InitError::Invalid { setting, value: without_user(url), expected: expected.to_owned() }
    })
}

/// A URL for others to read, less the user and the password that may stand in it.
fn without_user(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://***@{host}"),
        (None, Some((_, host))) => format!("***@{host}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests;
