//! Runtimes that are started in a way of their own, come to their end, or are measured: each in a process of its own.

mod admin;
mod after_the_end;
mod baggage_fields;
mod bursts;
mod clocks;
mod collector_faults;
mod dead_collector;
mod failing;
mod foreign_panics;
mod forged_ids;
mod hanging_collector;
mod large_batches;
mod layer;
mod layer_levels;
mod log_levels;
mod many_threads;
mod metrics_push;
mod no_exporter;
mod outputs;
mod profiles_http;
mod router_order;
mod rust_log;
mod short_threads;
mod strange_answers;
mod teardown;
mod terminal;
