//! A place in a distributed trace, and the W3C `traceparent` header that carries it.

use crate::context::with_stack;
use std::fmt;
use std::str::FromStr;

/// A place in a distributed trace: which trace, which span, and whether it is sampled.
///
/// Reads and writes the `traceparent` header of the
/// [W3C Trace Context](https://www.w3.org/TR/trace-context-2/) specification, level 2:
///
/// ```
/// use obs_runtime::TraceContext;
///
/// let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";
/// let caller: TraceContext = header.parse()?;
/// assert!(caller.sampled && caller.random);
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
    /// Whether the right-most 7 bytes of the trace id are random, so that samplers may rely on them: a flag of level 2 of
    /// the specification. True of traces that begin here; of others, as the caller says.
    pub random: bool,
}

/// The flags of `traceparent`: bits 0 and 1. The specification has further ones set to zero.
const SAMPLED: u8 = 1;
const RANDOM: u8 = 2;

impl TraceContext {
    /// The flags, as `traceparent` and OTLP have them.
    pub(crate) fn flags(self) -> u8 {
        (u8::from(self.sampled) * SAMPLED) | (u8::from(self.random) * RANDOM)
    }

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
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags())
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
        sampled: flags & u128::from(SAMPLED) != 0,
        random: flags & u128::from(RANDOM) != 0,
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
            (format!("00-{TRACE}-{SPAN}-01"), "01"),
            (format!("00-{TRACE}-{SPAN}-00"), "00"),
            (format!("00-{TRACE}-{SPAN}-02"), "02"),
            (format!("00-{TRACE}-{SPAN}-03"), "03"),
            (format!("00-{TRACE}-{SPAN}-fe"), "02"),
            (format!("00-{TRACE}-{SPAN}-ff"), "03"),
            (format!("01-{TRACE}-{SPAN}-01"), "01"),
            (format!("cc-{TRACE}-{SPAN}-01-what-comes-later"), "01"),
        ];
        for (header, flags) in valid {
            let context: TraceContext = header.parse().expect(&header);
            assert_eq!(context.to_string(), format!("00-{TRACE}-{SPAN}-{flags}"), "{header}");
            assert_eq!(
                (context.sampled, context.random),
                (flags.ends_with(['1', '3']), flags.ends_with(['2', '3']))
            );
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
