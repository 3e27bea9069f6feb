//! Calls and contexts as they come out of one runtime, which nearly all tests share: they run beside one another, and
//! each asks the recorder for functions of its own.

mod carry;
mod context;
mod futures;
mod http;
mod locks;
mod logs;
mod notes;
mod opentelemetry_api;
mod outcomes;
mod profiles;
mod scrape;
mod store;
mod threads;
mod w3c;
