//! JSON values, written piece by piece into one buffer. Valid whatever the input, and safe to read in a terminal: characters
//! that it would [obey](is_unsafe) are escaped, which JSON permits for every character.

use crate::text::{is_unsafe, start_of};
use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Longer values are cut, with a mark that says how much is missing.
const MAX_VALUE_BYTES: usize = 4096;

/// Appends a JSON string.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    if text.len() > MAX_VALUE_BYTES {
        return write_with(out, |string| string.write_str(text));
    }
    out.reserve(text.len() + 2);
    out.push(b'"');
    escape(out, text);
    out.push(b'"');
}

/// Appends a number.
#[inline]
pub(crate) fn write_integer(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a number; JSON has no words for the infinite and the undefined, which are strings.
pub(crate) fn write_f64(out: &mut Vec<u8>, number: f64) {
    let quote = if number.is_finite() { "" } else { "\"" };
    let _ = write!(Unescaped(out), "{quote}{number:?}{quote}");
}

pub(crate) fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Appends what a user's formatter prints as a JSON string. A formatter that panics is survived.
pub(crate) fn write_formatted(out: &mut Vec<u8>, value: &dyn fmt::Debug) {
    write_with(out, |string| {
        catch_unwind(AssertUnwindSafe(|| write!(string, "{value:?}")))
            .unwrap_or_else(|_| string.write_str("[its formatter panicked]"))
    });
}

fn write_with(out: &mut Vec<u8>, write: impl FnOnce(&mut JsonString<'_>) -> fmt::Result) {
    out.push(b'"');
    let mut string = JsonString { out, left: MAX_VALUE_BYTES, cut: 0 };
    if write(&mut string).is_err() {
        let _ = string.write_str("[its formatter failed]");
    }
    let cut = string.cut;
    if cut > 0 {
        let _ = write!(Unescaped(out), "…[{cut} bytes cut]");
    }
    out.push(b'"');
}

/// Escapes what is written to it, up to a limit.
struct JsonString<'a> {
    out: &'a mut Vec<u8>,
    left: usize,
    cut: usize,
}

impl Write for JsonString<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let kept = start_of(text, self.left);
        self.cut += text.len() - kept.len();
        self.left = if kept.len() == text.len() { self.left - kept.len() } else { 0 };
        escape(self.out, kept);
        Ok(())
    }
}

struct Unescaped<'a>(&'a mut Vec<u8>);

impl Write for Unescaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// For each byte, what follows the backslash in JSON: 0 for none, `u` for a code point, `LEAD` for the first byte of a
/// character that may have to be escaped.
const ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = b'u';
        control += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0a] = b'n';
    table[0x0c] = b'f';
    table[0x0d] = b'r';
    table[0x7f] = b'u';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    // U+0080 to U+00BF, U+0600 to U+063F, U+2000 to U+2FFF, U+F000 to U+FFFF, U+C0000 to U+FFFFF.
    table[0xc2] = LEAD;
    table[0xd8] = LEAD;
    table[0xe2] = LEAD;
    table[0xef] = LEAD;
    table[0xf3] = LEAD;
    table
};

/// Marks the first byte of a character of several bytes.
const LEAD: u8 = 1;

fn escape(out: &mut Vec<u8>, text: &str) {
    // Most text needs no escape at all.
    if needs_look(text.as_bytes()) {
        escape_each(out, text);
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

#[inline(never)]
fn escape_each(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (i, byte) in bytes.iter().enumerate() {
        let escape = ESCAPES[usize::from(*byte)];
        let length = match escape {
            0 => continue,
            LEAD => match text[i..].chars().next().filter(|c| is_unsafe(*c)) {
                Some(c) => c.len_utf8(),
                None => continue,
            },
            _ => 1,
        };
        out.extend_from_slice(&bytes[copied..i]);
        copied = i + length;
        if matches!(escape, b'u' | LEAD) {
            let c = text[i..].chars().next().unwrap_or_default();
            // Characters beyond U+FFFF are two units.
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| escape_unit(out, *unit));
        } else {
            out.extend_from_slice(&[b'\\', escape]);
        }
    }
    out.extend_from_slice(&bytes[copied..]);
}

/// Appends a UTF-16 code unit: `\u202e`.
fn escape_unit(out: &mut Vec<u8>, unit: u16) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\\u");
    out.extend([12, 8, 4, 0].map(|shift| HEX[usize::from(unit >> shift & 15)]));
}

/// Returns true if one of the bytes is not printable ASCII, or can't stand in a string as it is.
///
/// Looks at eight bytes at once, in one word: for each condition the high bit of a byte that meets it is set. A borrow
/// from one byte to the next begins at a byte that meets the condition, so it changes no answer.
#[inline]
fn needs_look(bytes: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    #[inline]
    fn any(eight: [u8; 8]) -> bool {
        let word = u64::from_ne_bytes(eight);
        let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
        let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
        (word | below(word, 0x20) | equal(b'"') | equal(b'\\') | equal(0x7f)) & HIGH != 0
    }
    if let Some(last) = bytes.last_chunk() {
        let mut rest = bytes;
        while let Some((eight, behind)) = rest.split_first_chunk() {
            if any(*eight) {
                return true;
            }
            rest = behind;
        }
        // The rest, and some of the bytes before it once more.
        return any(*last);
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let mut eight = [0; 8];
        eight[..4].copy_from_slice(first);
        eight[4..].copy_from_slice(last);
        return any(eight);
    }
    bytes.iter().any(|byte| any([*byte; 8]))
}

/// The text of a JSON string that this module wrote, without its quotes; other values as they are.
pub(crate) fn unescape(json: &[u8]) -> String {
    let text = String::from_utf8_lossy(json);
    let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        return text.into_owned();
    };
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('b') => out.push('\u{8}'),
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('f') => out.push('\u{c}'),
            Some('r') => out.push('\r'),
            Some('u') => {
                let first = unit(&mut chars);
                // Characters beyond U+FFFF are two units, the second one behind an escape of its own.
                let second = first
                    .filter(|first| matches!(first, 0xd800..=0xdbff))
                    .and_then(|_| chars.by_ref().take(2).eq(['\\', 'u']).then(|| unit(&mut chars)).flatten());
                let units = first.into_iter().chain(second);
                out.extend(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

/// The UTF-16 code unit of the next four digits.
fn unit(chars: &mut std::str::Chars<'_>) -> Option<u16> {
    let digits: String = chars.by_ref().take(4).collect();
    u16::from_str_radix(&digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::tests::{SAFE, UNSAFE};

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        write_string(&mut out, text);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    #[cfg(feature = "log")]
    fn every_character_survives_a_round_trip() {
        let all: String = (0..0x300).filter_map(char::from_u32).chain("\u{2028}😀".chars()).collect();
        for all in [&*all, UNSAFE, SAFE, "\\u202e \\ud83d\\ude00"] {
            let json = written(all);
            assert!(!json.contains(is_unsafe), "{json:?}");
            assert_eq!(unescape(json.as_bytes()), all);
        }
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped_by_its_code_units() {
        assert_eq!(written("a\u{7f}\u{9b}\u{202e}\u{2066}b"), r#""a\u007f\u009b\u202e\u2066b""#);
        assert_eq!(written("\u{e0041}\u{feff}é"), r#""\udb40\udc41\ufeffé""#);
        for text in [SAFE, "Ægir & Sons", "日本語", "naïve café — “quoted” … €"] {
            assert_eq!(written(text), format!("\"{text}\""));
        }
    }

    #[test]
    fn each_character_that_is_escaped_begins_with_a_byte_that_is_looked_at() {
        for c in ('\0'..=char::MAX).filter(|c| is_unsafe(*c)) {
            let first = c.encode_utf8(&mut [0; 4]).as_bytes()[0];
            assert_ne!(ESCAPES[usize::from(first)], 0, "{c:?}");
        }
    }

    #[test]
    fn what_has_to_be_escaped_is_found_wherever_it_is() {
        for length in 0..40 {
            let mut bytes = vec![b'x'; length];
            assert!(!needs_look(&bytes), "{length}");
            for place in 0..length {
                for byte in 0..=255 {
                    bytes[place] = byte;
                    let expected = !byte.is_ascii() || ESCAPES[usize::from(byte)] != 0;
                    assert_eq!(needs_look(&bytes), expected, "{byte} in {length}");
                }
                bytes[place] = b'x';
            }
        }
    }

    #[test]
    fn a_huge_value_is_cut_between_characters_and_says_so() {
        let json = written(&"é".repeat(MAX_VALUE_BYTES));
        assert!(
            json.ends_with(&format!("é…[{MAX_VALUE_BYTES} bytes cut]\"")),
            "{}",
            &json[json.len() - 40..]
        );
    }

    #[test]
    fn a_formatter_that_panics_or_fails_is_survived() {
        struct Bad(bool);
        impl fmt::Debug for Bad {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                assert!(self.0, "on purpose");
                Err(fmt::Error)
            }
        }
        for (bad, expected) in [(true, "\"[its formatter failed]\""), (false, "\"[its formatter panicked]\"")]
        {
            let mut out = Vec::new();
            write_formatted(&mut out, &Bad(bad));
            assert_eq!(out, expected.as_bytes());
        }
    }
}
