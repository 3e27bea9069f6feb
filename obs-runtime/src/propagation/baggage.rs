//! The `baggage` header: entries of the application's own that follow a request.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::OnceLock;

/// Entries in the header's own form: `key=value;property,key=value`. Empty if there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Baggage(String);

/// The least that the specification has everyone pass on, and the most that we do.
const MAX_ENTRIES: usize = 64;
const MAX_BYTES: usize = 8192;

/// Entries that become context fields.
static ALLOWED: OnceLock<Vec<String>> = OnceLock::new();

/// From now on these entries become context fields.
pub(crate) fn allow(names: Vec<String>) {
    let _ = ALLOWED.set(names);
}

/// The entries that become context fields, with their values decoded.
pub(crate) fn allowed(baggage: &Baggage) -> impl Iterator<Item = (&'static str, String)> {
    let names = ALLOWED.get().map(Vec::as_slice).unwrap_or_default();
    names.iter().filter_map(|name| Some((name.as_str(), baggage.get(name)?)))
}

impl Baggage {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the values of all `baggage` headers, joined by commas, and whether all of it was to be kept.
    ///
    /// An entry that is not as the specification has it is left out, and so is what exceeds the limits.
    pub(crate) fn parse(header: &str) -> (Self, bool) {
        let (mut kept, mut entries, mut complete) = (String::new(), 0, true);
        for entry in header.split(',').map(|entry| entry.trim_matches([' ', '\t'])) {
            if entry.is_empty() {
                continue;
            }
            let comma = usize::from(!kept.is_empty());
            let fits = entries < MAX_ENTRIES && kept.len() + comma + entry.len() <= MAX_BYTES;
            if !fits || !is_entry(entry) {
                complete = false;
                continue;
            }
            if !kept.is_empty() {
                kept.push(',');
            }
            kept.push_str(entry);
            entries += 1;
        }
        (Self(kept), complete)
    }

    /// The decoded value of the entry with that name.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.entries().find(|(key, _)| *key == name).map(|(_, value)| decode(value))
    }

    /// Sets an entry. False if its key is no token, or if there is no room.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> bool {
        let entry = format!("{name}={}", encode(value));
        let others = self.0.split(',').filter(|other| !other.is_empty() && key_of(other) != name);
        let all: Vec<&str> = others.chain([entry.as_str()]).collect();
        let fits = all.len() <= MAX_ENTRIES && all.join(",").len() <= MAX_BYTES;
        if !fits || !is_entry(&entry) {
            return false;
        }
        self.0 = all.join(",");
        true
    }

    fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.split(',').filter_map(|entry| {
            let entry = entry.split(';').next()?;
            let (key, value) = entry.split_once('=')?;
            Some((key.trim(), value.trim()))
        })
    }
}

fn key_of(entry: &str) -> &str {
    entry.split(['=', ';']).next().unwrap_or_default().trim()
}

/// `key = value *( ; property )`
fn is_entry(entry: &str) -> bool {
    let mut parts = entry.split(';');
    let Some((key, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return false };
    let is_property = |property: &str| match property.split_once('=') {
        Some((key, value)) => is_token(key.trim()) && is_value(value.trim()),
        None => is_token(property.trim()),
    };
    is_token(key.trim()) && is_value(value.trim()) && parts.all(is_property)
}

/// As HTTP has it.
fn is_token(text: &str) -> bool {
    let is_char = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_char)
}

fn is_value(text: &str) -> bool {
    text.bytes().all(is_value_byte)
}

fn is_value_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)
}

fn decode(value: &str) -> String {
    let bytes = value.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped =
            digits.filter(|_| bytes[at] == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(escaped.unwrap_or(bytes[at]));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn encode(value: &str) -> Cow<'_, str> {
    let as_it_is = |byte: u8| is_value_byte(byte) && byte != b'%';
    if value.bytes().all(as_it_is) {
        return Cow::Borrowed(value);
    }
    let mut encoded = String::with_capacity(value.len() + 8);
    for byte in value.bytes() {
        if as_it_is(byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    Cow::Owned(encoded)
}
