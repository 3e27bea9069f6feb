//! How batches travel: blocking HTTP on the exporter's own thread, so that no runtime of the
//! application can be starved by it, or starve it.

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use ureq::Agent;

/// Answers longer than this are no answers of a collector.
const MAX_ANSWER_BYTES: u64 = 4 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct BlockingClient(Agent);

impl BlockingClient {
    pub(crate) fn new(timeout: Duration) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .user_agent(concat!("obs-runtime/", env!("CARGO_PKG_VERSION")))
            .build();
        Self(config.into())
    }
}

#[async_trait::async_trait]
impl HttpClient for BlockingClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.send(request).map_err(|error| {
            *CAUSE.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            error.into()
        })
    }
}

impl BlockingClient {
    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let (parts, body) = request.into_parts();
        let (parts, body) = self.0.run(Request::from_parts(parts, &body[..]))?.into_parts();
        let body = body.into_with_config().limit(MAX_ANSWER_BYTES).read_to_vec()?;
        Ok(Response::from_parts(parts, body.into()))
    }
}

/// What went wrong last. The exporter says only that something did.
static CAUSE: Mutex<Option<String>> = Mutex::new(None);

/// Why the last request failed, if it was a request that failed.
pub(super) fn take_cause() -> Option<String> {
    CAUSE.lock().unwrap_or_else(PoisonError::into_inner).take()
}
