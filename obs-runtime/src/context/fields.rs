//! Fields as they will stand in a log line: written to JSON once, when they are recorded.

#[cfg(feature = "otlp")]
use super::json::unescape;
use super::json::write_string;
use super::keys::write_key;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// Recorded fields: `"key":value,` one behind the other, and where each part lies.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// Where the scope that is being recorded begins.
    scope: usize,
}

/// One field's place in the bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    start: u32,
    value: u32,
    end: u32,
    /// Whether it came with a context, and so belongs to every span below.
    pub(super) shared: bool,
}

/// So many fields, and so many bytes of them, are seen at once: the innermost ones.
pub(super) const MAX_VISIBLE: usize = 256;
pub(super) const MAX_VISIBLE_BYTES: usize = 64 * 1024;

/// Bytes of fields that one scope may record; what comes later is left out, and counted.
const MAX_SCOPE_BYTES: usize = 64 * 1024;

static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// How many fields have been left out.
pub(crate) fn left_out() -> u64 {
    LEFT_OUT.load(Ordering::Relaxed)
}

/// Whether there is room for a field behind others that have so many bytes. One that is left out is counted.
#[inline]
pub(crate) fn has_room(bytes: usize) -> bool {
    let room = bytes < MAX_SCOPE_BYTES;
    if !room {
        LEFT_OUT.fetch_add(1, Ordering::Relaxed);
    }
    room
}

impl Fields {
    pub(crate) const fn new() -> Self {
        Self { bytes: Vec::new(), entries: Vec::new(), scope: 0 }
    }

    /// How many fields there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many bytes there is room for.
    pub(super) fn room(&self) -> usize {
        self.bytes.capacity()
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn clear(&mut self) {
        self.truncate(0);
        self.scope = 0;
    }

    /// Begins a scope with a limit of its own. Returns how many fields there are before it.
    pub(crate) fn begin_scope(&mut self) -> usize {
        self.scope = self.bytes.len();
        self.entries.len()
    }

    /// Appends fields, in the place of those with the same keys.
    pub(crate) fn set(&mut self, new: &Self) {
        if new.all().iter().any(|entry| self.has(new.key(entry))) {
            let old = std::mem::take(self);
            self.extend(&old, old.all(), |entry| !new.has(old.key(entry)));
        }
        self.extend(new, new.all(), |_| true);
    }

    fn has(&self, key: &[u8]) -> bool {
        self.entries.iter().any(|entry| self.key(entry) == key)
    }

    /// Keeps the first `len` fields.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.entries.truncate(len);
        self.bytes.truncate(self.entries.last().map_or(0, |last| last.end as usize));
    }

    /// The fields from the one at `from` on.
    pub(crate) fn entries(&self, range: Range<usize>) -> &[Entry] {
        self.entries.get(range).unwrap_or_default()
    }

    /// The bytes of a run of entries: `"key":value,"key":value,`
    pub(crate) fn bytes_of(&self, entries: &[Entry]) -> &[u8] {
        match (entries.first(), entries.last()) {
            (Some(first), Some(last)) => &self.bytes[first.start as usize..last.end as usize],
            _ => &[],
        }
    }

    /// The key as JSON writes it, without quotes.
    pub(crate) fn key(&self, entry: &Entry) -> &[u8] {
        &self.bytes[entry.start as usize + 1..entry.value as usize - 2]
    }

    /// The key as text.
    #[cfg(feature = "otlp")]
    pub(crate) fn name(&self, entry: &Entry) -> String {
        unescape(&self.bytes[entry.start as usize..entry.value as usize - 1])
    }

    /// The value as JSON.
    pub(crate) fn value(&self, entry: &Entry) -> &[u8] {
        &self.bytes[entry.value as usize..entry.end as usize - 1]
    }

    /// Whether a field of the same key stands in `others`.
    pub(crate) fn shadowed(&self, entry: &Entry, others: &Self, entries: &[Entry]) -> bool {
        let key = self.key(entry);
        entries.iter().any(|other| others.key(other) == key)
    }

    /// Appends those fields of another set that `keep` lets through.
    pub(crate) fn extend(&mut self, from: &Self, entries: &[Entry], mut keep: impl FnMut(&Entry) -> bool) {
        for entry in entries {
            if keep(entry) {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(&from.bytes[entry.start as usize..entry.end as usize]);
                self.entries.push(Entry {
                    start: offset(start),
                    value: offset(start) + (entry.value - entry.start),
                    end: offset(self.bytes.len()),
                    shared: entry.shared,
                });
            }
        }
    }

    /// Appends fields of another set that lie one behind the other there.
    pub(crate) fn append(&mut self, from: &Self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        let (there, here) = (first.start, offset(self.bytes.len()));
        self.bytes.extend_from_slice(from.bytes_of(entries));
        self.entries.extend(entries.iter().map(|entry| Entry {
            start: entry.start - there + here,
            value: entry.value - there + here,
            end: entry.end - there + here,
            shared: entry.shared,
        }));
    }

    /// Fields whose bytes have been on their own, and that are nobody's context any more.
    #[cfg(feature = "otlp")]
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        let mut entries = Vec::new();
        let mut start = 0;
        while let Some(value) = end_of_string(&bytes, start).map(|key| key + 1) {
            let Some(end) = end_of_value(&bytes, value).map(|end| end + 1) else { break };
            entries.push(Entry {
                start: offset(start),
                value: offset(value),
                end: offset(end),
                shared: false,
            });
            start = end;
        }
        Self { bytes, entries, scope: 0 }
    }

    /// Appends one field, whose value `write` appends as JSON.
    pub(crate) fn push(&mut self, key: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.push_behind(|out| write_key(out, key), write);
    }

    /// Appends one field, whose key and value are appended as JSON.
    #[inline]
    pub(super) fn push_behind(&mut self, key: impl FnOnce(&mut Vec<u8>), value: impl FnOnce(&mut Vec<u8>)) {
        if !has_room(self.bytes.len().saturating_sub(self.scope)) {
            return;
        }
        let start = offset(self.bytes.len());
        key(&mut self.bytes);
        let value_start = offset(self.bytes.len());
        value(&mut self.bytes);
        self.bytes.push(b',');
        let end = offset(self.bytes.len());
        self.entries.push(Entry { start, value: value_start, end, shared: false });
    }

    /// All that belong to every span below.
    pub(super) fn share(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.shared = true);
    }

    /// The bytes of the fields of a span that sees `visible` and has brought what is behind the first `inherited`:
    /// its own, and before them those that contexts around it have brought.
    pub(crate) fn of_span<'a>(&'a self, visible: &'a [Entry], inherited: usize) -> FieldRuns<'a> {
        let (above, own) = visible.split_at(inherited.min(visible.len()));
        FieldRuns {
            fields: self,
            above: above.iter(),
            own: Some(self.bytes_of(own)).filter(|own| !own.is_empty()),
        }
    }

    /// The bytes of a span's own fields, where they are few enough to be seen at once, and no context has brought others.
    #[inline]
    pub(super) fn alone(&self, own: Range<usize>) -> Option<FieldRuns<'_>> {
        let own = Some(self.entries(own)).filter(|own| own.len() <= MAX_VISIBLE)?;
        let own = Some(self.bytes_of(own)).filter(|own| own.len() <= MAX_VISIBLE_BYTES)?;
        Some(FieldRuns { fields: self, above: [].iter(), own: Some(own) })
    }

    /// Appends a string field.
    pub(crate) fn push_str(&mut self, key: &str, value: &str) {
        self.push(key, |out| write_string(out, value));
    }
}

/// Fields that lie apart, as runs of bytes.
#[derive(Clone)]
pub(crate) struct FieldRuns<'a> {
    fields: &'a Fields,
    above: std::slice::Iter<'a, Entry>,
    own: Option<&'a [u8]>,
}

impl FieldRuns<'_> {
    /// How many bytes there are.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        match self.above.as_slice() {
            [] => self.own.map_or(0, <[u8]>::len),
            _ => self.clone().map(<[u8]>::len).sum(),
        }
    }
}

impl<'a> Iterator for FieldRuns<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        match self.above.find(|entry| entry.shared) {
            Some(entry) => Some(self.fields.bytes_of(std::slice::from_ref(entry))),
            None => self.own.take(),
        }
    }
}

/// Where the string that begins there ends: behind its closing quote.
#[cfg(feature = "otlp")]
fn end_of_string(json: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match json.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Where the value that begins there ends: at the comma behind it.
#[cfg(feature = "otlp")]
fn end_of_value(json: &[u8], start: usize) -> Option<usize> {
    match json.get(start)? {
        b'"' => end_of_string(json, start),
        _ => Some(start + json[start..].iter().position(|byte| *byte == b',')?),
    }
}

/// The limits on scopes and values, and the depth of a stack, keep every offset far below four billion.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "see above")]
fn offset(bytes: usize) -> u32 {
    bytes as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(fields: &Fields) -> String {
        String::from_utf8_lossy(fields.bytes_of(fields.all())).into_owned()
    }

    #[test]
    fn fields_are_json_one_behind_the_other() {
        let mut fields = Fields::new();
        fields.push("a", |out| out.extend_from_slice(b"1"));
        fields.push("b\"", |out| write_string(out, "x\n"));
        assert_eq!(text(&fields), r#""a":1,"b\"":"x\n","#);
        let entry = fields.entries(1..2)[0];
        assert_eq!(fields.key(&entry), br#"b\""#);
        fields.truncate(1);
        assert_eq!(text(&fields), r#""a":1,"#);
    }

    #[test]
    #[cfg(feature = "otlp")]
    fn bytes_on_their_own_are_the_same_fields_again() {
        let mut fields = Fields::new();
        for (key, value) in [("a", "1"), ("b\",", r#"x",\"#), ("", ""), ("number", "-1.5e7")] {
            fields.push_str(key, value);
            fields.push(key, |out| out.extend_from_slice(b"2.5"));
        }
        let again = Fields::from_bytes(fields.bytes.clone());
        let parts = |fields: &Fields| -> Vec<(Vec<u8>, Vec<u8>)> {
            fields
                .all()
                .iter()
                .map(|entry| (fields.key(entry).to_vec(), fields.value(entry).to_vec()))
                .collect()
        };
        assert_eq!(parts(&again), parts(&fields));
        assert_eq!(Fields::from_bytes(b"\"cut".to_vec()).len(), 0);
    }

    #[test]
    fn keys_of_the_line_itself_are_renamed() {
        let mut fields = Fields::new();
        fields.push("level", |out| out.extend_from_slice(b"1"));
        assert_eq!(text(&fields), r#""field.level":1,"#);
    }

    #[test]
    fn a_scope_does_not_grow_without_end() {
        let mut fields = Fields::new();
        for _ in 0..100_000 {
            fields.push("key", |out| write_string(out, "some value"));
        }
        assert!(fields.bytes.len() <= MAX_SCOPE_BYTES + 64);
    }
}
