//! `slog` with the JSON of `slog-json`. It has no spans, so the context is that of a child logger.

use super::lines::{REQUEST_ID, SPAN_ID, TRACE_ID, USER_ID, log};
use crate::case::{Case, Running, Work};
use slog::{Drain, Logger, o};
use std::io;
use std::sync::Mutex;

pub(super) const CASES: &[Case] = &[Case::new(Work::Line, "slog, slog-json", || {
    let drain = Mutex::new(slog_json::Json::default(io::sink())).fuse();
    let logger = Logger::root(drain, o!("target" => "shop"));
    let logger = logger.new(o!(
        "request_id" => REQUEST_ID,
        "user_id" => USER_ID,
        "trace_id" => TRACE_ID,
        "span_id" => SPAN_ID,
    ));
    Running::new(move |calls| log(calls, |order, amount, attempt| line(&logger, order, amount, attempt)))
})];

#[inline(never)]
fn line(logger: &Logger, order: &str, amount: u64, attempt: u32) {
    slog::info!(logger, "asking the bank"; "order" => order, "amount" => amount, "attempt" => attempt);
}
