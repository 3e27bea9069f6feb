//! Annotate a function once and get its logs, its rate, errors and duration, and its spans, with the
//! number of time series proven by the compiler.
//!
//! ```
//! use obs_runtime::{Label, observe};
//!
//! #[derive(Clone, Copy, Debug, Label)]
//! enum Method { Card, Bank, Wallet }
//!
//! #[observe(labels(method), fields(order_id = %order_id))]
//! async fn charge(order_id: u64, method: Method) -> Result<(), std::io::Error> {
//!     tracing::info!("asking the bank"); // carries order_id, trace_id and span_id
//!     Ok(())
//! }
//! ```
//!
//! [`observe`] is the attribute and has the reference of its arguments; [`Label`] is what makes a
//! value fit for a metric label. An application starts the runtime with [`init`]; until then an
//! annotated function costs one relaxed load. Libraries annotate with `default-features = false`.
//!
//! # Features
//!
//! | feature | brings | default |
//! |---|---|---|
//! | `log` | log lines on stdout, records of the `log` crate included | yes |
//! | `prometheus` | [`metrics`]: a `prometheus-client` registry and its text | yes |
//! | `health` | [`health`]: checks, and [`lifecycle`]: from the start to the end | with `admin` |
//! | `admin` | [`admin`]: a server for `/metrics` and `/health/*` | yes |
//! | `tokio` | [`task`]: tasks that take the context along | with `admin` |
//! | `rayon` | [`rayon`]: the same for its threads | no |
//! | `layer` | [`layer`](crate::layer()): for a `tracing-subscriber` stack of the application's own | no |
//! | `http` | [`http`]: layers for servers and clients | no |
//! | `axum` | the same, with the route that `axum` has matched | no |
//! | `reqwest` | the same, for requests of `reqwest` | no |
//! | `otlp` | spans, log records and metrics to an OpenTelemetry collector, over HTTP | no |
//! | `otlp-grpc` | the same over gRPC | no |
//! | `otlp-tls` | the same over TLS | no |
//! | `profile` | [`profile`]: tasks, waiting and locks in pprof's format, and calls that are stuck | no |
//! | `profile-cpu` | the same of CPU time, by samples | no |
//! | `profile-heap` | the same of memory, by jemalloc | no |
//! | `profile-svg` | profiles as flame graphs | no |
//! | `sync` | [`sync`]: locks that are in the profile `mutex` | no |
//! | `opentelemetry` | code that uses the OpenTelemetry API directly is in our spans, and ours in its | no |
//!
//! Rust 1.85 compiles all of them but `profile-cpu` and `profile-heap`, whose dependencies take Rust 1.88. A tokio from 1.32
//! on will do, but 1.44 is the first for `sync` and `otlp-grpc`.

#![deny(unsafe_code)]
// Much of the core exists for the outputs to read. With all of them on, nothing is exempt.
#![cfg_attr(
    not(all(
        feature = "log",
        feature = "prometheus",
        feature = "admin",
        feature = "otlp",
        feature = "profile",
        feature = "sync"
    )),
    allow(dead_code, unused_imports)
)]

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
#[cfg(feature = "admin")]
pub mod admin;
mod bounded;
mod budget;
mod busy;
mod call;
mod carry;
mod clock;
mod context;
mod export;
#[cfg(feature = "health")]
pub mod health;
#[cfg(feature = "http")]
pub mod http;
mod label;
#[cfg(feature = "health")]
pub mod lifecycle;
mod local;
#[cfg(feature = "log")]
mod log;
pub mod log_level;
mod outcome;
#[cfg(any(feature = "log", feature = "otlp"))]
mod overflow;
mod panics;
#[cfg(feature = "profile")]
pub mod profile;
pub mod propagation;
mod rings;
mod setup;
mod shared;
mod site;
mod state;
mod stderr;
mod store;
mod subscriber;
#[cfg(feature = "sync")]
pub mod sync;
mod text;
mod threads;
mod time;
mod trace;

pub use bounded::Bounded;
#[cfg(feature = "rayon")]
pub use carry::rayon;
#[cfg(feature = "tokio")]
pub use carry::task;
pub use carry::{Context, Entered, InContext, thread};
#[cfg(feature = "otlp")]
pub use export::otlp::{OtlpCompression, OtlpProtocol};
pub use label::Label;
#[cfg(feature = "log")]
pub use log::Format as LogFormat;
#[cfg(feature = "health")]
pub use obs_macros::health_check;
pub use obs_macros::{Label, observe};
pub use outcome::Outcome;
pub use setup::{Builder, Delivered, FlushReport, Guard, InitError, builder, flush, init};
#[cfg(feature = "layer")]
pub use subscriber::{Layer, layer};
pub use trace::{ParseTraceparentError, Sampler, TraceContext};

/// Metrics: the registry, and its text.
#[cfg(feature = "prometheus")]
pub mod metrics {
    pub use crate::export::prometheus::{TextFormat, encode, registry};
    /// The library whose metrics the registry takes.
    pub use prometheus_client;
}
