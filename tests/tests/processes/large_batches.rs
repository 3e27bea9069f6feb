//! Receivers that take no large requests: batches are sent in parts, and only an item that is too large alone is lost.

use bytes::Bytes;
use obs_runtime::{OtlpProtocol, observe};
use obs_tests::receiver::{Reply, receive};
use obs_tests::{DEADLINE, Lines, here, parse_line, process, total};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

/// Names of spans with their numbers, and the sizes of the requests they were in.
type Spans = (BTreeMap<String, usize>, Vec<usize>);

#[derive(Clone, Default)]
struct Received(Arc<Mutex<Spans>>);

impl Received {
    fn take(&self, request: &[u8]) {
        let mut received = self.0.lock().expect("no panic");
        received.1.push(request.len());
        let request = ExportTraceServiceRequest::decode(request).expect("protobuf");
        let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        for span in scopes.flat_map(|scope| scope.spans) {
            let name = span.name.rsplit("::").next().unwrap_or_default().to_owned();
            *received.0.entry(name).or_default() += 1;
        }
    }

    fn count(&self, name: &str) -> usize {
        self.0.lock().expect("no panic").0.get(name).copied().unwrap_or_default()
    }

    fn sizes(&self) -> Vec<usize> {
        self.0.lock().expect("no panic").1.clone()
    }
}

/// Answers calls of gRPC with a status and its message.
fn receive_grpc(answer: impl Fn(&[u8]) -> (u8, &'static str) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    listener.set_nonblocking(true).expect("a listener");
    let answer = Arc::new(answer);
    let serve = async move {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let mut connection = h2::server::Builder::new()
                    .initial_window_size(1 << 26)
                    .initial_connection_window_size(1 << 26)
                    .handshake::<_, Bytes>(stream)
                    .await
                    .expect("HTTP/2");
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    let answer = Arc::clone(&answer);
                    tokio::spawn(async move {
                        let (mut body, mut message) = (request.into_body(), Vec::new());
                        while let Some(Ok(data)) = body.data().await {
                            let _ = body.flow_control().release_capacity(data.len());
                            message.extend_from_slice(&data);
                        }
                        let (status, text) = answer(&message[5..]);
                        let head = http::Response::builder().header("content-type", "application/grpc");
                        if status == 0 {
                            let mut stream =
                                respond.send_response(head.body(()).expect("valid"), false).expect("open");
                            // A message without bytes, behind its length.
                            stream.send_data(Bytes::from_static(&[0; 5]), false).expect("open");
                            let trailers = [("grpc-status", "0")];
                            let trailers = trailers.map(|(name, value)| {
                                (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
                            });
                            stream.send_trailers(trailers.into_iter().collect()).expect("open");
                        } else {
                            let head =
                                head.header("grpc-status", u16::from(status)).header("grpc-message", text);
                            respond.send_response(head.body(()).expect("valid"), true).expect("open");
                        }
                    });
                }
            });
        }
    };
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(serve);
    });
    url
}

#[observe(fields(number))]
fn small(number: usize) -> usize {
    number
}

/// A span of some 60 KiB.
#[observe(fields(
    text, f1 = text, f2 = text, f3 = text, f4 = text, f5 = text, f6 = text, f7 = text, f8 = text, f9 = text,
    f10 = text, f11 = text, f12 = text, f13 = text, f14 = text
))]
fn giant(text: &str) -> usize {
    text.len()
}

fn start(url: String, protocol: OtlpProtocol, lines: &Lines) -> obs_runtime::Guard {
    obs_runtime::builder()
        .no_admin()
        .log_filter("info,large_batches=error,processes=error")
        .log_output(lines.clone())
        .otlp_endpoint(url)
        .otlp_protocol(protocol)
        .otlp_timeout(DEADLINE)
        .init()
        .expect("the runtime starts")
}

fn flush() {
    let flushed = obs_runtime::flush(DEADLINE);
    assert!(flushed.finished, "{flushed:?}");
}

/// Sends a giant among small ones to a receiver that takes at most `limit` bytes.
fn one_giant_takes_no_other_with_it(received: &Received, limit: usize, lines: &Lines) {
    for round in 1..=2 {
        (0..50).for_each(|number| _ = small(number));
        giant(&"x".repeat(4000));
        (50..100).for_each(|number| _ = small(number));
        flush();
        assert_eq!((received.count("small"), received.count("giant")), (100 * round, 0));
        let rejected = total("obs_spans_dropped_total", &[("reason", "rejected")]);
        assert_eq!(rejected, f64::from(u32::try_from(round).expect("few")));
        assert_eq!(total("obs_spans_dropped_total", &[]), rejected);
    }
    assert!(received.sizes().iter().all(|size| *size <= limit));
    assert!(received.sizes().len() < 20, "few requests: {:?}", received.sizes());
    assert_eq!(total("obs_export_failures_total", &[]), 0.0, "the collector works");
    let warnings: Vec<_> =
        lines.text().lines().map(parse_line).filter(|line| line["level"] == "WARN").collect();
    assert_eq!(warnings.len(), 1, "said once: {warnings:#?}");
}

#[test]
fn a_giant_span_takes_no_other_with_it_over_http() {
    let Some(_inside) = process::alone(here!()) else { return };
    for_status(413, "");
}

#[test]
fn a_receiver_may_say_bad_request_of_a_large_one() {
    let Some(_inside) = process::alone(here!()) else { return };
    for_status(400, "http: request body too large");
}

fn for_status(status: u16, text: &'static str) {
    const LIMIT: usize = 40_000;
    let (received, lines) = (Received::default(), Lines::default());
    let takes = received.clone();
    let url = receive(move |_, body| {
        if body.len() > LIMIT {
            return Reply::status(status, text);
        }
        takes.take(body);
        Reply::taken()
    });
    let _guard = start(url, OtlpProtocol::HttpProtobuf, &lines);
    one_giant_takes_no_other_with_it(&received, LIMIT, &lines);
}

fn for_code(code: u8, text: &'static str) {
    const LIMIT: usize = 40_000;
    let (received, lines) = (Received::default(), Lines::default());
    let takes = received.clone();
    let url = receive_grpc(move |body| {
        if body.len() > LIMIT {
            return (code, text);
        }
        takes.take(body);
        (0, "")
    });
    let _guard = start(url, OtlpProtocol::Grpc, &lines);
    one_giant_takes_no_other_with_it(&received, LIMIT, &lines);
}

#[test]
fn a_giant_span_takes_no_other_with_it_by_resource_exhausted() {
    let Some(_inside) = process::alone(here!()) else { return };
    for_code(8, "grpc: received message larger than max (5 vs. 4)");
}

#[test]
fn a_giant_span_takes_no_other_with_it_by_out_of_range() {
    let Some(_inside) = process::alone(here!()) else { return };
    for_code(11, "Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes");
}

#[test]
fn a_giant_span_takes_no_other_with_it_by_a_code_without_a_word() {
    let Some(_inside) = process::alone(here!()) else { return };
    for_code(11, "");
}

#[test]
fn no_request_is_larger_than_receivers_take() {
    const DEFAULT_LIMIT: usize = 4 * 1024 * 1024;
    let Some(_inside) = process::alone(here!()) else { return };
    let (received, lines) = (Received::default(), Lines::default());
    let takes = received.clone();
    let url = receive_grpc(move |body| {
        if body.len() > DEFAULT_LIMIT {
            return (8, "too large");
        }
        takes.take(body);
        (0, "")
    });
    let _guard = start(url, OtlpProtocol::Grpc, &lines);
    let text = "x".repeat(4000);
    (0..512).for_each(|_| _ = giant(&text));
    flush();
    assert_eq!(received.count("giant"), 512);
    assert_eq!(total("obs_spans_dropped_total", &[]), 0.0);
    let sizes = received.sizes();
    assert!(sizes.len() >= 8 && sizes.iter().all(|size| *size <= 3 * 1024 * 1024), "{sizes:?}");
}

#[test]
fn log_records_and_metric_points_are_sent_in_parts_too() {
    const LIMIT: usize = 20_000;
    static COUNTS: Mutex<[usize; 2]> = Mutex::new([0; 2]);
    let Some(_inside) = process::alone(here!()) else { return };
    let url = receive(|path, body| {
        if body.len() > LIMIT {
            return Reply::status(413, "");
        }
        let mut counts = COUNTS.lock().expect("no panic");
        if path == "/v1/logs" {
            let request = ExportLogsServiceRequest::decode(body).expect("protobuf");
            let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
            counts[0] += scopes.map(|scope| scope.log_records.len()).sum::<usize>();
        } else {
            assert_eq!(path, "/v1/metrics");
            let request = ExportMetricsServiceRequest::decode(body).expect("protobuf");
            assert!(!request.resource_metrics[0].scope_metrics[0].metrics[0].name.is_empty());
            counts[1] += 1;
        }
        Reply::taken()
    });
    let _guard = obs_runtime::builder()
        .no_admin()
        .log_filter("info")
        .log_output(Lines::default())
        .sampler(obs_runtime::Sampler::AlwaysOff)
        .otlp_endpoint(url)
        .otlp_timeout(DEADLINE)
        .otlp_logs(true)
        .otlp_metrics(true)
        .init()
        .expect("the runtime starts");
    let text = "x".repeat(1000);
    (0..1000).for_each(|number| tracing::info!(number, text, "a line"));
    flush();
    let [records, requests] = *COUNTS.lock().expect("no panic");
    assert!(records >= 1000, "{records}");
    assert!(requests > 1, "all functions of this program have more points than fit one request");
    for metric in ["obs_log_records_dropped_total", "obs_metric_points_dropped_total"] {
        assert_eq!(total(metric, &[]), 0.0, "{metric}");
    }
}
