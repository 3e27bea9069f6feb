//! A place in a distributed trace, and the W3C `traceparent` header that carries it.

use crate::context::with_stack;
use std::fmt;
use std::str::FromStr;

/// A place in a distributed trace: which trace, which span, and whether it is sampled.
///
/// Reads and writes the `traceparent` header of the
/// [W3C Trace Context](https://www.w3.org/TR/trace-context/) specification:
///
/// ```
/// use obs_runtime::TraceContext;
///
/// let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let caller: TraceContext = header.parse()?;
/// assert!(caller.sampled);
/// assert_eq!(caller.to_string(), header);
/// // What runs inside is a child of that span:
/// obs_runtime::Context::from(caller).run(|| assert_eq!(TraceContext::current(), Some(caller)));
/// # Ok::<(), obs_runtime::ParseTraceparentError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace, never 0.
    pub trace_id: u128,
    /// The span, never 0.
    pub span_id: u64,
    /// Whether the trace's spans are exported.
    pub sampled: bool,
}

impl TraceContext {
    /// The innermost span that this thread is in, or the caller's where that is all there is.
    ///
    /// `None` outside any trace.
    #[must_use]
    pub fn current() -> Option<Self> {
        with_stack(|stack| stack.place()).flatten().map(|(trace, _)| trace)
    }

    /// Says that the innermost span of this thread has to do with another one, which is not its parent:
    /// a job with the requests that asked for it, a batch with its messages.
    ///
    /// ```
    /// # use obs_runtime::{TraceContext, observe};
    /// # struct Message { traceparent: String }
    /// #[observe(kind = "consumer")]
    /// fn consume(batch: &[Message]) {
    ///     batch.iter().filter_map(|message| message.traceparent.parse().ok()).for_each(TraceContext::link);
    ///     // ..
    /// }
    /// ```
    pub fn link(self) {
        crate::subscriber::note(|notes| notes.link(self, true));
    }
}

/// The `traceparent` form: `00-<trace id>-<span id>-<flags>`.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

/// A `traceparent` header that does not follow the specification: as if there were none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseTraceparentError(());

impl fmt::Display for ParseTraceparentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a W3C traceparent header")
    }
}

impl std::error::Error for ParseTraceparentError {}

impl FromStr for TraceContext {
    type Err = ParseTraceparentError;

    fn from_str(header: &str) -> Result<Self, Self::Err> {
        parse(header).ok_or(ParseTraceparentError(()))
    }
}

fn parse(header: &str) -> Option<TraceContext> {
    const VERSION_0_LEN: usize = 55;
    let mut parts = header.splitn(5, '-');
    let [version, trace_id, span_id, flags] = [2, 32, 16, 2].map(|len| hex(parts.next(), len));
    let (version, trace_id, span_id, flags) = (version?, trace_id?, span_id?, flags?);
    // A later version may append to the header, but 255 is no version.
    let ends_well = if version == 0 { header.len() == VERSION_0_LEN } else { version != 0xff };
    let span_id = u64::try_from(span_id).ok()?;
    (ends_well && trace_id != 0 && span_id != 0).then_some(TraceContext {
        trace_id,
        span_id,
        sampled: flags & 1 == 1,
    })
}

/// A number of exactly `len` lower-case hexadecimal digits.
fn hex(digits: Option<&str>, len: usize) -> Option<u128> {
    let digits = digits?;
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (digits.len() == len && digits.bytes().all(lower)).then(|| u128::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traceparent_is_read_as_the_specification_says() {
        const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
        const SPAN: &str = "b7ad6b7169203331";
        let valid = [
            (format!("00-{TRACE}-{SPAN}-01"), true),
            (format!("00-{TRACE}-{SPAN}-00"), false),
            (format!("00-{TRACE}-{SPAN}-03"), true),
            (format!("01-{TRACE}-{SPAN}-01"), true),
            (format!("cc-{TRACE}-{SPAN}-01-what-comes-later"), true),
        ];
        for (header, sampled) in valid {
            let context: TraceContext = header.parse().expect(&header);
            assert_eq!(context.sampled, sampled, "{header}");
            assert_eq!(context.span_id, 0xb7ad_6b71_6920_3331);
        }
        let invalid = [
            String::new(),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}"),
            format!("00_{TRACE}_{SPAN}_01"),
            format!("00-{TRACE}-{SPAN}-0g"),
            format!("00-+{}-{SPAN}-01", &TRACE[1..]),
            format!(" 00-{TRACE}-{SPAN}-01"),
            "😀".repeat(14),
        ];
        for header in invalid {
            assert!(header.parse::<TraceContext>().is_err(), "{header}");
        }
    }
}
