//! Code that uses the OpenTelemetry API directly: its spans come out beside ours, in the same traces.

use super::{Sampler, ring, sampler};
use opentelemetry::propagation::TextMapCompositePropagator;
use opentelemetry::{Context, global};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use opentelemetry_sdk::trace::{Sampler as SdkSampler, SdkTracerProvider, Span, SpanData, SpanProcessor};
use std::time::Duration;

/// Makes the API's global tracers and propagators ours.
pub(crate) fn install(resource: Resource) {
    let provider = SdkTracerProvider::builder()
        .with_sampler(sdk(sampler::current()))
        .with_resource(resource)
        .with_span_processor(ToRings)
        .build();
    global::set_tracer_provider(provider);
    global::set_text_map_propagator(TextMapCompositePropagator::new(vec![
        Box::new(TraceContextPropagator::new()),
        Box::new(BaggagePropagator::new()),
    ]));
}

fn sdk(sampler: Sampler) -> SdkSampler {
    let parent_based = |root| SdkSampler::ParentBased(Box::new(root));
    match sampler {
        Sampler::AlwaysOn => SdkSampler::AlwaysOn,
        Sampler::AlwaysOff => SdkSampler::AlwaysOff,
        Sampler::TraceIdRatio(ratio) => SdkSampler::TraceIdRatioBased(ratio),
        Sampler::ParentBasedAlwaysOn => parent_based(SdkSampler::AlwaysOn),
        Sampler::ParentBasedAlwaysOff => parent_based(SdkSampler::AlwaysOff),
        Sampler::ParentBasedTraceIdRatio(ratio) => parent_based(SdkSampler::TraceIdRatioBased(ratio)),
    }
}

/// Hands spans over as ours are, so that they are batched, sent and counted together.
#[derive(Debug)]
struct ToRings;

impl SpanProcessor for ToRings {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        ring::submit_api(span);
    }

    /// The runtime's own flush is the one that counts.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
