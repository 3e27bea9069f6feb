//! A collector at its worst: what was emitted is what it took plus what is counted as dropped.

use obs_runtime::observe;
use obs_tests::{ClosedPort, DEADLINE, Lines, here, parse_line, process, total};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What the collector does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Takes,
    /// And answers in JSON, under the name of protobuf.
    TakesInJson,
    /// All but so many.
    Refuses(i64),
    Answers(u16, &'static str),
    /// Reads half of the request, and is gone.
    ClosesInRequest,
    /// Reads all of it, begins to answer, and is gone.
    ClosesInAnswer,
    /// Reads all of it and says nothing.
    Hangs,
}

/// A receiver that follows a script, and then takes everything.
#[derive(Clone, Default)]
struct Collector {
    script: Arc<Mutex<VecDeque<Does>>>,
    /// Spans of requests that were answered with a success, less those refused.
    taken: Arc<Mutex<u64>>,
    seen: Arc<Mutex<Vec<Does>>>,
}

impl Collector {
    fn listen(&self, listener: TcpListener) {
        let collector = self.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (collector, stream) = (collector.clone(), stream.expect("a connection"));
                // Whatever goes wrong here is the sender's to survive.
                thread::spawn(move || collector.serve(stream));
            }
        });
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut stream = stream;
        loop {
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a number");
                }
                if line == "\r\n" {
                    break;
                }
            }
            let does = self.script.lock().expect("no panic").pop_front().unwrap_or(Does::Takes);
            self.seen.lock().expect("no panic").push(does);
            let mut body = vec![0; if does == Does::ClosesInRequest { length / 2 } else { length }];
            reader.read_exact(&mut body)?;
            let answer = |status: u16, headers: &str, body: &[u8]| {
                let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
                [head.as_bytes(), body].concat()
            };
            let protobuf = "content-type: application/x-protobuf\r\n";
            match does {
                Does::Takes => {
                    self.take(&body, 0);
                    stream.write_all(&answer(200, protobuf, b""))?;
                }
                Does::TakesInJson => {
                    self.take(&body, 0);
                    stream.write_all(&answer(200, protobuf, b"{\"partialSuccess\":{}}"))?;
                }
                Does::Refuses(rejected_spans) => {
                    self.take(&body, rejected_spans);
                    let error_message = "too old".to_owned();
                    let partial_success = Some(ExportTracePartialSuccess { rejected_spans, error_message });
                    let message = ExportTraceServiceResponse { partial_success }.encode_to_vec();
                    stream.write_all(&answer(200, protobuf, &message))?;
                }
                Does::Answers(status, headers) => stream.write_all(&answer(status, headers, b"busy"))?,
                Does::ClosesInRequest => return Ok(()),
                Does::ClosesInAnswer => {
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-le")?;
                    return Ok(());
                }
                Does::Hangs => thread::sleep(Duration::from_hours(1)),
            }
        }
    }

    fn take(&self, body: &[u8], rejected: i64) {
        let request = ExportTraceServiceRequest::decode(body).expect("protobuf");
        let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        let spans: usize = scopes.map(|scope| scope.spans.len()).sum();
        *self.taken.lock().expect("no panic") += spans as u64 - u64::try_from(rejected).expect("positive");
    }

    fn taken(&self) -> u64 {
        *self.taken.lock().expect("no panic")
    }
}

#[observe]
fn emitted() {}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
fn dropped() -> u64 {
    total("obs_spans_dropped_total", &[]) as u64
}

#[test]
fn what_was_emitted_is_what_was_taken_and_what_was_dropped() {
    let Some(_inside) = process::alone(here!()) else { return };
    let port = ClosedPort::reserve();
    let lines = Lines::default();
    let guard = obs_runtime::builder()
        .no_admin()
        .log_output(lines.clone())
        .otlp_endpoint(format!("http://{}", port.address()))
        // Time for all that is tried again, on a busy machine too.
        .otlp_timeout(Duration::from_secs(5))
        .init()
        .expect("the runtime starts");
    let collector = Collector::default();
    let mut all = 0;
    // So many spans that are sent at once. Says how many of them were lost.
    let mut emit = |does: &[Does]| {
        collector.script.lock().expect("no panic").extend(does);
        let before = dropped();
        (0..100).for_each(|_| emitted());
        all += 100;
        assert!(obs_runtime::flush(DEADLINE).finished, "{does:?}");
        assert!(collector.script.lock().expect("no panic").is_empty(), "{does:?}: all of it happened");
        assert_eq!(collector.taken() + dropped(), all, "{does:?}");
        dropped() - before
    };

    assert_eq!(emit(&[]), 100, "refused until the time is up");
    collector.listen(port.listen());
    assert_eq!(emit(&[Does::Takes]), 0);
    assert_eq!(emit(&[Does::TakesInJson]), 0, "a success, and neither retried nor lost");
    assert_eq!(emit(&[Does::Answers(503, "")]), 0, "tried again");
    assert_eq!(emit(&[Does::Answers(429, "retry-after: 1\r\n"), Does::Answers(502, "")]), 0, "tried again");
    let at_once = Does::Answers(503, "retry-after: 0\r\n");
    assert_eq!(emit(&[at_once; 3]), 0, "tried again, and not all the time");
    assert_eq!(emit(&[Does::ClosesInRequest]), 0, "tried again");
    assert_eq!(emit(&[Does::ClosesInAnswer]), 0, "tried again");
    assert_eq!(emit(&[Does::Refuses(7)]), 7, "a part");
    assert_eq!(emit(&[Does::Answers(400, "content-type: text/plain\r\n")]), 100, "hopeless");
    assert_eq!(emit(&[Does::Answers(307, "location: http://127.0.0.1:1/\r\n")]), 100, "not followed");
    assert_eq!(emit(&[Does::Hangs]), 100, "until the time is up");
    assert_eq!(emit(&[Does::Takes]), 0, "and works again");
    let seen = collector.seen.lock().expect("no panic").clone();
    assert_eq!(seen.iter().filter(|does| **does == Does::TakesInJson).count(), 1);

    drop(guard);
    let said: Vec<(String, String)> = lines
        .text()
        .lines()
        .map(parse_line)
        .map(|line| {
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            (text("level"), format!("{} {} {}", text("msg"), text("error"), text("remark")))
        })
        .collect();
    let warnings: Vec<&String> =
        said.iter().filter(|(level, _)| level == "WARN").map(|(_, text)| text).collect();
    let expected = ["refused", "a success without a collector's answer", "too old", "HTTP status 400: busy"];
    assert_eq!(warnings.len(), expected.len(), "once for each change: {said:#?}");
    for (warning, expected) in warnings.iter().zip(expected) {
        assert!(warning.contains(expected), "{warning}: {expected}");
    }
}
