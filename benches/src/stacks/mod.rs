//! Everyone who does the works: a file each.

mod emit;
mod fastrace;
mod floor;
mod foundations;
mod futures;
mod hotpath;
mod lines;
mod metrics_facade;
mod opentelemetry;
mod ours;
mod prometheus;
mod prometheus_client;
mod slog;
mod spans;
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
    let stacks = [
        floor::CASES,
        ours::CASES,
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
    stacks.into_iter().flatten()
}
