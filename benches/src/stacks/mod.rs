//! Everyone who does the works: a file each.

mod floor;
mod futures;
mod lines;
mod ours;
mod spans;

#[cfg(feature = "peers")]
mod emit;
#[cfg(feature = "peers")]
mod fastrace;
#[cfg(feature = "peers")]
mod foundations;
#[cfg(feature = "peers")]
mod hotpath;
#[cfg(feature = "peers")]
mod metrics_facade;
#[cfg(feature = "peers")]
mod opentelemetry;
#[cfg(feature = "peers")]
mod prometheus;
#[cfg(feature = "peers")]
mod prometheus_client;
#[cfg(feature = "peers")]
mod slog;
#[cfg(feature = "peers")]
mod tracing;

use crate::case::Case;

/// The column that everything is compared with.
pub(crate) const FLOOR: &str = "floor";
/// The column of this project.
pub(crate) const OURS: &str = "obs";
/// The function without observation.
pub(crate) const PLAIN: &str = "plain";

/// Every case.
pub(crate) fn cases() -> impl Iterator<Item = &'static Case> {
    [floor::CASES, ours::CASES].into_iter().chain(peers()).flatten()
}

#[cfg(feature = "peers")]
fn peers() -> impl Iterator<Item = &'static [Case]> {
    let peers: [&[Case]; 10] = [
        fastrace::CASES,
        tracing::CASES,
        prometheus_client::CASES,
        foundations::CASES,
        metrics_facade::CASES,
        prometheus::CASES,
        opentelemetry::CASES,
        hotpath::CASES,
        emit::CASES,
        slog::CASES,
    ];
    peers.into_iter()
}

#[cfg(not(feature = "peers"))]
fn peers() -> impl Iterator<Item = &'static [Case]> {
    std::iter::empty()
}
