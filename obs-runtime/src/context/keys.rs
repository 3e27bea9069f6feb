//! Names of fields as JSON keys, written by the compiler where it knows them.

use super::json::write_string;

/// Keys of every line, which no field may write a second time.
const RESERVED: [&str; 7] = ["time", "level", "msg", "target", "function", "trace_id", "span_id"];

/// Stands before a field's name that is reserved.
const RESERVED_PREFIX: &str = "field.";

/// Appends a field's name as a key of a line.
pub(crate) fn write_key(out: &mut Vec<u8>, name: &str) {
    if is_reserved(name) {
        write_string(out, &format!("{RESERVED_PREFIX}{name}"));
    } else {
        write_string(out, name);
    }
    out.push(b':');
}

/// Whether a line has that key already.
fn is_reserved(key: &str) -> bool {
    // As nearly all keys are not, by their length.
    key.len() <= 8 && RESERVED.contains(&key)
}

/// `"name":`
#[must_use]
pub const fn json_key<const N: usize>(name: &str) -> [u8; N] {
    let name = name.as_bytes();
    let mut key = [b'"'; N];
    let mut at = 0;
    while at < name.len() {
        key[at + 1] = name[at];
        at += 1;
    }
    key[N - 1] = b':';
    key
}

/// The same as text; empty if the name can't stand in a line as it is.
#[must_use]
pub const fn json_key_text(name: &str, key: &'static [u8]) -> &'static str {
    let mut reserved = 0;
    while reserved < RESERVED.len() {
        if same(name.as_bytes(), RESERVED[reserved].as_bytes()) {
            return "";
        }
        reserved += 1;
    }
    let mut at = 0;
    while at < name.len() {
        if !matches!(name.as_bytes()[at], b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-') {
            return "";
        }
        at += 1;
    }
    match std::str::from_utf8(key) {
        Ok(key) => key,
        Err(_) => "",
    }
}

const fn same(left: &[u8], right: &[u8]) -> bool {
    let mut at = 0;
    while at < left.len() && at < right.len() && left[at] == right[at] {
        at += 1;
    }
    at == left.len() && at == right.len()
}

#[cfg(test)]
mod tests {
    use crate::__private::json_key;

    #[test]
    fn keys_that_need_no_second_look_are_ready() {
        assert_eq!(json_key!("order.id"), "\"order.id\":");
        assert_eq!(json_key!("a"), "\"a\":");
        for later in [json_key!("level"), json_key!("with\"quote"), json_key!("zo\u{eb}")] {
            assert_eq!(later, "");
        }
    }
}
