//! A request that asks for more log lines of itself.

use http::{HeaderMap, HeaderName, HeaderValue};
use tracing_core::Level;

const LEVEL: HeaderName = HeaderName::from_static("x-log-level");
const TOKEN: HeaderName = HeaderName::from_static("x-log-level-token");

/// The level that a request asks for, if it has the token.
///
/// Right or wrong, the token goes no further: whoever sends headers on would give it away.
pub(super) fn take(headers: &mut HeaderMap, is_token: impl FnOnce(&[u8]) -> bool) -> Option<Level> {
    if !headers.contains_key(&TOKEN) {
        return None;
    }
    let (token, level) = (only(headers, &TOKEN), only(headers, &LEVEL));
    if !is_token(token?.as_bytes()) {
        return None;
    }
    level?.to_str().ok()?.trim().parse().ok()
}

/// Takes a header out. Of one that is there twice, nobody knows which is meant.
fn only(headers: &mut HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let once = headers.get_all(name).iter().nth(1).is_none();
    headers.remove(name).filter(|_| once)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(sent: &[(&HeaderName, &str)]) -> (Option<Level>, HeaderMap) {
        let value = |text: &str| HeaderValue::from_str(text).expect("a value");
        let mut headers: HeaderMap = sent.iter().map(|(name, text)| ((*name).clone(), value(text))).collect();
        (take(&mut headers, |token| token == b"right"), headers)
    }

    #[test]
    fn a_level_takes_the_right_token() {
        assert_eq!(taken(&[(&LEVEL, "debug"), (&TOKEN, "right")]).0, Some(Level::DEBUG));
        assert_eq!(taken(&[(&LEVEL, "TRACE"), (&TOKEN, "right")]).0, Some(Level::TRACE));
        for sent in [
            &[(&LEVEL, "debug"), (&TOKEN, "wrong")][..],
            &[(&LEVEL, "debug"), (&TOKEN, "")],
            &[(&LEVEL, "debug")],
            &[(&TOKEN, "right")],
            &[(&LEVEL, "loud"), (&TOKEN, "right")],
            &[(&LEVEL, "debug"), (&TOKEN, "right"), (&TOKEN, "wrong")],
            &[(&LEVEL, "debug"), (&LEVEL, "info"), (&TOKEN, "right")],
        ] {
            assert_eq!(taken(sent).0, None, "{sent:?}");
        }
    }

    #[test]
    fn the_token_goes_no_further() {
        for token in ["right", "wrong"] {
            let (_, left) = taken(&[(&LEVEL, "debug"), (&TOKEN, token), (&http::header::HOST, "here")]);
            assert_eq!(left.len(), 1, "{left:?}");
        }
        let (_, left) = taken(&[(&LEVEL, "a header of the application's own")]);
        assert!(left.contains_key(&LEVEL));
    }
}
