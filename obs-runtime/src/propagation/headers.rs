//! Whatever holds headers: of HTTP, of gRPC, of a message in a queue.

use std::collections::HashMap;
use std::hash::BuildHasher;

/// Headers that can be read.
///
/// ```
/// use obs_runtime::propagation::{Headers, extract};
///
/// /// As a message queue has them.
/// struct Properties(Vec<(String, Vec<u8>)>);
///
/// impl Headers for Properties {
///     fn each(&self, name: &str, with: &mut dyn FnMut(&[u8])) {
///         for (key, value) in self.0.iter().filter(|(key, _)| key == name) {
///             with(value);
///         }
///     }
/// }
///
/// let header = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_vec();
/// let context = extract(&Properties(vec![("traceparent".into(), header)]));
/// assert!(context.trace().is_some());
/// ```
pub trait Headers {
    /// Calls `with` with each value of the header, in order. Names come in lower case, and are to be
    /// compared without regard to it.
    fn each(&self, name: &str, with: &mut dyn FnMut(&[u8]));
}

/// Headers that can be written.
pub trait HeadersMut {
    /// Sets the header to this value alone. Names come in lower case; values are printable ASCII.
    fn set(&mut self, name: &'static str, value: &str);
}

impl<S: BuildHasher> Headers for HashMap<String, String, S> {
    fn each(&self, name: &str, with: &mut dyn FnMut(&[u8])) {
        for (_, value) in self.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)) {
            with(value.as_bytes());
        }
    }
}

impl<S: BuildHasher> HeadersMut for HashMap<String, String, S> {
    fn set(&mut self, name: &'static str, value: &str) {
        self.retain(|key, _| !key.eq_ignore_ascii_case(name));
        self.insert(name.to_owned(), value.to_owned());
    }
}

impl<K: AsRef<str>, V: AsRef<[u8]>> Headers for [(K, V)] {
    fn each(&self, name: &str, with: &mut dyn FnMut(&[u8])) {
        for (_, value) in self.iter().filter(|(key, _)| key.as_ref().eq_ignore_ascii_case(name)) {
            with(value.as_ref());
        }
    }
}

impl HeadersMut for Vec<(String, String)> {
    fn set(&mut self, name: &'static str, value: &str) {
        self.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self.push((name.to_owned(), value.to_owned()));
    }
}

#[cfg(feature = "http")]
impl Headers for http::HeaderMap {
    fn each(&self, name: &str, with: &mut dyn FnMut(&[u8])) {
        for value in self.get_all(name) {
            with(value.as_bytes());
        }
    }
}

#[cfg(feature = "http")]
impl HeadersMut for http::HeaderMap {
    fn set(&mut self, name: &'static str, value: &str) {
        if let Ok(value) = http::HeaderValue::from_str(value) {
            self.insert(name, value);
        }
    }
}
