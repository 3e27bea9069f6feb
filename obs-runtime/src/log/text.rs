//! A line as text, for a terminal.

use super::line::{Line, Parts};
use crate::context::{Entry, Fields, unescape};
use crate::text::escaped;
use std::ops::Range;
use tracing_core::Level;

/// The time of day within an RFC 3339 stamp, to the millisecond.
const TIME_OF_DAY: Range<usize> = 11..23;

/// Appends `14:06:51.123  INFO shop::orders: order placed order_id=A1`.
pub(super) fn write(line: &Line<'_>, color: bool, out: &mut Vec<u8>) {
    let Parts { level, target, time, message, fields } = line.parts;
    let paint = |out: &mut Vec<u8>, code: &str, text: &str| {
        let text = if color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
        out.extend_from_slice(text.as_bytes());
    };
    paint(out, "2", &String::from_utf8_lossy(&time[TIME_OF_DAY]));
    out.push(b' ');
    paint(out, color_of(*level), &format!("{:>5}", level.as_str()));
    out.push(b' ');
    paint(out, "2", &escaped(target));
    out.extend_from_slice(b": ");
    out.extend_from_slice(escaped(&unescape(message)).as_bytes());
    let push = |out: &mut Vec<u8>, fields: &Fields, run: &[Entry]| {
        for entry in run {
            // Keys and values are JSON, in which everything that a terminal obeys is escaped.
            let key = String::from_utf8_lossy(fields.key(entry)).into_owned();
            out.push(b' ');
            paint(out, "3", &key);
            out.push(b'=');
            out.extend_from_slice(value(fields.value(entry)).as_bytes());
        }
    };
    line.own_fields(|run| push(out, fields, run));
    line.context_fields(|fields, run| push(out, fields, run));
    if let Some((trace, _)) = line.place() {
        paint(out, "2", &format!(" trace_id={:032x}", trace.trace_id));
    }
}

fn color_of(level: Level) -> &'static str {
    match level {
        Level::ERROR => "31",
        Level::WARN => "33",
        Level::INFO => "32",
        Level::DEBUG => "34",
        _ => "35",
    }
}

/// A value without quotes where it needs none.
fn value(json: &[u8]) -> String {
    let text = unescape(json);
    let plain = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "-_.:/@+%".contains(c));
    if plain { text } else { String::from_utf8_lossy(json).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::with_stack;
    use crate::trace::TraceContext;

    fn written(color: bool) -> String {
        let mut fields = Fields::new();
        fields.push_str("order_id", "A-1");
        fields.push_str("note", "two words");
        fields.push("amount", |out| out.extend_from_slice(b"4200"));
        written_of("shop::orders", "order placed\n\u{1b}[2J", &fields, color)
    }

    fn written_of(target: &str, message: &str, fields: &Fields, color: bool) -> String {
        let mut json = Vec::new();
        crate::context::write_string(&mut json, message);
        let time = b"2026-11-22T14:06:51.123456Z";
        let parts = Parts { level: Level::INFO, target, time, message: &json, fields };
        let trace = TraceContext { trace_id: 0xab, span_id: 1, sampled: false, random: false };
        let _scope = crate::Context::from(trace).enter();
        let mut out = Vec::new();
        with_stack(|stack| write(&Line { parts: &parts, context: Some(stack) }, color, &mut out));
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn a_line_reads_from_left_to_right_and_stays_one_line() {
        assert_eq!(
            written(false),
            "14:06:51.123  INFO shop::orders: order placed\\n\\u{1b}[2J order_id=A-1 note=\"two words\" amount=4200 \
             trace_id=000000000000000000000000000000ab"
        );
    }

    #[test]
    fn nothing_in_a_line_moves_the_cursor_or_turns_the_line_around() {
        for c in crate::text::tests::UNSAFE.chars() {
            let mut fields = Fields::new();
            fields.push_str("value", &format!("a{c}b"));
            fields.push_str("alone", &c.to_string());
            fields.push_str(&format!("key{c}"), "value");
            let line = written_of(&format!("shop{c}"), &format!("message{c}"), &fields, false);
            assert!(!line.contains(crate::text::is_unsafe), "{line:?}");
        }
    }

    #[test]
    fn colours_are_for_terminals() {
        assert!(written(true).contains("\u{1b}[32m INFO\u{1b}[0m"));
    }
}
