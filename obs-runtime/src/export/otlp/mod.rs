//! The OpenTelemetry protocol: a request is encoded once, and sent until it is taken or given up.

mod answer;
#[cfg(feature = "otlp-grpc")]
mod grpc;
mod http;
mod retry;
mod target;
#[cfg(feature = "otlp-tls")]
mod tls;

pub use target::{OtlpCompression, OtlpProtocol};
pub(crate) use target::{Target, Tls};

use super::delivery::Delivery;
use answer::{Answer, Failure};
use retry::Retry;
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

    /// Sends a message until it is taken, or there is no more point in trying.
    pub(crate) fn deliver(&mut self, message: Vec<u8>) -> Delivery {
        let request = self.transport.prepare(message);
        let send = |timeout| {
            // Libraries meet what collectors send here, and some panic at it.
            let sent = catch_unwind(AssertUnwindSafe(|| self.transport.send(&request, timeout)));
            sent.unwrap_or_else(|_| Err(Failure::panicked()))
        };
        match self.retry.run(&mut retry::Clock, send) {
            Ok(Answer { refused, remark }) => Delivery::Taken { refused, remark },
            Err(Failure { text, .. }) => Delivery::Lost(text),
        }
    }
}
