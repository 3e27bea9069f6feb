//! The log line that every stack writes, and a sink that counts lines.

use std::hint::black_box;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

/// The context of the line.
pub(super) const REQUEST_ID: &str = "019aa5b0-7c1f-7d52-b3a4-0f6f1d2e3c4b";
pub(super) const USER_ID: u64 = 4711;
pub(super) const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub(super) const SPAN_ID: &str = "00f067aa0ba902b7";

/// Writes so many lines, with fields that the compiler does not know.
#[inline]
pub(super) fn log(lines: u64, line: impl Fn(&str, u64, u32)) {
    for _ in 0..lines {
        let (order, amount, attempt) = black_box(("A-17", 25_000_u64, 2_u32));
        line(order, amount, attempt);
    }
}

static LINES: AtomicU64 = AtomicU64::new(0);

/// Counts lines and throws them away.
#[derive(Clone, Copy, Debug)]
pub(super) struct CountingSink;

impl Write for CountingSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let lines = bytes.split(|byte| *byte == b'\n').count() - 1;
        LINES.fetch_add(lines as u64, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How many lines the sink has seen.
pub(super) fn counted() -> u64 {
    LINES.load(Ordering::Relaxed)
}
