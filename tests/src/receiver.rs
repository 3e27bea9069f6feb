//! A receiver of telemetry over HTTP, which a test tells how to answer.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

/// An answer to a request.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The content type; empty for none.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
    /// Bytes by which the body is shorter than its `content-length` says; the connection ends there.
    pub missing: usize,
}

impl Reply {
    /// A success, as the protocol has it.
    #[must_use]
    pub fn taken() -> Self {
        Self { status: 200, content_type: "application/x-protobuf", ..Self::default() }
    }

    /// A status with a text.
    #[must_use]
    pub fn status(status: u16, text: &str) -> Self {
        Self { status, content_type: "text/plain", body: text.into(), ..Self::default() }
    }
}

/// Answers every request by `answer`, which is given its path and its body, until the process ends. Returns the URL.
///
/// # Panics
/// If there is no port.
pub fn receive(answer: impl Fn(&str, &[u8]) -> Reply + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            // A connection that ends is the sender's to notice.
            thread::spawn(move || serve(stream, &*answer));
        }
    });
    url
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&str, &[u8]) -> Reply) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let (mut length, mut path) = (0, String::new());
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if path.is_empty() {
                line.split(' ').nth(1).unwrap_or_default().clone_into(&mut path);
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let Reply { status, content_type, body, missing } = answer(&path, &body);
        let length = body.len() + missing;
        let mut head = format!("HTTP/1.1 {status} X\r\n");
        if status != 204 {
            head = format!("{head}content-length: {length}\r\n");
        }
        if !content_type.is_empty() {
            head = format!("{head}content-type: {content_type}\r\n");
        }
        stream.write_all(&[head.as_bytes(), b"\r\n", &body].concat())?;
        if missing > 0 {
            return Ok(());
        }
    }
}
