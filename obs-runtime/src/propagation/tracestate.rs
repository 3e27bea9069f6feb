//! The `tracestate` header: read as far as to know that it may be passed on.

/// What tracing systems tell each other, in the header's own form. Empty if there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TraceState(Box<str>);

/// By the specification. With more, the header is not one.
const MAX_MEMBERS: usize = 32;

/// The specification has everyone pass on 512 bytes at least. Beyond this, long members go first, then
/// the last ones.
const MAX_BYTES: usize = 4096;
const LONG_MEMBER_BYTES: usize = 128;

impl TraceState {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the values of all `tracestate` headers, joined by commas. `None` if they are not as the
    /// specification has them: then all are as good as absent.
    ///
    /// Of two members with one key the first is the later one, and stays.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let mut members: Vec<(&str, &str)> = Vec::new();
        let mut count = 0;
        for member in header.split(',').map(|member| member.trim_matches([' ', '\t'])) {
            if member.is_empty() {
                continue;
            }
            count += 1;
            let (key, value) = member.split_once('=')?;
            if count > MAX_MEMBERS || !is_key(key) || !is_value(value) {
                return None;
            }
            if !members.iter().any(|(earlier, _)| *earlier == key) {
                members.push((key, member));
            }
        }
        let mut members: Vec<&str> = members.into_iter().map(|(_, member)| member).collect();
        while joined_len(&members) > MAX_BYTES {
            match members.iter().rposition(|member| member.len() > LONG_MEMBER_BYTES) {
                Some(long) => drop(members.remove(long)),
                None => drop(members.pop()),
            }
        }
        Some(Self(members.join(",").into()))
    }
}

fn joined_len(members: &[&str]) -> usize {
    members.iter().map(|member| member.len() + 1).sum()
}

/// By level 2 of the specification: a lower-case letter or a digit, then up to 255 of those, `_`, `-`, `*`, `/` and `@`.
fn is_key(key: &str) -> bool {
    let is_first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_later = |byte: u8| is_first(byte) || b"_-*/@".contains(&byte);
    let [first, later @ ..] = key.as_bytes() else { return false };
    key.len() <= 256 && is_first(*first) && later.iter().all(|byte| is_later(*byte))
}

/// Printable ASCII but comma and equals sign, not ending in a space.
fn is_value(value: &str) -> bool {
    let printable = |byte: u8| (0x20..=0x7e).contains(&byte) && byte != b',' && byte != b'=';
    (1..=256).contains(&value.len()) && value.bytes().all(printable) && !value.ends_with(' ')
}
