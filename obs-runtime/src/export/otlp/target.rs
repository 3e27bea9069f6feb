//! Where one signal goes, and how.

use crate::export::delivery::Signal;
use std::fmt;
use std::time::Duration;

/// How telemetry travels to the collector.
///
/// ```
/// use obs_runtime::OtlpProtocol;
///
/// let builder = obs_runtime::builder()
///     .otlp_endpoint("http://127.0.0.1:4318")
///     .otlp_protocol(OtlpProtocol::HttpProtobuf);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtlpProtocol {
    /// Protobuf messages over HTTP/1.1; the collector's usual port is 4318.
    #[default]
    HttpProtobuf,
    /// gRPC; the collector's usual port is 4317.
    #[cfg(feature = "otlp-grpc")]
    Grpc,
}

/// Whether telemetry is compressed on its way to the collector.
///
/// ```
/// let builder = obs_runtime::builder().otlp_compression(obs_runtime::OtlpCompression::Gzip);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtlpCompression {
    /// It is sent as it is.
    #[default]
    None,
    /// With gzip, which most collectors read.
    Gzip,
}

/// Where one signal goes, and how: checked.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) signal: Signal,
    /// For HTTP with its path, for gRPC scheme and authority.
    pub(crate) url: ::http::Uri,
    pub(crate) protocol: OtlpProtocol,
    pub(crate) headers: Vec<(::http::HeaderName, ::http::HeaderValue)>,
    /// How long one batch may take, with all that is tried again.
    pub(crate) timeout: Duration,
    pub(crate) compression: OtlpCompression,
    #[cfg_attr(not(feature = "otlp-tls"), allow(dead_code, reason = "without TLS it is empty"))]
    pub(crate) tls: Tls,
}

/// Whom to trust and who we are, in PEM form; empty for the usual authorities, and nobody.
#[derive(Clone, Default)]
#[cfg_attr(not(feature = "otlp-tls"), allow(dead_code, reason = "without TLS it is empty"))]
pub(crate) struct Tls {
    pub(crate) authorities: Option<Vec<u8>>,
    /// Our certificate with those that vouch for it, and its key.
    pub(crate) identity: Option<(Vec<u8>, Vec<u8>)>,
    /// The variable that names the first of these files, and its value.
    pub(crate) variable: Option<(&'static str, String)>,
}

impl Target {
    /// Where it is, less the user and the password that may stand in its URL.
    pub(crate) fn shown(&self) -> String {
        let url = &self.url;
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let (scheme, host) = (url.scheme_str().unwrap_or_default(), url.host().unwrap_or_default());
        format!("{scheme}://{host}{port}{}", url.path())
    }
}

/// Without what may be secret.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("signal", &self.signal)
            .field("url", &self.shown())
            .field("protocol", &self.protocol)
            .field("compression", &self.compression)
            .finish_non_exhaustive()
    }
}
