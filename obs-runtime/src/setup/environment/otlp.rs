//! Where telemetry is sent, by the OpenTelemetry exporter specification. What is set for one signal
//! goes before what is set for all, and code before both.

mod metrics;

use super::Environment;
use crate::export::delivery::Signal;
use crate::export::otlp::{OtlpCompression, OtlpProtocol, Target, Tls};
use crate::export::pipeline::Batching;
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
        let traces = self.exporter("OTEL_TRACES_EXPORTER", "`otlp` or `none`", &[])?;
        let logs = "`otlp`, or `console` or `none` for stdout alone";
        let logs = self.exporter("OTEL_LOGS_EXPORTER", logs, &["console"])?;
        let metrics = "`otlp`, or `prometheus` or `none` for `/metrics` alone";
        let metrics = self.exporter("OTEL_METRICS_EXPORTER", metrics, &["prometheus"])?;
        let asked = |chosen: Option<bool>, set: Option<bool>| chosen.or(set).unwrap_or(false);
        Ok(Targets {
            traces: match traces {
                Some(false) => None,
                asked => self.target(Signal::Traces, asked.is_some(), choices)?,
            },
            logs: self.target_if(asked(choices.logs, logs), Signal::Logs, choices)?,
            metrics: self.metrics_target(asked(choices.metrics, metrics), choices)?,
        })
    }

    /// Whether a signal is to be sent: `None` if the variable is not set.
    fn exporter(
        &self,
        name: &'static str,
        expected: &str,
        others: &[&str],
    ) -> Result<Option<bool>, InitError> {
        self.parsed(name, expected, |value| {
            let mut asked = false;
            for exporter in value.split(',').map(str::trim) {
                match exporter {
                    "otlp" => asked = true,
                    "none" => {}
                    other if others.contains(&other) => {}
                    _ => return None,
                }
            }
            Some(asked)
        })
    }

    fn target_if(&self, asked: bool, signal: Signal, of: &Choices) -> Result<Option<Target>, InitError> {
        if asked { self.target(signal, true, of) } else { Ok(None) }
    }

    /// Where a signal goes. Without an endpoint that is the usual one, if it was asked for, or nowhere.
    fn target(&self, signal: Signal, asked: bool, of: &Choices) -> Result<Option<Target>, InitError> {
        let own = self.own(&ENDPOINT, signal).filter(|_| of.endpoint.is_none());
        let all = of.endpoint.clone().map(|endpoint| ("otlp_endpoint", endpoint));
        let all = all.or_else(|| self.named(ENDPOINT.all));
        if own.is_none() && all.is_none() && !asked {
            return Ok(None);
        }
        let protocol = match of.protocol {
            Some(protocol) => protocol,
            None => self.protocol(signal)?,
        };
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
                checked(name, &self.with_scheme(url, signal)?)?
            }
        };
        let tls = if url.scheme_str() == Some("https") { self.tls(signal)? } else { Tls::default() };
        let timeout = either(&TIMEOUT, signal, |name| self.millis(name))?;
        if of.timeout.is_some_and(|timeout| timeout.is_zero()) {
            let expected = "a duration above zero".to_owned();
            return Err(InitError::Invalid { setting: "otlp_timeout", value: "0".to_owned(), expected });
        }
        let timeout = of.timeout.or(timeout).unwrap_or(DEFAULT_TIMEOUT);
        let batch_timeout = self.millis(match signal {
            Signal::Traces => "OTEL_BSP_EXPORT_TIMEOUT",
            Signal::Logs => "OTEL_BLRP_EXPORT_TIMEOUT",
            Signal::Metrics => "OTEL_METRIC_EXPORT_TIMEOUT",
        })?;
        let compression = either(&COMPRESSION, signal, |name| {
            self.parsed(name, "`gzip` or `none`", |value| match value {
                "gzip" => Some(OtlpCompression::Gzip),
                "none" => Some(OtlpCompression::None),
                _ => None,
            })
        })?;
        Ok(Some(Target {
            signal,
            url,
            protocol,
            headers: self.headers(signal, &of.headers)?,
            timeout: batch_timeout.map_or(timeout, |batch| batch.min(timeout)),
            compression: of.compression.or(compression).unwrap_or_default(),
            tls,
        }))
    }

    fn protocol(&self, signal: Signal) -> Result<OtlpProtocol, InitError> {
        let expected = if cfg!(feature = "otlp-grpc") {
            "`http/protobuf` or `grpc`"
        } else {
            "`http/protobuf`; for `grpc`, build obs-runtime with its feature `otlp-grpc`"
        };
        let protocol = either(&PROTOCOL, signal, |name| {
            self.parsed(name, expected, |value| match value {
                "http/protobuf" => Some(OtlpProtocol::HttpProtobuf),
                #[cfg(feature = "otlp-grpc")]
                "grpc" => Some(OtlpProtocol::Grpc),
                _ => None,
            })
        })?;
        Ok(protocol.unwrap_or_default())
    }

    /// gRPC endpoints may be `host:port`, which is TLS unless said otherwise.
    #[cfg(feature = "otlp-grpc")]
    fn with_scheme(&self, url: String, signal: Signal) -> Result<String, InitError> {
        if url.contains("://") {
            return Ok(url);
        }
        let insecure = either(&INSECURE, signal, |name| {
            self.parsed(name, "`true` or `false`", |value| value.to_ascii_lowercase().parse().ok())
        })?;
        let scheme = if insecure == Some(true) { "http" } else { "https" };
        Ok(format!("{scheme}://{url}"))
    }

    /// Of equal keys, the one that was set closest counts.
    fn headers(
        &self,
        signal: Signal,
        chosen: &[(String, String)],
    ) -> Result<Vec<(HeaderName, HeaderValue)>, InitError> {
        let set = self.own(&HEADERS, signal).or_else(|| self.named(HEADERS.all));
        let setting = set.map_or(HEADERS.all, |(name, _)| name);
        let set = self.pairs(setting)?.unwrap_or_default();
        let chosen = chosen.iter().cloned().map(|pair| ("otlp_header", pair));
        let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
        for (setting, (key, value)) in set.into_iter().map(|pair| (setting, pair)).chain(chosen) {
            let parsed = (HeaderName::try_from(&key), HeaderValue::try_from(&value));
            let (Ok(name), Ok(mut text)) = parsed else {
                // The value may be a secret.
                let expected = "names and values that HTTP headers can have".to_owned();
                return Err(InitError::Invalid { setting, value: key, expected });
            };
            text.set_sensitive(true);
            headers.retain(|(earlier, _)| *earlier != name);
            headers.push((name, text));
        }
        Ok(headers)
    }

    /// Whom to trust, and who we are.
    #[cfg(feature = "otlp-tls")]
    fn tls(&self, signal: Signal) -> Result<Tls, InitError> {
        let file = |names: &Names| {
            let named = self.own(names, signal).or_else(|| self.named(names.all));
            named.map(|(setting, path)| {
                let unreadable = |error: std::io::Error| InitError::Invalid {
                    setting,
                    value: path.clone(),
                    expected: format!("the path of a PEM file ({error})"),
                };
                std::fs::read(&path).map_err(unreadable)
            })
        };
        let identity = match (file(&CLIENT_CERTIFICATE).transpose()?, file(&CLIENT_KEY).transpose()?) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (given, _) => {
                let [missing, given] = if given.is_some() {
                    [CLIENT_KEY, CLIENT_CERTIFICATE]
                } else {
                    [CLIENT_CERTIFICATE, CLIENT_KEY]
                };
                return Err(InitError::Invalid {
                    setting: missing.all,
                    value: String::new(),
                    expected: format!("the path of a PEM file, as {} is set", given.all),
                });
            }
        };
        Ok(Tls { authorities: file(&CERTIFICATE).transpose()?, identity })
    }

    /// Without TLS there is no endpoint that asks for it.
    #[cfg(not(feature = "otlp-tls"))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "as with the feature")]
    fn tls(&self, _: Signal) -> Result<Tls, InitError> {
        Ok(Tls::default())
    }

    /// How spans are batched.
    pub(in crate::setup) fn span_batching(&self) -> Result<Batching, InitError> {
        self.batching(
            crate::export::spans::BATCHING,
            "OTEL_BSP_SCHEDULE_DELAY",
            "OTEL_BSP_MAX_QUEUE_SIZE",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        )
    }

    /// How log records are batched.
    #[cfg(feature = "log")]
    pub(in crate::setup) fn log_batching(&self) -> Result<Batching, InitError> {
        self.batching(
            crate::export::logs::BATCHING,
            "OTEL_BLRP_SCHEDULE_DELAY",
            "OTEL_BLRP_MAX_QUEUE_SIZE",
            "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
        )
    }

    fn batching(
        &self,
        mut batching: Batching,
        delay: &'static str,
        queue: &'static str,
        batch: &'static str,
    ) -> Result<Batching, InitError> {
        if let Some(delay) = self.millis(delay)? {
            batching.schedule_delay = delay;
        }
        if let Some(size) = self.count(queue)? {
            batching.max_queue_size = size;
        }
        if let Some(size) = self.count(batch)? {
            batching.max_export_batch_size = size;
        }
        if self.get(batch).is_none() {
            batching.max_export_batch_size = batching.max_export_batch_size.min(batching.max_queue_size);
        } else if batching.max_export_batch_size > batching.max_queue_size {
            return Err(InitError::Invalid {
                setting: batch,
                value: batching.max_export_batch_size.to_string(),
                expected: format!("at most {queue}, which is {}", batching.max_queue_size),
            });
        }
        Ok(batching)
    }

    fn named(&self, name: &'static str) -> Option<Named> {
        Some((name, self.get(name)?))
    }

    fn own(&self, names: &Names, signal: Signal) -> Option<Named> {
        self.named(names.own[signal as usize])
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

/// What is set for the signal, or else for all. Both are read, so that neither may be wrong.
fn either<T>(
    names: &Names,
    signal: Signal,
    read: impl Fn(&'static str) -> Result<Option<T>, InitError>,
) -> Result<Option<T>, InitError> {
    let own = read(names.own[signal as usize])?;
    Ok(own.or(read(names.all)?))
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
