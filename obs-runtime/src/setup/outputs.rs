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
        let around = Surroundings {
            variable: &|name| std::env::var(name).ok(),
            file: &|path| std::fs::read_to_string(path).ok(),
        };
        let resource = resource(service, &around);
        let targets = environment.otlp(choices)?;
        let client = |target| client(target, &resource, environment);
        let spans = match exporter {
            Some(mut exporter) => {
                exporter.set_resource(&resource);
                Some((exporter.into_sink(), "the application's exporter".to_owned()))
            }
            None => client(targets.traces)?.map(|(client, resource, to)| {
                (Box::new(spans::ToCollector { client, resource }) as Box<dyn Sink<SpanData>>, to)
            }),
        };
        #[cfg(feature = "log")]
        let logs = client(targets.logs)?.map(|(client, resource, to)| {
            (crate::export::logs::ToCollector { client, resource }, to, environment.log_batching())
        });
        #[cfg(feature = "prometheus")]
        let metrics = client(targets.metrics)?.map(|(client, resource, to)| {
            let sender = crate::export::metrics::ToCollector::new(client, resource);
            (sender, to, environment.metric_interval())
        });
        Ok(Self {
            spans,
            span_batching: environment.span_batching(),
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

/// A client for one signal, the resource in its messages, and the text of its destination. `None` if the signal is not
/// exported, also because TLS does not take the files that variables name.
fn client(
    target: Option<Target>,
    resource: &Resource,
    environment: &Environment<'_>,
) -> Result<Option<(Client, ResourceMessage, String)>, InitError> {
    let Some(target) = target else { return Ok(None) };
    match (Client::new(&target), &target.tls.variable) {
        (Ok(client), _) => Ok(Some((client, ResourceMessage::from(resource), target.shown()))),
        (Err(error), Some((variable, path))) => {
            let expected = format!("a PEM file that TLS takes, together with those beside it ({error})");
            environment.disable(target.signal, variable, path, &expected);
            Ok(None)
        }
        (Err(error), None) => Err(InitError::Exporter(error)),
    }
}
