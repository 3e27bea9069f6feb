//! Configuration in code, and the start.

#[cfg(feature = "admin")]
use super::admin::{Admin, Place, listen};
use super::environment::{Environment, invalid_filter};
use super::{Guard, InitError, SERVICE, Service};
use crate::subscriber::{Filter, ObsSubscriber};
use crate::trace::Sampler;
use std::sync::Arc;
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
/// | [`admin_token`](Self::admin_token) | `OBS_ADMIN_TOKEN` | none |
/// | [`admin_allow_remote`](Self::admin_allow_remote) | `OBS_ADMIN_ALLOW_REMOTE` | `false` |
/// | [`slow_poll`](Self::slow_poll) | `OBS_SLOW_POLL` | 100 ms |
/// | [`stuck_after`](Self::stuck_after) | `OBS_STUCK_AFTER` | 60 s |
/// | [`thread_buffer`](Self::thread_buffer) | `OBS_THREAD_BUFFER` | 16,384 spans or lines |
/// | [`sampler`](Self::sampler) | `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG` | `parentbased_always_on` |
/// | [`otlp_endpoint`](Self::otlp_endpoint) | `OTEL_EXPORTER_OTLP_ENDPOINT` | no export |
/// | [`otlp_protocol`](Self::otlp_protocol) | `OTEL_EXPORTER_OTLP_PROTOCOL` | `http/protobuf` |
/// | [`otlp_compression`](Self::otlp_compression) | `OTEL_EXPORTER_OTLP_COMPRESSION` | `none` |
/// | [`otlp_header`](Self::otlp_header) | `OTEL_EXPORTER_OTLP_HEADERS` | none |
/// | [`otlp_timeout`](Self::otlp_timeout) | `OTEL_EXPORTER_OTLP_TIMEOUT` | 10 s |
/// | [`otlp_logs`](Self::otlp_logs) | `OTEL_LOGS_EXPORTER` with `otlp` | stdout alone |
/// | [`otlp_metrics`](Self::otlp_metrics) | `OTEL_METRICS_EXPORTER` with `otlp` | `/metrics` alone |
/// | [`cpu_profiling`](Self::cpu_profiling) | `OBS_CPU_PROFILING` | `false` |
///
/// The variables of OTLP have forms for one signal too, such as `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`. Only in
/// the environment: `OBS_CLOCK` (`system` for the system's clock in the place of the processor's counter),
/// `OTEL_SDK_DISABLED`, `OTEL_PROPAGATORS`, `OTEL_TRACES_EXPORTER`, `OTEL_EXPORTER_OTLP_CERTIFICATE`,
/// `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE`, `OTEL_EXPORTER_OTLP_CLIENT_KEY` and
/// `OTEL_EXPORTER_OTLP_INSECURE`; how much is sent at once and how often (`OTEL_BSP_*` for spans, `OTEL_BLRP_*`
/// for log records, `OTEL_METRIC_EXPORT_INTERVAL`); and the `OTEL_*_LIMIT` on attributes, their length, events
/// and links of a span. Metrics are sent as they are scraped, so `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`
/// takes `cumulative`, and `OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION` `explicit_bucket_histogram`.
///
/// # Wrong values
/// A wrong value in code, in an `OBS_*` variable or in `RUST_LOG` is an error at the start. The `OTEL_*` variables follow the
/// [OpenTelemetry specification](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/),
/// because platforms set them for services of all kinds:
///
/// - An empty value counts as unset. Enumerations ignore case.
/// - A value that the variable does not take, such as a number out of range, counts as unset. Of the Booleans, `true`
///   alone is true.
/// - A wrong entry of a list (`OTEL_PROPAGATORS`, `OTEL_*_EXPORTER`, `OTEL_EXPORTER_OTLP_HEADERS`) is left out. A wrong
///   pair in `OTEL_RESOURCE_ATTRIBUTES` discards the whole value.
/// - A wrong endpoint, or a certificate or key that can't be used, disables the exporter of its signal.
///
/// Each is one log line of the target `obs_runtime::setup`, at WARN, or at ERROR for an exporter that is disabled: with
/// the fields `variable` and `value`, and a message that says what the variable takes and what is used instead.
#[derive(Default)]
pub struct Builder {
    service: Service,
    log_filter: Option<String>,
    baggage_fields: Vec<String>,
    thread_buffer: Option<usize>,
    sampler: Option<Sampler>,
    #[cfg(feature = "log")]
    log_format: crate::LogFormat,
    #[cfg(feature = "log")]
    log_output: Option<Box<dyn std::io::Write + Send>>,
    #[cfg(feature = "admin")]
    admin: Admin,
    #[cfg(feature = "profile")]
    pub(super) profiling: super::profiling::Profiling,
    #[cfg(feature = "otlp")]
    otlp: super::environment::Choices,
    #[cfg(feature = "otlp")]
    exporter: Option<Box<dyn crate::export::spans::Exporter>>,
    #[cfg(feature = "profile-cpu")]
    cpu_profiling: Option<bool>,
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

    /// Chooses which log lines are written, in the syntax of `RUST_LOG`: `info,shop=debug,hyper=off`. A running service
    /// changes that by [`log_level`](crate::log_level), whose page describes the directives.
    ///
    /// A directive with a mistake in it makes [`init`](Self::init) return an error that names it. In `RUST_LOG`, which is
    /// for every program, it is left out with a warning instead.
    #[must_use]
    pub fn log_filter(mut self, directives: impl Into<String>) -> Self {
        self.log_filter = Some(directives.into());
        self
    }

    /// Baggage entries, by name, that become context fields where a request is taken in: log lines and
    /// spans then have them. No others do, for anyone may send anything.
    #[must_use]
    pub fn baggage_fields(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.baggage_fields = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the limit of each thread's buffers, in items: finished spans, log lines, and log records for the collector
    /// have a buffer each, from 512 to 1,048,576 items of 8 KiB on average. A buffer grows while its thread makes
    /// more than is taken from it, and shrinks when it is emptied. At the limit, items are dropped and counted; the last
    /// sixteenth of the spans' buffer takes only local root spans and spans of the kinds server and consumer.
    /// Log lines come on top of a ring of 512 KiB.
    ///
    /// ```
    /// let builder = obs_runtime::builder().thread_buffer(65_536);
    /// ```
    #[must_use]
    pub fn thread_buffer(mut self, items: usize) -> Self {
        self.thread_buffer = Some(items);
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

    /// Where the admin server listens. An address that other machines reach takes a
    /// [token](Self::admin_token) or [leave for all](Self::admin_allow_remote).
    #[cfg(feature = "admin")]
    #[must_use]
    pub fn admin(mut self, address: std::net::SocketAddr) -> Self {
        self.admin.place = Place::At(address);
        self
    }

    /// Starts no admin server: the application mounts [`admin::router`](crate::admin::router) itself.
    #[cfg(feature = "admin")]
    #[must_use]
    pub fn no_admin(mut self) -> Self {
        self.admin.place = Place::Off;
        self
    }

    /// The secret that admin endpoints take, as `Authorization: Bearer TOKEN`: at least 16 visible ASCII
    /// characters. Who may see what, with it and without, is at [`admin`](crate::admin#who-may-see-what).
    #[cfg(feature = "admin")]
    #[must_use]
    pub fn admin_token(mut self, token: impl Into<String>) -> Self {
        self.admin.token = Some(token.into());
        self
    }

    /// Lets everybody who reaches the admin server see `/metrics` and `/health/*`, on any address and
    /// without a token. Nothing else.
    #[cfg(feature = "admin")]
    #[must_use]
    pub fn admin_allow_remote(mut self) -> Self {
        self.admin.allow_remote = true;
        self
    }

    /// The collector's address, such as `http://127.0.0.1:4318`: spans go to `/v1/traces` below it, log
    /// records to `/v1/logs`, metrics to `/v1/metrics`; with gRPC, all to the address itself.
    #[cfg(feature = "otlp")]
    #[must_use]
    pub fn otlp_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.otlp.endpoint = Some(endpoint.into());
        self
    }

    /// How telemetry travels to the collector.
    #[cfg(feature = "otlp")]
    #[must_use]
    pub fn otlp_protocol(mut self, protocol: crate::OtlpProtocol) -> Self {
        self.otlp.protocol = Some(protocol);
        self
    }

    /// Whether it is compressed on its way.
    #[cfg(feature = "otlp")]
    #[must_use]
    pub fn otlp_compression(mut self, compression: crate::OtlpCompression) -> Self {
        self.otlp.compression = Some(compression);
        self
    }

    /// A header of each request to the collector, such as `authorization`.
    #[cfg(feature = "otlp")]
    #[must_use]
    pub fn otlp_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.otlp.headers.push((name.into(), value.into()));
        self
    }

    /// How long one batch may take to be sent, with all that is tried again.
    #[cfg(feature = "otlp")]
    #[must_use]
    pub fn otlp_timeout(mut self, timeout: std::time::Duration) -> Self {
        self.otlp.timeout = Some(timeout);
        self
    }

    /// Whether log lines are sent to the collector too. Lines go to stdout in any case, from where most
    /// platforms collect them.
    #[cfg(all(feature = "otlp", feature = "log"))]
    #[must_use]
    pub fn otlp_logs(mut self, sent: bool) -> Self {
        self.otlp.logs = Some(sent);
        self
    }

    /// Whether metrics are sent to the collector: for jobs that end before anybody scrapes them. `/metrics`
    /// is there in any case.
    #[cfg(all(feature = "otlp", feature = "prometheus"))]
    #[must_use]
    pub fn otlp_metrics(mut self, sent: bool) -> Self {
        self.otlp.metrics = Some(sent);
        self
    }

    /// Hands spans to this exporter instead of sending them by OTLP. It is called on a thread of its own,
    /// which it may block, told to flush when the application flushes, and shut down at the end.
    #[cfg(feature = "otlp")]
    #[must_use]
    pub fn span_exporter(mut self, exporter: impl opentelemetry_sdk::trace::SpanExporter + 'static) -> Self {
        self.exporter = Some(Box::new(exporter));
        self
    }

    /// Whether [CPU profiles](crate::profile::cpu) may be recorded. It costs nothing while none is.
    #[cfg(feature = "profile-cpu")]
    #[must_use]
    pub fn cpu_profiling(mut self, enabled: bool) -> Self {
        self.cpu_profiling = Some(enabled);
        self
    }

    /// Starts the runtime: from here on annotated functions are observed.
    ///
    /// # Errors
    /// A setting with a value that it does not take, two health checks of one name, an address that is in use, another `tracing`
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
        #[cfg(feature = "layer")]
        let layered = tracing_core::dispatcher::get_default(Dispatch::is::<crate::Layer>);
        #[cfg(not(feature = "layer"))]
        let layered = false;
        if !layered && !tracing_core::dispatcher::get_default(Dispatch::is::<NoSubscriber>) {
            return Err(InitError::SubscriberInstalled);
        }
        let disabled = environment.sdk_disabled();
        let (filter, filter_remarks) = self.filter(&environment)?;
        let sampler = self.sampler.or_else(|| environment.sampler());
        let sampler = sampler.unwrap_or(Sampler::ParentBasedAlwaysOn);
        let propagators = environment.propagators();
        let clock = environment.clock()?;
        let thread_buffer = environment.thread_buffer(self.thread_buffer)?;
        let service = self.service(&environment);
        #[cfg(feature = "health")]
        crate::health::verify().map_err(InitError::HealthCheck)?;
        #[cfg(feature = "otlp")]
        let limits = super::limits::from(&environment);
        #[cfg(feature = "otlp")]
        let outputs = super::outputs::Outputs::prepare(self.exporter, &self.otlp, &environment, &service)?;
        #[cfg(feature = "profile-cpu")]
        let cpu_profiling = environment.cpu_profiling()?;
        #[cfg(feature = "admin")]
        let (admin_address, policy) = self.admin.resolve(&environment)?;
        #[cfg(feature = "profile")]
        let (slow_poll, stuck_after) = self.profiling.resolve(&environment)?;
        #[cfg(feature = "admin")]
        let listener = admin_address.map(listen).transpose()?;

        let filter = Arc::new(filter);
        crate::subscriber::put(Arc::clone(&filter));
        let _ = SERVICE.set(service);
        #[cfg(any(feature = "log", feature = "otlp"))]
        thread_buffer.into_iter().for_each(crate::overflow::set_limit);
        #[cfg(not(any(feature = "log", feature = "otlp")))]
        let _ = thread_buffer;
        clock.into_iter().for_each(crate::clock::choose);
        crate::propagation::allow(self.baggage_fields);
        if let Some((trace, baggage)) = propagators {
            crate::propagation::choose(trace, baggage);
        }
        #[cfg(feature = "log")]
        if !layered || self.log_output.is_some() {
            use crate::log::{Output, install_bridge, start};
            if !layered {
                install_bridge().map_err(|_| InitError::LoggerInstalled)?;
            }
            let output = self.log_output.map_or(Output::Stdout, Output::Other);
            start(self.log_format, output).map_err(InitError::Thread)?;
        }
        #[cfg(feature = "layer")]
        if layered {
            crate::state::set_layered();
        }
        if !layered {
            tracing_core::dispatcher::set_global_default(Dispatch::new(ObsSubscriber))
                .map_err(|_| InitError::SubscriberInstalled)?;
        }
        crate::subscriber::installed();
        environment.log_problems();
        #[cfg(not(feature = "otlp"))]
        if environment.is_set("OTEL_EXPORTER_OTLP_ENDPOINT") {
            tracing::warn!(
                "OTEL_EXPORTER_OTLP_ENDPOINT is set, but obs-runtime is built without its feature `otlp`"
            );
        }
        crate::trace::install_sampler(sampler);
        #[cfg(feature = "otlp")]
        if !disabled {
            crate::trace::install_limits(limits);
            outputs.start().map_err(InitError::Thread)?;
        }
        #[cfg(feature = "profile-cpu")]
        crate::profile::cpu::enable(self.cpu_profiling.or(cpu_profiling).unwrap_or(false));
        #[cfg(feature = "admin")]
        crate::admin::install(policy);
        #[cfg(feature = "admin")]
        let admin_address = listener.map(crate::admin::serve).transpose().map_err(InitError::Thread)?;
        #[cfg(not(feature = "admin"))]
        let admin_address = None;
        if !disabled {
            crate::panics::install_hook();
            crate::state::start();
            crate::subscriber::apply();
            #[cfg(feature = "profile")]
            crate::profile::start(slow_poll, stuck_after).map_err(InitError::Thread)?;
        }
        crate::log_level::start(filter);
        for remark in &filter_remarks {
            crate::log_level::remark(remark);
        }
        #[cfg(feature = "health")]
        crate::health::start(tokio::runtime::Handle::try_current().ok());
        Ok(Guard::new(admin_address))
    }

    /// The log filter, and remarks on directives of `RUST_LOG` that are left out.
    fn filter(&self, environment: &Environment<'_>) -> Result<(Filter, Vec<String>), InitError> {
        match &self.log_filter {
            Some(directives) => Filter::parse(directives)
                .map(|filter| (filter, Vec::new()))
                .map_err(|error| invalid_filter("log_filter", directives.clone(), &error)),
            None => Ok(environment.log_filter().unwrap_or_default()),
        }
    }

    /// Code goes before `OTEL_SERVICE_NAME`, and that before an attribute of the resource.
    fn service(&self, environment: &Environment<'_>) -> Service {
        let mut attributes = environment.resource_attributes();
        attributes.extend(self.service.attributes.iter().cloned());
        let mut attribute = |key: &str| {
            let found = attributes.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.clone());
            attributes.retain(|(name, _)| name != key);
            found
        };
        let (name, version) = (attribute("service.name"), attribute("service.version"));
        Service {
            name: self.service.name.clone().or_else(|| environment.service_name()).or(name),
            version: self.service.version.clone().or(version),
            attributes,
        }
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
