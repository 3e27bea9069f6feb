//! Configuration in code, and the start.

use super::environment::{Environment, invalid_filter};
use super::{Guard, InitError, SERVICE, Service};
use crate::subscriber::{Filter, ObsSubscriber};
use crate::trace::Sampler;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing_core::Dispatch;
use tracing_core::subscriber::NoSubscriber;

/// Starts the runtime with what the environment says: short for `builder().init()`.
///
/// ```no_run
/// fn main() -> Result<(), obs_runtime::InitError> {
///     let _obs = obs_runtime::init()?;
///     // the service
///     Ok(())
/// }
/// ```
///
/// # Errors
/// See [`Builder::init`].
pub fn init() -> Result<Guard, InitError> {
    builder().init()
}

/// Configures the runtime in code.
#[must_use]
pub fn builder() -> Builder {
    Builder::default()
}

/// Configuration of the runtime. What is set here goes before the environment.
///
/// | setting | environment | default |
/// |---|---|---|
/// | [`service_name`](Self::service_name) | `OTEL_SERVICE_NAME` | `unknown_service` |
/// | [`resource`](Self::resource) | `OTEL_RESOURCE_ATTRIBUTES` | none |
/// | [`log_filter`](Self::log_filter) | `RUST_LOG` | `info` |
/// | [`admin`](Self::admin) | `OTEL_EXPORTER_PROMETHEUS_HOST`, `OTEL_EXPORTER_PROMETHEUS_PORT` | `127.0.0.1:9464` |
/// | [`sampler`](Self::sampler) | `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG` | `parentbased_always_on` |
/// | [`otlp_endpoint`](Self::otlp_endpoint) | `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` | no export |
///
/// Only in the environment: `OTEL_SDK_DISABLED`, `OTEL_TRACES_EXPORTER`, `OTEL_EXPORTER_OTLP_HEADERS`,
/// `OTEL_EXPORTER_OTLP_TIMEOUT`, `OTEL_EXPORTER_OTLP_PROTOCOL` (these three also for `TRACES`),
/// `OTEL_BSP_SCHEDULE_DELAY`, `OTEL_BSP_MAX_QUEUE_SIZE` and `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`.
#[derive(Default)]
pub struct Builder {
    service: Service,
    log_filter: Option<String>,
    sampler: Option<Sampler>,
    #[cfg(feature = "log")]
    log_format: crate::LogFormat,
    #[cfg(feature = "log")]
    log_output: Option<Box<dyn std::io::Write + Send>>,
    #[cfg(feature = "admin")]
    admin: Admin,
    #[cfg(feature = "otlp")]
    otlp_endpoint: Option<String>,
    #[cfg(feature = "otlp")]
    exporter: Option<Box<dyn crate::export::spans::Exporter>>,
}

#[cfg(feature = "admin")]
#[derive(Default)]
enum Admin {
    #[default]
    Environment,
    At(std::net::SocketAddr),
    Off,
}

/// There is one runtime to a process.
static STARTED: AtomicBool = AtomicBool::new(false);

impl Builder {
    /// The service's name, in traces and `build_info`.
    #[must_use]
    pub fn service_name(mut self, name: impl Into<String>) -> Self {
        self.service.name = Some(name.into());
        self
    }

    /// The service's version, in traces and `build_info`: usually `env!("CARGO_PKG_VERSION")`.
    #[must_use]
    pub fn service_version(mut self, version: impl Into<String>) -> Self {
        self.service.version = Some(version.into());
        self
    }

    /// A further attribute of the OpenTelemetry resource, such as `deployment.environment.name`.
    #[must_use]
    pub fn resource(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.service.attributes.push((key.into(), value.into()));
        self
    }

    /// Which log lines are written, as `RUST_LOG` says it: `info,shop=debug,hyper=off`.
    #[must_use]
    pub fn log_filter(mut self, directives: impl Into<String>) -> Self {
        self.log_filter = Some(directives.into());
        self
    }

    /// Which traces are exported.
    #[must_use]
    pub fn sampler(mut self, sampler: Sampler) -> Self {
        self.sampler = Some(sampler);
        self
    }

    /// JSON or text; by default text on a terminal and JSON elsewhere.
    #[cfg(feature = "log")]
    #[must_use]
    pub fn log_format(mut self, format: crate::LogFormat) -> Self {
        self.log_format = format;
        self
    }

    /// Writes log lines here instead of to standard output. Called on a thread of its own, which it may block.
    #[cfg(feature = "log")]
    #[must_use]
    pub fn log_output(mut self, output: impl std::io::Write + Send + 'static) -> Self {
        self.log_output = Some(Box::new(output));
        self
    }

    /// Where the admin server listens. Anyone who reaches it may read all of it.
    #[cfg(feature = "admin")]
    #[must_use]
    pub fn admin(mut self, address: std::net::SocketAddr) -> Self {
        self.admin = Admin::At(address);
        self
    }

    /// Starts no admin server: the application mounts [`admin::router`](crate::admin::router) itself.
    #[cfg(feature = "admin")]
    #[must_use]
    pub fn no_admin(mut self) -> Self {
        self.admin = Admin::Off;
        self
    }

    /// The collector's address, such as `http://127.0.0.1:4318`; spans go to `/v1/traces` below it.
    #[cfg(feature = "otlp")]
    #[must_use]
    pub fn otlp_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.otlp_endpoint = Some(endpoint.into());
        self
    }

    /// Hands spans to this exporter instead of sending them by OTLP.
    #[cfg(feature = "otlp")]
    #[must_use]
    pub fn span_exporter(mut self, exporter: impl opentelemetry_sdk::trace::SpanExporter + 'static) -> Self {
        self.exporter = Some(Box::new(exporter));
        self
    }

    /// Starts the runtime: from here on annotated functions are observed.
    ///
    /// # Errors
    /// A setting with a value that it does not take, an address that is in use, another `tracing`
    /// subscriber or `log` logger that is installed already, or a second start.
    pub fn init(self) -> Result<Guard, InitError> {
        if STARTED.swap(true, Ordering::SeqCst) {
            return Err(InitError::AlreadyStarted);
        }
        let started = self.start();
        if started.is_err() {
            STARTED.store(false, Ordering::SeqCst);
        }
        started
    }

    fn start(self) -> Result<Guard, InitError> {
        let lookup = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        let environment = Environment::new(&lookup);
        // Everything that can be wrong is found before anything is changed.
        if !tracing_core::dispatcher::get_default(Dispatch::is::<NoSubscriber>) {
            return Err(InitError::SubscriberInstalled);
        }
        let disabled = environment.sdk_disabled()?;
        let filter = self.filter(&environment)?;
        let sampler = environment.sampler()?;
        let sampler = self.sampler.or(sampler).unwrap_or(Sampler::ParentBasedAlwaysOn);
        let service = self.service(&environment)?;
        #[cfg(feature = "otlp")]
        let (exporter, batching) = (
            build_exporter(self.exporter, self.otlp_endpoint, &environment, &service)?,
            environment.batching()?,
        );
        #[cfg(feature = "admin")]
        let listener = listen(&self.admin, &environment)?;

        let _ = SERVICE.set(service);
        #[cfg(feature = "log")]
        {
            use crate::log::{Output, install_bridge, start};
            install_bridge(filter.clone()).map_err(|_| InitError::LoggerInstalled)?;
            let output = self.log_output.map_or(Output::Stdout, Output::Other);
            start(self.log_format, output).map_err(InitError::Thread)?;
        }
        filter.apply();
        tracing_core::dispatcher::set_global_default(Dispatch::new(ObsSubscriber::new(filter)))
            .map_err(|_| InitError::SubscriberInstalled)?;
        #[cfg(not(feature = "otlp"))]
        if environment.is_set("OTEL_EXPORTER_OTLP_ENDPOINT") {
            tracing::warn!(
                "OTEL_EXPORTER_OTLP_ENDPOINT is set, but obs-runtime is built without its feature `otlp`"
            );
        }
        #[cfg(feature = "otlp")]
        if let Some((exporter, to)) = exporter.filter(|_| !disabled) {
            crate::export::spans::start(exporter, to, batching).map_err(InitError::Thread)?;
            crate::trace::install_sampler(sampler);
        }
        #[cfg(not(feature = "otlp"))]
        let _ = sampler;
        #[cfg(feature = "admin")]
        let admin_address = match listener {
            Some(listener) => Some(crate::admin::serve(listener).map_err(InitError::Thread)?),
            None => None,
        };
        #[cfg(not(feature = "admin"))]
        let admin_address = None;
        if !disabled {
            crate::panics::install_hook();
            crate::state::start();
        }
        Ok(Guard::new(admin_address))
    }

    fn filter(&self, environment: &Environment<'_>) -> Result<Filter, InitError> {
        match &self.log_filter {
            Some(directives) => Filter::parse(directives)
                .map_err(|error| invalid_filter("log_filter", directives.clone(), &error)),
            None => Ok(environment.log_filter()?.unwrap_or_default()),
        }
    }

    /// Code goes before `OTEL_SERVICE_NAME`, and that before an attribute of the resource.
    fn service(&self, environment: &Environment<'_>) -> Result<Service, InitError> {
        let mut attributes = environment.resource_attributes()?;
        attributes.extend(self.service.attributes.iter().cloned());
        let mut attribute = |key: &str| {
            let found = attributes.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.clone());
            attributes.retain(|(name, _)| name != key);
            found
        };
        let (name, version) = (attribute("service.name"), attribute("service.version"));
        Ok(Service {
            name: self.service.name.clone().or_else(|| environment.service_name()).or(name),
            version: self.service.version.clone().or(version),
            attributes,
        })
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("service", &self.service)
            .field("log_filter", &self.log_filter)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "admin")]
fn listen(admin: &Admin, environment: &Environment<'_>) -> Result<Option<std::net::TcpListener>, InitError> {
    use std::net::{Ipv4Addr, SocketAddr, TcpListener};
    const DEFAULT_PORT: u16 = 9464;
    let host = environment.admin_host()?.unwrap_or(Ipv4Addr::LOCALHOST.into());
    let port = environment.admin_port()?.unwrap_or(DEFAULT_PORT);
    let address = match admin {
        Admin::Off => return Ok(None),
        Admin::At(address) => *address,
        Admin::Environment => SocketAddr::new(host, port),
    };
    TcpListener::bind(address)
        .map(Some)
        .map_err(|source| InitError::Address { address: address.to_string(), source })
}

/// The exporter that was given, or one for the collector that is configured, with its address.
#[cfg(feature = "otlp")]
#[allow(clippy::type_complexity, reason = "used once")]
fn build_exporter(
    given: Option<Box<dyn crate::export::spans::Exporter>>,
    endpoint: Option<String>,
    environment: &Environment<'_>,
    service: &Service,
) -> Result<Option<(Box<dyn crate::export::spans::Exporter>, String)>, InitError> {
    use opentelemetry::KeyValue;
    use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
    use opentelemetry_sdk::Resource;

    let otlp = environment.otlp(endpoint)?;
    let (mut exporter, to) = match (given, otlp) {
        (Some(exporter), _) => (exporter, "the application's exporter".to_owned()),
        (None, None) => return Ok(None),
        (None, Some(otlp)) => {
            let exporter = opentelemetry_otlp::SpanExporter::builder()
                .with_http()
                .with_http_client(crate::export::http::BlockingClient::new(otlp.timeout))
                .with_protocol(Protocol::HttpBinary)
                .with_endpoint(otlp.endpoint.clone())
                .with_timeout(otlp.timeout)
                .with_headers(otlp.headers.into_iter().collect())
                .build()
                .map_err(|error| InitError::Exporter(error.into()))?;
            (Box::new(exporter) as Box<dyn crate::export::spans::Exporter>, otlp.endpoint)
        }
    };
    let name = service.name.clone().unwrap_or_else(|| "unknown_service".to_owned());
    let attributes = service.attributes.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let version = service.version.clone().map(|version| KeyValue::new("service.version", version));
    let resource = Resource::builder_empty()
        .with_attributes(attributes.chain(version))
        .with_attributes([
            KeyValue::new("service.name", name),
            KeyValue::new("telemetry.sdk.language", "rust"),
            KeyValue::new("telemetry.sdk.name", "obs-runtime"),
            KeyValue::new("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
        ])
        .build();
    exporter.set_resource(&resource);
    Ok(Some((exporter, to)))
}
