//! OTLP over gRPC: on the exporter's own thread, with an async runtime that runs while it waits.

use super::answer::{self, Answer, Body, Failure};
use super::{OtlpCompression, Target, Transport};
use bytes::{Buf, BufMut, Bytes};
use std::error::Error;
use std::time::Duration;
use tokio::runtime::{self, Runtime};
use tokio::time::timeout;
use tonic::client;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::HeaderMap;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Extensions, Request, Status};

pub(super) struct Grpc {
    client: client::Grpc<Channel>,
    method: PathAndQuery,
    headers: MetadataMap,
    runtime: Runtime,
}

impl Grpc {
    pub(super) fn new(target: &Target) -> Result<Self, Box<dyn Error + Send + Sync>> {
        // Names are looked up on a thread for blocking calls. One lookup that hangs is one thread, and those after it
        // wait their turn.
        let runtime = runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build()?;
        let endpoint = Endpoint::new(target.url.to_string())?
            .user_agent(concat!("obs-runtime/", env!("CARGO_PKG_VERSION")))?;
        #[cfg(feature = "otlp-tls")]
        let endpoint = if target.url.scheme_str() == Some("https") {
            endpoint.tls_config(super::tls::for_grpc(&target.tls))?
        } else {
            endpoint
        };
        // Connects when there is something to send, and again when the connection is lost.
        let channel = {
            let _inside = runtime.enter();
            endpoint.connect_lazy()
        };
        let mut client = client::Grpc::new(channel).accept_compressed(CompressionEncoding::Gzip);
        if target.compression == OtlpCompression::Gzip {
            client = client.send_compressed(CompressionEncoding::Gzip);
        }
        let headers: HeaderMap = target.headers.iter().cloned().collect();
        let method = PathAndQuery::from_static(target.signal.grpc_method());
        Ok(Self { client, method, headers: MetadataMap::from_headers(headers), runtime })
    }
}

impl Transport for Grpc {
    fn send(&mut self, request: &[u8], within: Duration) -> Result<Answer, Failure> {
        let message = Bytes::copy_from_slice(request);
        let request = Request::from_parts(self.headers.clone(), Extensions::default(), message);
        let (client, method) = (&mut self.client, self.method.clone());
        let sent = async {
            client.ready().await.map_err(|error| Status::unavailable(chain(&error)))?;
            client.unary(request, method, Raw).await
        };
        let answered = self.runtime.block_on(async { timeout(within, sent).await });
        match answered {
            Ok(Ok(response)) => Ok(answer::taken(&Body {
                content_type: "application/grpc",
                bytes: response.get_ref(),
                broken: None,
            })),
            Ok(Err(status)) => Err(answer::grpc(status.code(), &told(&status), status.details())),
            Err(_) => Err(answer::grpc(Code::DeadlineExceeded, "no answer in time", &[])),
        }
    }
}

/// What the status says, and what it comes from.
fn told(status: &Status) -> String {
    match status.source() {
        Some(source) => format!("{}: {}", status.message(), chain(source)),
        None => status.message().to_owned(),
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}

/// Messages that have been encoded already.
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
