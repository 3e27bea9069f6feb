//! What is sent to a collector, where to, and by whom.

use super::environment::{Choices, Environment};
use super::resource::{Surroundings, resource};
use super::{InitError, Service};
use crate::export::otlp::{Client, ResourceMessage, Target};
use crate::export::pipeline::{Batching, Sink};
use crate::export::spans;
use crate::trace;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use std::io;

/// The outputs that are configured, before anything is started.
pub(super) struct Outputs {
    spans: Option<(Box<dyn Sink<SpanData>>, String)>,
    span_batching: Batching,
    #[cfg(feature = "opentelemetry")]
    resource: Resource,
    #[cfg(feature = "log")]
    logs: Option<(crate::export::logs::ToCollector, String, Batching)>,
    #[cfg(feature = "prometheus")]
    metrics: Option<(crate::export::metrics::ToCollector, String, std::time::Duration)>,
}

impl Outputs {
    /// Reads and checks everything.
    pub(super) fn prepare(
        exporter: Option<Box<dyn spans::Exporter>>,
        choices: &Choices,
        environment: &Environment<'_>,
        service: &Service,
    ) -> Result<Self, InitError> {
        let targets = environment.otlp(choices)?;
        let around = Surroundings {
            variable: &|name| std::env::var(name).ok(),
            file: &|path| std::fs::read_to_string(path).ok(),
        };
        let resource = resource(service, &around);
        let spans = match (exporter, &targets.traces) {
            (Some(mut exporter), _) => {
                exporter.set_resource(&resource);
                Some((exporter.into_sink(), "the application's exporter".to_owned()))
            }
            (None, Some(target)) => {
                let (client, resource, to) = client(target, &resource)?;
                Some((Box::new(spans::ToCollector { client, resource }) as Box<dyn Sink<SpanData>>, to))
            }
            (None, None) => None,
        };
        #[cfg(feature = "log")]
        let logs = match &targets.logs {
            Some(target) => {
                let (client, resource, to) = client(target, &resource)?;
                Some((crate::export::logs::ToCollector { client, resource }, to, environment.log_batching()?))
            }
            None => None,
        };
        #[cfg(feature = "prometheus")]
        let metrics = match &targets.metrics {
            Some(target) => {
                let (client, resource, to) = client(target, &resource)?;
                let sender = crate::export::metrics::ToCollector::new(client, resource);
                Some((sender, to, environment.metric_interval()?))
            }
            None => None,
        };
        Ok(Self {
            spans,
            span_batching: environment.span_batching()?,
            #[cfg(feature = "opentelemetry")]
            resource,
            #[cfg(feature = "log")]
            logs,
            #[cfg(feature = "prometheus")]
            metrics,
        })
    }

    /// Starts what is configured.
    pub(super) fn start(self) -> io::Result<()> {
        #[cfg(feature = "log")]
        if let Some((sink, to, batching)) = self.logs {
            crate::export::logs::start(sink, to, batching)?;
        }
        #[cfg(feature = "prometheus")]
        if let Some((sender, to, interval)) = self.metrics {
            crate::export::metrics::start(sender, to, interval)?;
        }
        let Some((sink, to)) = self.spans else { return Ok(()) };
        spans::start(sink, to, self.span_batching)?;
        trace::set_exporting();
        #[cfg(feature = "opentelemetry")]
        trace::install_api(self.resource);
        Ok(())
    }
}

/// A client for one signal, what it says it speaks for, and where it speaks to.
fn client(target: &Target, resource: &Resource) -> Result<(Client, ResourceMessage, String), InitError> {
    let client = Client::new(target).map_err(InitError::Exporter)?;
    Ok((client, ResourceMessage::from(resource), target.shown()))
}
