//! Any bytes at all, as a client may send them.

use super::access::{Listener, Policy, Token};
use super::client::Progress;
use super::server::{Server, connection};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex, split};

const TOKEN: &str = "0123456789abcdef";
/// Nothing that a client sends, and then sends no more, keeps it busy for so long.
const DEADLINE: Duration = Duration::from_secs(20);

/// Has a server answer the bytes behind the first, which chooses what kind of server that is and in which
/// pieces they arrive. Returns the answers.
///
/// # Panics
/// If the connection does not end, if it or a handler panics, if somebody sees something without the
/// token that it takes, or if a body is asked for where none is taken.
pub(crate) fn feed(input: &[u8]) -> String {
    let Some((&choice, bytes)) = input.split_first() else { return String::new() };
    let listener = if choice & 1 == 0 { Listener::Loopback } else { Listener::Reachable };
    let (token, allow_remote) = (choice & 2 != 0, choice & 4 != 0);
    let policy = Policy { token: Token::new(TOKEN).filter(|_| token), allow_remote };
    // Down to single bytes, where those are not too many.
    let piece = (1 << (choice >> 4)).max(bytes.len() / 1024);
    let server = Arc::new(Server::new(listener, Arc::new(policy), super::routes(listener)));

    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let exchange = async {
        let (near, far) = duplex(piece);
        let serving = tokio::spawn(connection(far, server, Progress::new()));
        let (mut answers, mut requests) = split(near);
        let bytes = bytes.to_owned();
        let sending = tokio::spawn(async move {
            // The server may have had enough before.
            let _ = requests.write_all(&bytes).await;
            let _ = requests.shutdown().await;
        });
        let mut read = Vec::new();
        let _ = answers.read_to_end(&mut read).await;
        serving.await.expect("the connection does not panic");
        sending.await.expect("all is sent or refused");
        read
    };
    let answers = runtime.block_on(async { tokio::time::timeout(DEADLINE, exchange).await });
    let answers = answers
        .unwrap_or_else(|_| panic!("the connection ends: {choice:#x} {:?}", String::from_utf8_lossy(bytes)));
    // Profiles are no text.
    let answers = String::from_utf8_lossy(&answers).into_owned();
    assert!(!answers.contains(" 500 Internal Server Error\r\n"), "no handler panics");
    let shown = bytes.windows(TOKEN.len()).any(|shown| shown == TOKEN.as_bytes());
    let open = allow_remote || (listener == Listener::Loopback && !token) || (token && shown);
    assert!(open || !answers.contains(" 200 OK\r\n"), "nobody sees anything without the token");
    let takes_body = bytes.windows(16).any(|path| path == b"/debug/log-level");
    assert!(takes_body || !answers.contains(" 100 Continue\r\n"), "no body is asked for where none is taken");
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEDS: [&str; 18] = [
        "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9464\r\nAccept: application/openmetrics-text\r\n\r\n",
        "GET /health/startup?verbose HTTP/1.0\r\n\r\n",
        "HEAD /metrics HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n",
        "GET /health/live HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer 0123456789abcdef\r\n\r\n",
        "GET /health/live HTTP/1.1\r\n\r\nGET /health/ready HTTP/1.1\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n",
        "PUT /debug/log-level HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\ndebug",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nTrailer: 1\r\n\r\n",
        "PUT /health/live HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok",
        "GET http://localhost/metrics HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n\r\n",
        "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET /\u{e9}%zz?%00 HTTP/1.1\r\nHost: a\r\nHost: b\r\n folded\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\nContent-Length: 1\r\n\r\n",
        "\r\n\r\n\0\u{7f}\r\n",
        "GET /health/live HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /health/live HTTP/1.1\r\n\r\n",
        "PUT /debug/log-level?ttl=1s HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\ninfo",
    ];

    #[test]
    fn seeds_are_what_they_should_be() {
        let status = |choice: u8, seed: usize| -> Vec<String> {
            let answers = feed(&[&[choice], SEEDS[seed].as_bytes()].concat());
            answers.match_indices("HTTP/1.").map(|(at, _)| answers[at + 9..at + 12].to_owned()).collect()
        };
        assert_eq!(status(0xf0, 0), ["200"]);
        assert_eq!(status(0x00, 0), ["200"], "byte by byte");
        assert_eq!(status(0xf2, 0), ["401"]);
        assert_eq!(status(0xf6, 0), ["200"], "open to all");
        assert_eq!(status(0xf2, 4), ["200"], "with the token");
        assert_eq!(status(0xf1, 0), ["403"], "no token on an address that others reach");
        assert_eq!(status(0xf0, 5).len(), 3, "pipelined");
        assert_eq!(status(0xf0, 8), ["413"], "it takes no body, and does not ask for one");
        assert_eq!(status(0xf0, 16), ["413"], "the last request of its connection");
        assert_eq!(status(0xf2, 17), ["401"], "no body is asked for without the token");
    }

    /// A thousand requests that are nearly right; the same ones each time.
    #[test]
    fn mutated_requests_are_answered_or_refused() {
        let mut random = fastrand::Rng::with_seed(0x6f62_7361_646d_696e);
        for _ in 0..1_000 {
            let mut input = vec![random.u8(..)];
            for _ in 0..random.usize(1..=3) {
                input.extend_from_slice(SEEDS[random.usize(..SEEDS.len())].as_bytes());
            }
            for _ in 0..random.usize(0..6) {
                mutate(&mut input, &mut random);
            }
            feed(&input);
        }
    }

    /// Changes, drops, repeats or inserts bytes behind the first.
    fn mutate(input: &mut Vec<u8>, random: &mut fastrand::Rng) {
        let start = random.usize(1..=input.len());
        let end = (start + random.usize(0..16)).min(input.len());
        match random.u8(0..5) {
            0 => input[start..end].iter_mut().for_each(|byte| *byte = random.u8(..)),
            1 => drop(input.drain(start..end)),
            2 => {
                let piece = input[start..end].repeat(random.usize(1..2_000));
                input.splice(start..start, piece);
            }
            3 => {
                let seed = SEEDS[random.usize(..SEEDS.len())].as_bytes();
                let from = random.usize(..seed.len());
                let piece = &seed[from..(from + random.usize(0..32)).min(seed.len())];
                input.splice(start..start, piece.iter().copied());
            }
            _ => input.truncate(start),
        }
    }
}
