//! Finished spans: from the rings of all threads to the exporter.

use super::delivery::{Delivery, Signal};
use super::otlp::{Batch, Client, ITEM, RESOURCE, ResourceMessage, SCOPE};
use super::pipeline::{Batching, Flush, Names, Pipeline, Sink, Source};
use super::span_data::Converter;
use crate::trace::{Ended, SpanReader, wake};
use futures_executor::block_on;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use prost::Message;
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::OnceLock;
use std::thread;

static PIPELINE: OnceLock<Pipeline> = OnceLock::new();

/// By the specification's defaults for `OTEL_BSP_*`.
pub(crate) const BATCHING: Batching = Batching {
    schedule_delay: std::time::Duration::from_secs(5),
    max_queue_size: 2048,
    max_export_batch_size: 512,
};

/// Starts both threads.
pub(crate) fn start(sink: Box<dyn Sink<SpanData>>, to: String, batching: Batching) -> io::Result<()> {
    let names = Names { signal: Signal::Traces, collector: "obs-spans", exporter: "obs-export" };
    let source = || Rings {
        reader: SpanReader::start(thread::current()),
        taken: Vec::new(),
        converter: Converter::new(),
    };
    let _ = PIPELINE.set(Pipeline::start(&names, source, sink, to, batching)?);
    Ok(())
}

/// Asks that every span that ended so far be exported or dropped. False if that can't be.
pub(crate) fn flush(flush: Flush) -> Option<bool> {
    let asked = PIPELINE.get()?.ask(flush);
    wake();
    Some(asked)
}

/// The spans in the threads' buffers.
struct Rings {
    reader: SpanReader,
    taken: Vec<Ended>,
    converter: Converter,
}

impl Source<SpanData> for Rings {
    fn collect(&mut self, room: usize, into: &mut VecDeque<SpanData>) {
        self.reader.take(room, &mut self.taken);
        into.extend(self.taken.drain(..).map(|span| match span {
            Ended::Ours(span, fields) => self.converter.convert(span, &fields),
            #[cfg(feature = "opentelemetry")]
            Ended::Api(span) => span,
        }));
    }

    fn mark(&mut self) {
        self.reader.mark();
    }

    fn reached(&self) -> bool {
        self.reader.reached()
    }
}

/// Spans by OTLP.
pub(crate) struct ToCollector {
    pub(crate) client: Client,
    pub(crate) resource: ResourceMessage,
}

impl Sink<SpanData> for ToCollector {
    fn export(&mut self, batch: Vec<SpanData>) -> Vec<(u64, Delivery)> {
        self.client.deliver(&encoded(group_spans_by_resource_and_scope(batch, &self.resource)))
    }
}

fn encoded(resource_spans: Vec<ResourceSpans>) -> Batch {
    let mut batch = Batch::default();
    for mut resource in resource_spans {
        let scopes = mem::take(&mut resource.scope_spans);
        let resource = batch.header(RESOURCE, resource.encode_to_vec());
        for mut scope in scopes {
            let spans = mem::take(&mut scope.spans);
            let scope = batch.header(SCOPE, scope.encode_to_vec());
            batch.within(&[resource, scope]);
            batch.items(ITEM, &spans);
        }
    }
    batch
}

/// An exporter of the application's own, of any type.
pub(crate) trait Exporter: Send {
    fn set_resource(&mut self, resource: &Resource);
    fn into_sink(self: Box<Self>) -> Box<dyn Sink<SpanData>>;
}

impl<E: SpanExporter + 'static> Exporter for E {
    fn set_resource(&mut self, resource: &Resource) {
        SpanExporter::set_resource(self, resource);
    }

    fn into_sink(self: Box<Self>) -> Box<dyn Sink<SpanData>> {
        Box::new(ToExporter(*self))
    }
}

struct ToExporter<E>(E);

impl<E: SpanExporter> Sink<SpanData> for ToExporter<E> {
    fn export(&mut self, batch: Vec<SpanData>) -> Vec<(u64, Delivery)> {
        let items = batch.len() as u64;
        let delivery = match block_on(self.0.export(batch)) {
            Ok(()) => Delivery::Taken { refused: 0, remark: String::new(), unreadable: false },
            Err(error) => Delivery::Lost(error.to_string()),
        };
        vec![(items, delivery)]
    }

    fn flush(&mut self) {
        if let Err(error) = self.0.force_flush() {
            warn_of("flush", &error);
        }
    }

    fn shutdown(&mut self) {
        if let Err(error) = self.0.shutdown() {
            warn_of("shut down", &error);
        }
    }
}

fn warn_of(what: &str, error: &opentelemetry_sdk::error::OTelSdkError) {
    tracing::warn!(target: "obs_runtime::export", %error, "the span exporter did not {what}");
}
