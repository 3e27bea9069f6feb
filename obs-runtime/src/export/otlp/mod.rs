//! The OpenTelemetry protocol: items are encoded once, and sent in requests until these are taken or given up.
//!
//! A request that the collector refuses because of its size is halved, down to an item that is too large alone.

mod answer;
mod batch;
#[cfg(feature = "otlp-grpc")]
mod grpc;
mod http;
mod resolve;
mod retry;
mod target;
#[cfg(feature = "otlp-tls")]
mod tls;

pub(crate) use batch::{Batch, ITEM, RESOURCE, SCOPE};
pub use target::{OtlpCompression, OtlpProtocol};
pub(crate) use target::{Target, Tls};

use super::delivery::Delivery;
use answer::{Answer, Failure};
use batch::MAX_REQUEST_BYTES;
use retry::{Attempt, Retry};
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// The resource as a request has it.
pub(crate) type ResourceMessage = opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;

/// Takes one signal's requests to its collector. Blocks, on the exporter's own thread.
trait Transport: Send {
    /// The form in which a request is sent, however often that is.
    fn prepare(&self, message: Vec<u8>) -> Vec<u8> {
        message
    }

    /// Sends a request once.
    fn send(&mut self, request: &[u8], timeout: Duration) -> Result<Answer, Failure>;
}

/// One signal's way to its collector.
pub(crate) struct Client {
    transport: Box<dyn Transport>,
    retry: Retry,
}

impl Client {
    /// # Errors
    /// A key or certificate that TLS does not take, or no async runtime for gRPC.
    pub(crate) fn new(target: &Target) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let transport: Box<dyn Transport> = match target.protocol {
            OtlpProtocol::HttpProtobuf => Box::new(http::Http::new(target)?),
            #[cfg(feature = "otlp-grpc")]
            OtlpProtocol::Grpc => Box::new(grpc::Grpc::new(target)?),
        };
        Ok(Self { transport, retry: Retry::new(target.timeout) })
    }

    /// Sends items until they are taken, or there is no more point in trying. Returns what became of how many.
    pub(crate) fn deliver(&mut self, batch: &Batch) -> Vec<(u64, Delivery)> {
        let mut outcomes = Vec::new();
        // The next part is the last.
        let mut parts: Vec<_> =
            batch.parts(MAX_REQUEST_BYTES).into_iter().rev().map(|part| (part, Attempt::default())).collect();
        while let Some((part, mut attempt)) = parts.pop() {
            attempt.several = part.len() > 1;
            let request = self.transport.prepare(batch.request(part.clone()));
            let send = |timeout| {
                // Libraries meet what collectors send here, and some panic at it.
                let sent = catch_unwind(AssertUnwindSafe(|| self.transport.send(&request, timeout)));
                sent.unwrap_or_else(|_| Err(Failure::panicked()))
            };
            let delivery = match self.retry.run(&mut retry::Clock, &mut attempt, send) {
                Ok(Answer { refused, remark, unreadable }) => Delivery::Taken { refused, remark, unreadable },
                Err(failure) if attempt.several && attempt.is_of_size(&failure) => {
                    let middle = part.start + part.len() / 2;
                    attempt.halved = true;
                    parts.push((middle..part.end, attempt));
                    parts.push((part.start..middle, attempt));
                    continue;
                }
                Err(failure) if failure.refused || attempt.is_of_size(&failure) => {
                    Delivery::Refused(failure.text)
                }
                Err(failure) => Delivery::Lost(failure.text),
            };
            outcomes.push((part.len() as u64, delivery));
        }
        outcomes
    }
}
