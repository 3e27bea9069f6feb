//! Runtimes that are started in a way of their own, come to their end, or are measured: each in a process of its own.

mod admin;
mod after_the_end;
mod baggage_fields;
mod clocks;
mod collector_faults;
mod dead_collector;
mod forged_ids;
mod hanging_collector;
mod layer;
mod layer_levels;
mod log_levels;
mod many_threads;
mod metrics_push;
mod no_exporter;
mod profiles_http;
mod short_threads;
mod standard_variables;
mod teardown;
mod w3c_harness;
