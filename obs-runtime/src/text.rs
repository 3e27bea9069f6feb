//! Text that is cut to a length, and text that a person reads in a terminal.
//!
//! # Characters that are escaped
//!
//! A terminal obeys control characters, and bidirectional controls show a line in another order than it was written in
//! ("Trojan Source"). [`is_unsafe`] lists the characters that no text for a person contains as they are:
//!
//! - C0 controls, DEL and C1 controls: U+0000 to U+001F, U+007F to U+009F,
//! - bidirectional controls: U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069,
//! - line and paragraph separators: U+2028, U+2029,
//! - invisible characters: U+200B, U+2060 to U+2065, U+206A to U+206F, U+FEFF, U+FFF9 to U+FFFB, and the tag
//!   characters U+E0000 to U+E007F.
//!
//! U+200C and U+200D stay: Persian, the scripts of India and emoji are written with them, and they change no order.

#[cfg(any(feature = "log", feature = "profile"))]
use std::borrow::Cow;
use std::fmt::{self, Write};

/// Returns true for a character that a text for a person contains only escaped.
#[inline]
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

/// Returns the text with each [unsafe](is_unsafe) character as a Rust escape: `\n`, `\u{1b}`, `\u{202e}`.
#[cfg(any(feature = "log", feature = "profile"))]
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let _ = Escaper(&mut out).write_str(text);
    Cow::Owned(out)
}

/// Displays a value with each [unsafe](is_unsafe) character escaped.
#[cfg(feature = "log")]
pub(crate) struct Escaped<T>(pub(crate) T);

#[cfg(feature = "log")]
impl<T: fmt::Display> fmt::Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaper(f), "{}", self.0)
    }
}

/// Escapes the [unsafe](is_unsafe) characters of the text that is written to it.
pub(crate) struct Escaper<W>(pub(crate) W);

impl<W: Write> Write for Escaper<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_unsafe(*c)) {
            self.0.write_str(&rest[..at])?;
            write!(self.0, "{}", c.escape_default())?;
            rest = &rest[at + c.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

/// The start of a text, of so many bytes at most: all of it, or up to the last character that fits.
pub(crate) fn start_of(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let mut end = most;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One character of each range, and both ends of those that have more.
    pub(crate) const UNSAFE: &str = "\0\u{1}\u{8}\t\n\r\u{1b}\u{1f}\u{7f}\u{80}\u{85}\u{9b}\u{9f}\u{61c}\u{200b}\
        \u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2060}\u{2065}\u{2066}\u{2067}\
        \u{2068}\u{2069}\u{206a}\u{206f}\u{feff}\u{fff9}\u{fffb}\u{e0001}\u{e0041}\u{e007f}";

    /// Characters beside those ranges, and text that people write.
    pub(crate) const SAFE: &str = " ~\u{a0}\u{ad}\u{61b}\u{61d}\u{200a}\u{200c}\u{200d}\u{2010}\u{2027}\u{202f}\u{205f}\
        \u{2070}\u{fefe}\u{fff8}\u{fffc}\u{fffd}\u{e0100}äÇ日本語 שלום مرحبا 👩\u{200d}👩\u{200d}👧 🏳\u{fe0f}";

    #[test]
    #[cfg(feature = "log")]
    fn what_a_terminal_would_obey_is_escaped_and_all_else_stays() {
        assert!(UNSAFE.chars().all(is_unsafe));
        assert!(!SAFE.chars().any(is_unsafe));
        assert!(matches!(escaped(SAFE), Cow::Borrowed(SAFE)));
        assert!(!escaped(UNSAFE).contains(is_unsafe));
        let text = "a\u{202e}b\u{9b}31m\n\u{1b}[2J\u{7f}é";
        let expected = "a\\u{202e}b\\u{9b}31m\\n\\u{1b}[2J\\u{7f}é";
        assert_eq!((&*escaped(text), &*Escaped(text).to_string()), (expected, expected));
    }

    #[test]
    fn no_character_is_cut() {
        let cut: Vec<_> = (0..=7).map(|most| start_of("aé€", most)).collect();
        assert_eq!(cut, ["", "a", "a", "aé", "aé", "aé", "aé€", "aé€"]);
    }
}
