//! One line: a flat JSON object, or text for a person.

use super::text;
use crate::context::{Entry, Fields, Stack, write_string};
use crate::time::STAMP_BYTES;
use crate::trace::TraceContext;
use tracing_core::Level;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Text if stdout is a terminal, coloured unless `NO_COLOR` is set; else JSON.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// Text for a person.
    Text,
    /// Text for a person, with colours.
    ColorText,
}

impl Format {
    /// Whether it is text; what is `Auto` here goes nowhere but to JSON.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::ColorText)
    }
}

/// What a line says, but for its context.
pub(super) struct Parts<'a> {
    pub(super) level: Level,
    pub(super) target: &'a str,
    /// RFC 3339.
    pub(super) time: &'a [u8; STAMP_BYTES],
    /// As a JSON string; empty if there is none.
    pub(super) message: &'a [u8],
    pub(super) fields: &'a Fields,
}

pub(super) struct Line<'a> {
    pub(super) parts: &'a Parts<'a>,
    pub(super) context: Option<&'a Stack>,
}

impl Line<'_> {
    /// Appends the line, its end included.
    pub(super) fn write(&self, format: Format, out: &mut Vec<u8>) {
        match format {
            Format::Auto | Format::Json => return self.write_json(out),
            Format::Text => text::write(self, false, out),
            Format::ColorText => text::write(self, true, out),
        }
        out.push(b'\n');
    }

    fn write_json(&self, out: &mut Vec<u8>) {
        let Parts { level, target, time, message, fields } = self.parts;
        begin_json(out, time, *level);
        out.extend_from_slice(if message.is_empty() { b"\"\"" } else { message });
        out.extend_from_slice(b",\"target\":");
        write_string(out, target);
        out.push(b',');
        if let Some(stack) = self.context {
            write_place(stack, out);
        }
        self.context_fields(|fields, run| out.extend_from_slice(fields.bytes_of(run)));
        self.own_fields(|run| out.extend_from_slice(fields.bytes_of(run)));
        end_json(out);
    }

    /// The innermost span.
    pub(super) fn place(&self) -> Option<(TraceContext, bool)> {
        self.context.and_then(Stack::place)
    }

    /// Hands over the fields of the enclosing spans in runs, less those that an inner field replaces.
    pub(super) fn context_fields(&self, mut each: impl FnMut(&Fields, &[Entry])) {
        if let Some(stack) = self.context {
            context_fields(stack, self.parts.fields, |run| each(stack.fields(), run));
        }
    }

    /// Hands over the line's own fields in runs, of equal keys the last.
    pub(super) fn own_fields(&self, mut each: impl FnMut(&[Entry])) {
        let own = self.parts.fields;
        let entries = own.all();
        let replaced = |i: usize| own.shadowed(&entries[i], own, &entries[i + 1..]);
        if !(0..entries.len()).any(replaced) {
            each(entries);
            return;
        }
        for i in (0..entries.len()).filter(|i| !replaced(*i)) {
            each(&entries[i..=i]);
        }
    }
}

/// Begins a line, up to its message.
pub(super) fn begin_json(out: &mut Vec<u8>, time: &[u8; STAMP_BYTES], level: Level) {
    out.extend_from_slice(b"{\"time\":\"");
    out.extend_from_slice(time);
    out.extend_from_slice(behind_time(level));
}

/// Ends a line, each member of which has written the comma behind it.
pub(super) fn end_json(out: &mut Vec<u8>) {
    out.pop();
    out.extend_from_slice(b"}\n");
}

/// Appends what every line of a thread says that is there: the function, the ids, and the fields of the context.
pub(super) fn write_context(stack: &Stack, out: &mut Vec<u8>) {
    write_place(stack, out);
    context_fields(stack, &Fields::new(), |run| out.extend_from_slice(stack.fields().bytes_of(run)));
}

fn write_place(stack: &Stack, out: &mut Vec<u8>) {
    if let Some(function) = stack.top().and_then(|top| top.function) {
        out.extend_from_slice(b"\"function\":");
        write_string(out, function.name());
        out.push(b',');
    }
    if let Some((trace, _)) = stack.place() {
        push_ids(out, &trace);
    }
}

/// Hands over the fields of the enclosing spans in runs, less those that an inner field, or one of the line's own,
/// replaces.
fn context_fields(stack: &Stack, own: &Fields, mut each: impl FnMut(&[Entry])) {
    let Some(top) = stack.top() else { return };
    let visible = stack.visible(top);
    let own_entries = own.all();
    let replaced = |entry: &Entry, inner: &[Entry]| {
        let by_event = !own_entries.is_empty() && stack.fields().shadowed(entry, own, own_entries);
        by_event || stack.fields().shadowed(entry, stack.fields(), inner)
    };
    if !Stack::has_shadows(top) && !visible.iter().any(|entry| replaced(entry, &[])) {
        return each(visible);
    }
    for (i, entry) in visible.iter().enumerate() {
        if !replaced(entry, &visible[i + 1..]) {
            each(std::slice::from_ref(entry));
        }
    }
}

/// What stands between the time and the message.
fn behind_time(level: Level) -> &'static [u8] {
    match level {
        Level::ERROR => b"\",\"level\":\"ERROR\",\"msg\":",
        Level::WARN => b"\",\"level\":\"WARN\",\"msg\":",
        Level::INFO => b"\",\"level\":\"INFO\",\"msg\":",
        Level::DEBUG => b"\",\"level\":\"DEBUG\",\"msg\":",
        Level::TRACE => b"\",\"level\":\"TRACE\",\"msg\":",
    }
}

/// The ids of a span, in lower-case hexadecimal digits.
fn push_ids(out: &mut Vec<u8>, trace: &TraceContext) {
    const EMPTY: [u8; 75] =
        *br#""trace_id":"................................","span_id":"................","#;
    let mut ids = EMPTY;
    write_hex(&mut ids[12..44], &trace.trace_id.to_be_bytes());
    write_hex(&mut ids[57..73], &trace.span_id.to_be_bytes());
    out.extend_from_slice(&ids);
}

fn write_hex(out: &mut [u8], bytes: &[u8]) {
    let fours = bytes.chunks_exact(4).filter_map(<[u8]>::first_chunk);
    for (out, four) in out.chunks_exact_mut(8).zip(fours) {
        out.copy_from_slice(&hex(u32::from_be_bytes(*four)).to_be_bytes());
    }
}

/// Eight digits, all at once.
fn hex(number: u32) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let mut nibbles = u64::from(number);
    for (shift, mask) in [(16, 0x0000_ffff_0000_ffff), (8, 0x00ff_00ff_00ff_00ff), (4, ONES * 15)] {
        nibbles = (nibbles | nibbles << shift) & mask;
    }
    // Those above 9 have a carry into their high half.
    let letters = (nibbles + ONES * 6) >> 4 & ONES;
    nibbles + ONES * u64::from(b'0') + letters * u64::from(b'a' - b'9' - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_digits_at_once_are_those_one_by_one() {
        for number in [0, 1, 9, 0xa, 0xf, 0x1234_5678, 0x9abc_def0, u32::MAX] {
            assert_eq!(hex(number).to_be_bytes(), format!("{number:08x}").as_bytes());
        }
    }
}
