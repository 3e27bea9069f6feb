//! What requests are counted by. Each label is bounded, whatever a client sends.

use crate::label::{Dimension, values};
use crate::site::{Site, SpanKind, Spec};
use crate::{Bounded, Label};
use http::StatusCode;
use tracing_core::callsite::Identifier;
use tracing_core::field::FieldSet;
use tracing_core::{Kind, Level, Metadata};

/// The methods of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Label)]
#[label(rename_all = "UPPERCASE", crate = crate)]
pub(super) enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
    Connect,
    Trace,
    #[label("other")]
    Other,
}

impl Method {
    pub(super) fn of(method: &http::Method) -> Self {
        match method.as_str() {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            "OPTIONS" => Self::Options,
            "CONNECT" => Self::Connect,
            "TRACE" => Self::Trace,
            _ => Self::Other,
        }
    }
}

/// The first digit of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Label)]
#[label(crate = crate)]
pub(super) enum StatusClass {
    #[label("1xx")]
    Informational,
    #[label("2xx")]
    Success,
    #[label("3xx")]
    Redirection,
    #[label("4xx")]
    ClientError,
    #[label("5xx")]
    ServerError,
    Other,
}

impl StatusClass {
    pub(super) fn of(status: StatusCode) -> Self {
        match status.as_u16() / 100 {
            1 => Self::Informational,
            2 => Self::Success,
            3 => Self::Redirection,
            4 => Self::ClientError,
            5 => Self::ServerError,
            _ => Self::Other,
        }
    }
}

/// Routes of the process, all its servers together.
pub(super) struct Routes;
pub(super) type Route = Bounded<Routes, 64>;

/// Hosts that the process sends requests to.
pub(super) struct Hosts;
pub(super) type Host = Bounded<Hosts, 32>;

const STATUS: &[Dimension] = &[values::<StatusClass>().named("http_response_status_class")];

/// As the semantic conventions advise.
const BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

const SERVER_SPEC: Spec = Spec::new()
    .metric("http_server_request")
    .kind(SpanKind::Server)
    .labels(&[values::<Method>().named("http_request_method"), values::<Route>().named("http_route")])
    .result_labels(STATUS)
    .buckets(BUCKETS)
    .future();

const CLIENT_SPEC: Spec = Spec::new()
    .metric("http_client_request")
    .kind(SpanKind::Client)
    // Whoever sent the request knows what its failure means, and logs that.
    .err_level(Level::WARN)
    .labels(&[values::<Method>().named("http_request_method"), values::<Host>().named("server_address")])
    .result_labels(STATUS)
    .buckets(BUCKETS)
    .future();

/// Requests that are answered here.
pub(super) static SERVER: Site = site("http::server", SERVER_SPEC, &SERVER);

/// Requests that are sent from here.
pub(super) static CLIENT: Site = site("http::client", CLIENT_SPEC, &CLIENT);

const fn site(name: &'static str, spec: Spec, callsite: &'static Site) -> Site {
    let fields = FieldSet::new(&[], Identifier(callsite));
    let target = "obs_runtime::http";
    Site::of(
        spec,
        Metadata::new(name, target, Level::INFO, None, None, Some(target), fields, Kind::SPAN),
        &[],
    )
}
