//! The cases of the W3C's harness for Trace Context, level 2, by their names there, over HTTP: a service takes a request
//! in, and sends requests on to the URLs in its body.

use axum::extract::{Json, Path, State};
use axum::http::HeaderMap;
use axum::{Router, routing::post};
use obs_runtime::http::ServerLayer;
use obs_runtime::http::reqwest::RequestBuilderExt;
use obs_tests::{DEADLINE, Spans, here, process};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

const TRACE: &str = "12345678901234567890123456789012";
const PARENT: &str = "1234567890123456";

/// The headers of the requests that the service has sent on.
type Received = Arc<Mutex<Vec<HeaderMap>>>;

struct Harness {
    service: SocketAddr,
    callback: SocketAddr,
    received: Received,
    _runtime: tokio::runtime::Runtime,
}

/// Sends on what it is told to.
async fn service(Json(requests): Json<Vec<Value>>) {
    for request in requests {
        let url = request["url"].as_str().expect("a URL");
        let sent = reqwest::Client::new().post(url).json(&request["arguments"]).send_observed();
        sent.await.expect("an answer");
    }
}

async fn callback(State(received): State<Received>, Path(_): Path<usize>, headers: HeaderMap) {
    received.lock().expect("no panic").push(headers);
}

impl Harness {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let received = Received::default();
        let callback = Router::new().route("/{index}", post(callback)).with_state(Arc::clone(&received));
        let service = Router::new().route("/test", post(service)).layer(ServerLayer::new());
        let [service, callback] = [service, callback].map(|app| {
            let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
            let address = listener.local_addr().expect("bound");
            runtime.spawn(async { axum::serve(listener, app).await });
            address
        });
        Self { service, callback, received, _runtime: runtime }
    }

    /// Sends these headers as they are, and returns those of the requests that were sent on.
    fn ask(&self, headers: &[(&str, String)], count: usize) -> Vec<HeaderMap> {
        let url = |index| format!("http://{}/{index}", self.callback);
        let body: Vec<Value> = (0..count).map(|index| json!({"url": url(index), "arguments": []})).collect();
        let body = json!(body).to_string();
        let headers: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let headers = headers.concat();
        let request = format!(
            "POST /test HTTP/1.1\r\nhost: service\r\nconnection: close\r\ncontent-type: application/json\r\n\
             {headers}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(self.service).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        std::mem::take(&mut *self.received.lock().expect("no panic"))
    }

    /// The `traceparent` and the `tracestate` of the one request that is sent on.
    fn ask_once(&self, headers: &[(&str, String)]) -> (Vec<String>, String) {
        let mut sent = self.ask(headers, 1);
        let sent = sent.pop().expect("one request");
        let state: Vec<&str> =
            sent.get_all("tracestate").iter().map(|state| state.to_str().expect("text")).collect();
        (traceparent(&sent), state.join(","))
    }
}

/// The parts of the one `traceparent`, which is valid.
fn traceparent(headers: &HeaderMap) -> Vec<String> {
    let all: Vec<_> = headers.get_all("traceparent").iter().collect();
    assert_eq!(all.len(), 1, "{headers:?}");
    let parts: Vec<String> = all[0].to_str().expect("text").split('-').map(str::to_owned).collect();
    assert_eq!(parts.iter().map(String::len).collect::<Vec<_>>(), [2, 32, 16, 2], "{parts:?}");
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    assert!(parts.iter().all(|part| part.bytes().all(is_hex)), "{parts:?}");
    assert!(parts[0] == "00" && parts[1] != "0".repeat(32) && parts[2] != "0".repeat(16), "{parts:?}");
    parts
}

/// The name of a case of the harness, the headers that it sends, and the expectation.
type Case<T> = (&'static str, Vec<(&'static str, String)>, T);

/// Cases of one `traceparent` each: whether the trace goes on.
fn parents() -> Vec<Case<bool>> {
    let of =
        |version: &str, trace: &str, parent: &str, rest: &str| format!("{version}-{trace}-{parent}-{rest}");
    let flags = |rest: &str| of("00", TRACE, PARENT, rest);
    let trace = |trace: &str| of("00", trace, PARENT, "01");
    let parent = |parent: &str| of("00", TRACE, parent, "01");
    let version = |version: &str| of(version, TRACE, PARENT, "01");
    let valid = flags("01");
    let one = |value: String| vec![("traceparent", value)];
    let named = |name: &'static str| vec![(name, valid.clone())];
    let ows = |before: &str, after: &str| one(format!("{before}{valid}{after}"));
    vec![
        ("test_both_traceparent_and_tracestate_missing", vec![], false),
        ("test_traceparent_included_tracestate_missing", one(valid.clone()), true),
        (
            "test_traceparent_duplicated",
            vec![("traceparent", valid.clone()), ("traceparent", valid.clone())],
            false,
        ),
        ("test_traceparent_header_name", named("trace-parent"), false),
        ("test_traceparent_header_name", named("trace.parent"), false),
        ("test_traceparent_header_name_valid_casing", named("TraceParent"), true),
        ("test_traceparent_header_name_valid_casing", named("TrAcEpArEnT"), true),
        ("test_traceparent_header_name_valid_casing", named("TRACEPARENT"), true),
        ("test_traceparent_version_0x00", one(flags("01.")), false),
        ("test_traceparent_version_0x00", one(flags("01-what-the-future-will-be-like")), false),
        ("test_traceparent_version_0xcc", one(version("cc")), true),
        ("test_traceparent_version_0xcc", one(version("cc") + "-what-the-future-will-be-like"), true),
        ("test_traceparent_version_0xcc", one(version("cc") + ".what-the-future-will-be-like"), false),
        ("test_traceparent_version_0xff", one(version("ff")), false),
        ("test_traceparent_version_illegal_characters", one(version(".0")), false),
        ("test_traceparent_version_illegal_characters", one(version("0.")), false),
        ("test_traceparent_version_too_long", one(version("000")), false),
        ("test_traceparent_version_too_long", one(version("0000")), false),
        ("test_traceparent_version_too_short", one(version("0")), false),
        ("test_traceparent_trace_id_all_zero", one(trace(&"0".repeat(32))), false),
        ("test_traceparent_trace_id_illegal_characters", one(trace(&format!(".{}", &TRACE[1..]))), false),
        ("test_traceparent_trace_id_illegal_characters", one(trace(&format!("{}.", &TRACE[..31]))), false),
        ("test_traceparent_trace_id_too_long", one(trace(&format!("{TRACE}3"))), false),
        ("test_traceparent_trace_id_too_short", one(trace(&TRACE[..31])), false),
        ("test_traceparent_parent_id_all_zero", one(parent(&"0".repeat(16))), false),
        ("test_traceparent_parent_id_illegal_characters", one(parent(&format!(".{}", &PARENT[1..]))), false),
        ("test_traceparent_parent_id_illegal_characters", one(parent(&format!("{}.", &PARENT[..15]))), false),
        ("test_traceparent_parent_id_too_long", one(parent(&format!("{PARENT}7"))), false),
        ("test_traceparent_parent_id_too_short", one(parent(&PARENT[..15])), false),
        ("test_traceparent_trace_flags_illegal_characters", one(flags(".0")), false),
        ("test_traceparent_trace_flags_illegal_characters", one(flags("0.")), false),
        ("test_traceparent_trace_flags_too_long", one(flags("001")), false),
        ("test_traceparent_trace_flags_too_short", one(flags("1")), false),
        ("test_traceparent_ows_handling", ows(" ", ""), true),
        ("test_traceparent_ows_handling", ows("\t", ""), true),
        ("test_traceparent_ows_handling", ows("", " "), true),
        ("test_traceparent_ows_handling", ows("", "\t"), true),
        ("test_traceparent_ows_handling", ows("\t ", " \t"), true),
        ("test_traceparent_random_flag", one(flags("00")), true),
        ("test_traceparent_random_flag", one(flags("02")), true),
        ("test_traceparent_random_flag", one(flags("03")), true),
        ("test_traceparent_random_flag", one(flags("ff")), true),
    ]
}

/// Cases of `tracestate` headers with a valid `traceparent`: what is sent on.
fn states() -> Vec<Case<String>> {
    let of =
        |values: &[&str]| values.iter().map(|value| ("tracestate", (*value).to_owned())).collect::<Vec<_>>();
    let named = |name: &'static str| vec![(name, "foo=1".to_owned())];
    let members = |range: std::ops::RangeInclusive<u32>| {
        range.map(|n| format!("bar{n:02}={n:02}")).collect::<Vec<_>>().join(",")
    };
    let (z256, z257) = (format!("{}=1", "z".repeat(256)), format!("{}=1", "z".repeat(257)));
    let tenant = format!("{}@{}=1", "t".repeat(241), "v".repeat(14));
    let too_long = format!("{}@{}=1", "t".repeat(241), "v".repeat(15));
    let value: String = (' '..='~').filter(|c| !",=".contains(*c)).collect();
    let key = "abcdefghijklmnopqrstuvwxyz0123456789_-*/";
    let all = [format!("{key}={value}"), format!("{key}@a-z0-9_-*/={value}")];
    let mut cases = vec![
        ("test_tracestate_included_traceparent_included", of(&["foo=1,bar=2"]), "foo=1,bar=2".to_owned()),
        ("test_tracestate_header_name", named("trace-state"), String::new()),
        ("test_tracestate_header_name", named("trace.state"), String::new()),
        ("test_tracestate_header_name_valid_casing", named("TraceState"), "foo=1".to_owned()),
        ("test_tracestate_header_name_valid_casing", named("TrAcEsTaTe"), "foo=1".to_owned()),
        ("test_tracestate_header_name_valid_casing", named("TRACESTATE"), "foo=1".to_owned()),
        ("test_tracestate_member_count_limit", of(&[&members(1..=10), &members(11..=32)]), members(1..=32)),
        ("test_tracestate_member_count_limit", of(&[&members(1..=10), &members(11..=33)]), String::new()),
        ("test_tracestate_key_length_limit", of(&["foo=1", &z256]), format!("foo=1,{z256}")),
        ("test_tracestate_key_length_limit", of(&["foo=1", &z257]), String::new()),
        ("test_tracestate_key_length_limit", of(&["foo=1", &tenant]), format!("foo=1,{tenant}")),
        ("test_tracestate_key_length_limit", of(&["foo=1", &too_long]), String::new()),
    ];
    cases.extend(all.map(|state| ("test_tracestate_all_allowed_characters", of(&[&state]), state)));
    for (name, values, sent) in [
        ("test_tracestate_empty_header", &[""][..], ""),
        ("test_tracestate_empty_header", &["foo=1", ""], "foo=1"),
        ("test_tracestate_empty_header", &["", "foo=1"], "foo=1"),
        (
            "test_tracestate_multiple_headers_different_keys",
            &["foo=1,bar=2", "rojo=1,congo=2", "baz=3"],
            "foo=1,bar=2,rojo=1,congo=2,baz=3",
        ),
        ("test_tracestate_duplicated_keys", &["foo=1,foo=1"], "foo=1"),
        ("test_tracestate_duplicated_keys", &["foo=1,foo=2"], "foo=1"),
        ("test_tracestate_duplicated_keys", &["foo=1", "foo=2"], "foo=1"),
        ("test_tracestate_ows_handling", &["foo=1 \t , \t bar=2, \t baz=3"], "foo=1,bar=2,baz=3"),
        ("test_tracestate_ows_handling", &["foo=1\t \t,\t \tbar=2,\t \tbaz=3"], "foo=1,bar=2,baz=3"),
        ("test_tracestate_ows_handling", &["\t foo=1 \t"], "foo=1"),
        ("test_tracestate_key_illegal_characters", &["foo =1"], ""),
        ("test_tracestate_key_illegal_characters", &["FOO=1"], ""),
        ("test_tracestate_key_illegal_characters", &["foo.bar=1"], ""),
        ("test_tracestate_key_illegal_vendor_format", &["@foo=1,bar=2"], ""),
        ("test_tracestate_key_illegal_vendor_format", &["foo@=1,bar=2"], "foo@=1,bar=2"),
        ("test_tracestate_key_illegal_vendor_format", &["foo@@bar=1,bar=2"], "foo@@bar=1,bar=2"),
        ("test_tracestate_key_illegal_vendor_format", &["foo@bar@baz=1,bar=2"], "foo@bar@baz=1,bar=2"),
        ("test_tracestate_value_illegal_characters", &["foo=bar=baz"], ""),
        ("test_tracestate_value_illegal_characters", &["foo=,bar=3"], ""),
    ] {
        cases.push((name, of(values), sent.to_owned()));
    }
    cases
}

fn run_all() {
    let harness = Harness::start();
    let mut names = BTreeSet::new();
    for (name, headers, goes_on) in parents() {
        names.insert(name);
        let (sent, state) = harness.ask_once(&headers);
        assert_eq!((sent[1] == TRACE, state.as_str()), (goes_on, ""), "{name}: {headers:?} {sent:?}");
        assert_ne!(sent[2], PARENT, "{name}: {headers:?}");
        let flags = |flags: &str| u8::from_str_radix(flags, 16).expect("a number") & 3;
        let expected = if goes_on { flags(&headers[0].1.trim()[53..55]) } else { 3 };
        assert_eq!(flags(&sent[3]), expected, "{name}: {headers:?} {sent:?}");
        assert_eq!(&sent[3][..1], "0", "flags that are not known are zero");
    }
    for (name, mut headers, expected) in states() {
        names.insert(name);
        headers.insert(0, ("traceparent", format!("00-{TRACE}-{PARENT}-00")));
        let (sent, state) = harness.ask_once(&headers);
        assert_eq!((sent[1].as_str(), state), (TRACE, expected), "{name}: {headers:?}");
    }
    names.insert("test_tracestate_included_traceparent_missing");
    for state in ["foo=1", "foo=1,bar=2"] {
        assert_eq!(harness.ask_once(&[("tracestate", state.to_owned())]).1, "");
    }
    for (name, parent, goes_on) in [
        ("test_multiple_requests_with_valid_traceparent", Some(format!("00-{TRACE}-{PARENT}-01")), true),
        ("test_multiple_requests_without_traceparent", None, false),
        (
            "test_multiple_requests_with_illegal_traceparent",
            Some(format!("00-{}-{PARENT}-01", "0".repeat(32))),
            false,
        ),
    ] {
        names.insert(name);
        let headers: Vec<_> = parent.into_iter().map(|parent| ("traceparent", parent)).collect();
        let sent: Vec<Vec<String>> = harness.ask(&headers, 3).iter().map(traceparent).collect();
        let part = |part: usize| sent.iter().map(|sent| sent[part].as_str()).collect::<BTreeSet<&str>>();
        assert_eq!((sent.len(), part(1).len(), part(2).len()), (3, 1, 3), "{name}: {sent:?}");
        assert_eq!(part(1).contains(TRACE), goes_on, "{name}: {sent:?}");
    }
    assert_eq!(names.len(), 41, "{names:?}");
}

#[test]
fn with_an_exporter() {
    let Some(_inside) = process::alone(here!()) else { return };
    let obs = obs_runtime::builder().no_admin().log_output(std::io::sink()).span_exporter(Spans::default());
    let _obs = obs.init().expect("the runtime starts");
    run_all();
}

#[test]
fn without_an_exporter() {
    let Some(_inside) = process::alone(here!()) else { return };
    let _obs =
        obs_runtime::builder().no_admin().log_output(std::io::sink()).init().expect("the runtime starts");
    run_all();
}
