//! OTLP over HTTP: blocking, on the exporter's own thread, so that no runtime of the application can be
//! starved by it, or starve it.

use super::answer::{self, Answer, Failure, TooLarge};
use super::resolve::OneLookup;
use super::{OtlpCompression, Target, Transport};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Method, Request, Uri};
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::time::Duration;
use ureq::Agent;
use ureq::unversioned::transport::DefaultConnector;

/// A connection that breaks under a smaller request has not done so because of its size.
const MIN_LARGE_BYTES: usize = 64 * 1024;

/// What an answer has beyond so many bytes is not read.
const MAX_ANSWER_BYTES: u64 = 4 * 1024 * 1024;

pub(super) struct Http {
    agent: Agent,
    url: Uri,
    headers: HeaderMap,
    gzip: bool,
}

impl Http {
    #[cfg_attr(not(feature = "otlp-tls"), allow(clippy::unnecessary_wraps, reason = "as with the feature"))]
    pub(super) fn new(target: &Target) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(concat!("obs-runtime/", env!("CARGO_PKG_VERSION")));
        #[cfg(feature = "otlp-tls")]
        let config = config.tls_config(super::tls::for_http(&target.tls)?);
        let gzip = target.compression == OtlpCompression::Gzip;
        let mut headers: HeaderMap = target.headers.iter().cloned().collect();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        if gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let agent = Agent::with_parts(config.build(), DefaultConnector::default(), OneLookup::by_system());
        Ok(Self { agent, url: target.url.clone(), headers, gzip })
    }

    fn request<'a>(&self, body: &'a [u8], timeout: Duration) -> Request<&'a [u8]> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.clone();
        request.headers_mut().clone_from(&self.headers);
        self.agent.configure_request(request).timeout_global(Some(timeout)).build()
    }
}

impl Transport for Http {
    fn prepare(&self, message: Vec<u8>) -> Vec<u8> {
        if !self.gzip {
            return message;
        }
        let mut encoder = GzEncoder::new(Vec::with_capacity(message.len() / 4), Compression::default());
        // A `Vec` takes whatever it is given.
        let _ = encoder.write_all(&message);
        encoder.finish().unwrap_or_default()
    }

    fn send(&mut self, request: &[u8], timeout: Duration) -> Result<Answer, Failure> {
        let response =
            self.agent.run(self.request(request, timeout)).map_err(|error| failure(&error, request.len()))?;
        let (parts, body) = response.into_parts();
        let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let mut read = Vec::new();
        // The status has told already what became of the request: an answer that breaks off is only remarked on.
        let broken = body.into_reader().take(MAX_ANSWER_BYTES).read_to_end(&mut read).err();
        let content_type = header(CONTENT_TYPE).unwrap_or_default();
        let body = answer::Body { content_type, bytes: &read, broken: broken.map(|error| error.to_string()) };
        answer::http(parts.status.as_u16(), header(RETRY_AFTER), &body)
    }
}

/// There was no answer. Most of the reasons pass, but not a request that can't even be written.
fn failure(error: &ureq::Error, size: usize) -> Failure {
    let permanent = matches!(error, ureq::Error::Http(_) | ureq::Error::BadUri(_) | ureq::Error::Tls(_));
    let broken = matches!(error, ureq::Error::Io(error) if matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted
    ));
    let too_large = if broken && size > MIN_LARGE_BYTES { TooLarge::IfSeveral } else { TooLarge::No };
    Failure { text: error.to_string(), retryable: !permanent, retry_after: None, too_large, refused: false }
}
