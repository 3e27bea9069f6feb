//! The shop from outside: orders go in, and what comes out is read by the parsers of others.
#![cfg(unix)]
#![cfg_attr(
    not(feature = "otlp"),
    allow(dead_code, unused_imports, reason = "only the collector's test uses it")
)]

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Attribute;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{Span, Status, status::StatusCode as SpanStatus};
use prometheus_parse::{Scrape, Value as Sample};
use prost::Message;
use reqwest::Client;
use serde_json::{Value as Json, json};
use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(30);
const UPSTREAM_TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const UPSTREAM_SPAN: &str = "b7ad6b7169203331";
const SERVICES: [&str; 4] = ["gateway", "users", "orders", "payments"];

/// A collector: decodes what it is sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

impl Collector {
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let received = self.0.clone();
        let take = move |body: Bytes| async move {
            received
                .lock()
                .expect("no panic")
                .push(ExportTraceServiceRequest::decode(body).expect("protobuf"));
            StatusCode::OK
        };
        let app = Router::new().route("/v1/traces", axum::routing::post(take));
        tokio::spawn(async move { axum::serve(listener, app).await });
        url
    }

    fn spans(&self) -> Vec<Span> {
        let received = self.0.lock().expect("no panic");
        let resources = received.iter().flat_map(|request| &request.resource_spans);
        resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| scope.spans.clone()).collect()
    }
}

/// A running shop. Killed if a test ends without closing it.
struct Shop {
    child: Child,
    urls: HashMap<String, String>,
    database: std::path::PathBuf,
    output: Option<std::thread::JoinHandle<String>>,
}

impl Shop {
    fn open(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = command(arguments, variables).spawn().expect("the shop starts");
        let mut stdout = child.stdout.take().expect("piped");
        let output = std::thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).expect("UTF-8");
            text
        });
        let mut introduction = BufReader::new(child.stderr.take().expect("piped")).lines();
        let (mut urls, mut database) = (HashMap::new(), std::path::PathBuf::new());
        for line in introduction.by_ref().map_while(Result::ok) {
            if let Some((name, url)) = line.trim().split_once("http://").filter(|_| line.starts_with("  ")) {
                urls.insert(name.trim().to_owned(), format!("http://{url}"));
            }
            if let Some(path) = line.strip_prefix("  database  ") {
                database = path.into();
            }
            if line.starts_with("Ctrl-C") {
                break;
            }
        }
        std::thread::spawn(move || introduction.for_each(drop));
        Self { child, urls, database, output: Some(output) }
    }

    fn url(&self, service: &str) -> &str {
        self.urls.get(service).unwrap_or_else(|| panic!("{service} among {:?}", self.urls))
    }

    /// Ctrl-C, and what the shop had to say.
    fn close(mut self) -> String {
        self.signal("-INT");
        self.wait()
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    fn wait(&mut self) -> String {
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{status}");
        self.output.take().expect("waited once").join().expect("no panic")
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

fn command(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OTEL_") || name == "RUST_LOG") {
        command.env_remove(name);
    }
    command.args(arguments).envs(variables.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn order(client: &Client, shop: &Shop, request_id: &str, body: Json) -> (u16, String) {
    let response = client
        .post(format!("{}/orders", shop.url("gateway")))
        .header("x-request-id", request_id)
        .header("traceparent", format!("00-{UPSTREAM_TRACE}-{UPSTREAM_SPAN}-01"))
        .json(&body)
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.headers()["x-request-id"], request_id);
    (response.status().as_u16(), response.text().await.expect("a body"))
}

async fn scrape(client: &Client, url: &str) -> Scrape {
    let response = client.get(format!("{url}/metrics")).send().await.expect("an answer");
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    // This parser takes a brace inside a label's value for the end of the labels.
    let text = response.text().await.expect("a body").replace("/{id}", "/id");
    Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).expect("the text format")
}

fn total(metrics: &Scrape, metric: &str, labels: &[(&str, &str)]) -> f64 {
    let matching = metrics.samples.iter().filter(|sample| {
        sample.metric == metric && labels.iter().all(|(key, value)| sample.labels.get(key) == Some(*value))
    });
    matching
        .map(|sample| match &sample.value {
            Sample::Counter(value) | Sample::Gauge(value) | Sample::Untyped(value) => *value,
            other => panic!("{metric}: {other:?}"),
        })
        .sum()
}

fn attribute<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Attribute::StringValue(text) => Some(text),
        _ => None,
    }
}

#[cfg(feature = "otlp")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_one_trace_one_request_id_and_one_count_in_each_service() {
    let collector = Collector::default();
    let endpoint = collector.start().await;
    let arguments = ["--no-load", "--port", "0", "--admin", "0", "--otlp", &endpoint];
    let shop = Shop::open(&arguments, &[("RUST_LOG", "info,shop=debug"), ("OTEL_BSP_SCHEDULE_DELAY", "100")]);
    let client = Client::builder().no_proxy().timeout(DEADLINE).build().expect("a client");

    let declined = json!({ "user": 2, "method": "wallet", "amount": 25_000 });
    let silent = json!({ "user": 3, "method": "bank", "amount": 777 });
    let buggy = json!({ "user": 4, "method": "card", "amount": 1313 });
    let (status, body) =
        order(&client, &shop, "fine-1", json!({ "user": 1, "method": "card", "amount": 4200 })).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(order(&client, &shop, "declined-1", declined).await.0, 402);
    assert_eq!(order(&client, &shop, "silent-1", silent).await.0, 502);
    assert_eq!(order(&client, &shop, "buggy-1", buggy).await.0, 502);
    let hangs_up = client
        .post(format!("{}/orders", shop.url("gateway")))
        .header("x-request-id", "hangs-up-1")
        .json(&json!({ "user": 1, "method": "bank", "amount": 3000 }))
        .timeout(Duration::from_millis(60));
    hangs_up.send().await.expect_err("nobody waited");

    check_metrics(&client, &shop).await;
    let last = scrape(&client, shop.url("admin")).await;
    let output = shop.close();
    check_lines(&output);
    check_spans(&collector.spans(), &last);
}

async fn check_metrics(client: &Client, shop: &Shop) {
    let outcomes = [
        ("payments::charge", "ok", 1.0),
        ("payments::charge", "error", 2.0),
        ("payments::charge", "panic", 1.0),
        ("payments::charge", "cancelled", 1.0),
        ("payments::provider", "cancelled", 2.0),
        ("payments::risk", "panic", 1.0),
        ("users::user", "ok", 5.0),
        ("orders::confirm", "ok", 1.0),
        ("database::save_payment", "ok", 1.0),
    ];
    // The hang-up takes its way through the services.
    let waiting = Instant::now();
    loop {
        let metrics = scrape(client, shop.url("admin")).await;
        let counted = |(function, outcome, _): &(&str, &str, f64)| {
            total(&metrics, "function_calls_total", &[("function", function), ("outcome", outcome)])
        };
        if outcomes.iter().all(|expected| (counted(expected) - expected.2).abs() < 0.5) {
            break;
        }
        let seen: Vec<_> = outcomes.iter().map(|expected| (expected, counted(expected))).collect();
        assert!(waiting.elapsed() < DEADLINE, "{seen:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for service in SERVICES.into_iter().chain(["admin"]) {
        let metrics = scrape(client, shop.url(service)).await;
        let of_kind = |kind| {
            total(&metrics, "function_calls_total", &[("function", "payments::charge"), ("error", kind)])
        };
        assert_eq!(
            (of_kind("declined"), of_kind("timeout"), of_kind("database")),
            (1.0, 1.0, 0.0),
            "{service}"
        );
        let answered = |class| {
            let labels = [("http_route", "/payments"), ("http_response_status_class", class)];
            total(&metrics, "http_server_request_calls_total", &labels)
        };
        assert_eq!((answered("2xx"), answered("4xx"), answered("5xx")), (1.0, 1.0, 2.0), "{service}");
        for metric in ["function_calls_in_flight", "obs_spans_dropped_total", "obs_log_lines_dropped_total"] {
            assert_eq!(total(&metrics, metric, &[]), 0.0, "{service}: {metric}");
        }
        for health in ["live", "ready"] {
            let answer =
                client.get(format!("{}/health/{health}", shop.url(service))).send().await.expect("an answer");
            assert_eq!(answer.status(), 200, "{service}: {health}");
        }
        let accept = ("accept", "application/openmetrics-text; version=1.0.0");
        let openmetrics = client.get(format!("{}/metrics", shop.url(service))).header(accept.0, accept.1);
        let text = openmetrics.send().await.expect("an answer").text().await.expect("a body");
        assert!(text.ends_with("# EOF\n") && text.contains("# TYPE function_calls counter"), "{service}");
    }
}

fn check_lines(output: &str) {
    let lines: Vec<Json> = output.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let target = |line: &Json| line["target"].as_str().unwrap_or_default().to_owned();
    for line in lines.iter().filter(|line| SERVICES.iter().any(|service| target(line).ends_with(service))) {
        assert!(line["request_id"].is_string() && line["trace_id"].is_string(), "{line}");
    }
    let of_request: Vec<&Json> = lines.iter().filter(|line| line["request_id"] == "fine-1").collect();
    for service in SERVICES {
        let wanted = format!("shop::{service}");
        assert!(of_request.iter().any(|line| target(line) == wanted), "{service} in {of_request:#?}");
    }
    assert!(of_request.iter().all(|line| line["trace_id"] == UPSTREAM_TRACE));
    let failed = |id: &str| {
        let of_request = lines.iter().filter(|line| line["request_id"] == id && line["level"] == "ERROR");
        of_request.map(|line| line["function"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert!(failed("fine-1").is_empty());
    assert_eq!(failed("silent-1").first().map(String::as_str), Some("payments::charge"));
    assert_eq!(failed("buggy-1").first().map(String::as_str), Some("payments::risk"));
    let origin = lines.iter().find(|line| line["request_id"] == "declined-1" && line["level"] == "ERROR");
    let origin = origin.expect("the origin's line");
    assert_eq!((&origin["error.kind"], &origin["outcome"]), (&"declined".into(), &"error".into()));
}

fn check_spans(spans: &[Span], metrics: &Scrape) {
    // Nothing is lost: there is a span for each call that was counted.
    let families = ["function", "http_server_request", "http_client_request"];
    let calls: f64 = families.iter().map(|stem| total(metrics, &format!("{stem}_calls_total"), &[])).sum();
    assert_eq!(f64::from(u32::try_from(spans.len()).expect("few")), calls);

    let trace: Vec<&Span> = spans.iter().filter(|span| span.trace_id == bytes(UPSTREAM_TRACE)).collect();
    let ids: HashSet<&[u8]> = trace.iter().map(|span| &span.span_id[..]).collect();
    let (roots, below): (Vec<&Span>, Vec<&Span>) =
        trace.iter().copied().partition(|span| span.parent_span_id == bytes(UPSTREAM_SPAN));
    assert_eq!(roots.len(), 4, "one for each order that named a caller");
    assert!(below.iter().all(|span| ids.contains(&span.parent_span_id[..])), "every parent is in the trace");

    let by_id: HashMap<&[u8], &Span> = trace.iter().map(|span| (&span.span_id[..], *span)).collect();
    let paid =
        trace.iter().find(|span| span.name == "database::save_payment").expect("the one that was paid");
    let path: Vec<(&str, SpanKind)> =
        std::iter::successors(Some(*paid), |span| by_id.get(&span.parent_span_id[..]).copied())
            .map(|span| (span.name.as_str(), span.kind()))
            .collect();
    let expected = [
        ("database::save_payment", SpanKind::Internal),
        ("POST /payments", SpanKind::Server),
        ("POST", SpanKind::Client),
        ("orders::place", SpanKind::Internal),
        ("POST /orders", SpanKind::Server),
        ("POST", SpanKind::Client),
        ("gateway::order", SpanKind::Internal),
        ("POST /orders", SpanKind::Server),
    ];
    assert_eq!(path, expected);
    for span in &trace {
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
        let failed = attribute(span, "outcome") != Some("ok");
        let status = span.status.as_ref().map_or(SpanStatus::Unset, Status::code);
        assert_eq!(status, if failed { SpanStatus::Error } else { SpanStatus::Unset }, "{}", span.name);
    }
    let declined = trace.iter().find(|span| attribute(span, "error.type") == Some("declined"));
    assert_eq!(declined.map(|span| span.name.as_str()), Some("payments::charge"));
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex")).collect()
}

/// Until a probe answers that, and what it says then.
async fn answers(client: &Client, url: &str, status: u16) -> String {
    let waiting = Instant::now();
    loop {
        let answer = client.get(url).send().await.expect("an answer");
        if answer.status() == status {
            return answer.text().await.expect("a body");
        }
        assert!(waiting.elapsed() < DEADLINE, "{url} does not answer {status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn readiness_falls_and_recovers_with_the_database() {
    let shop = Shop::open(&["--no-load", "--port", "0", "--admin", "0"], &[]);
    let client = Client::builder().no_proxy().timeout(DEADLINE).build().expect("a client");
    let ready = format!("{}/health/ready?verbose", shop.url("admin"));
    answers(&client, &ready, 200).await;
    let elsewhere = shop.database.with_extension("elsewhere");
    std::fs::rename(&shop.database, &elsewhere).expect("it is there");
    let report: Json = serde_json::from_str(&answers(&client, &ready, 503).await).expect("JSON");
    assert_eq!(report["output"], "failing: payments-database");
    let check = &report["checks"]["payments-database:responseTime"][0];
    assert!(
        check["output"].as_str().is_some_and(|why| why.contains("unable to open database file")),
        "{check}"
    );
    answers(&client, &format!("{}/health/live", shop.url("admin")), 200).await;
    // As bad: a file that is no database.
    std::fs::write(&shop.database, "these are no pages of SQLite's".repeat(300)).expect("written");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let report = answers(&client, &ready, 503).await;
    assert!(report.contains("file is not a database"), "{report}");
    std::fs::rename(&elsewhere, &shop.database).expect("it is there");
    answers(&client, &ready, 200).await;
    let output = shop.close();
    let of_check = output.lines().filter(|line| line.contains("\"check\":\"payments-database\""));
    let said: Vec<Json> = of_check.map(|line| serde_json::from_str(line).expect(line)).collect();
    let said: Vec<_> = said.iter().map(|line| line["msg"].as_str().expect("text")).collect();
    assert_eq!(said, ["health check passes", "health check fails", "health check passes again"]);
}

#[tokio::test]
async fn told_to_end_it_serves_until_everybody_knows() {
    let mut shop = Shop::open(&["--no-load", "--port", "0", "--admin", "0", "--drain", "2"], &[]);
    let client = Client::builder().no_proxy().timeout(DEADLINE).build().expect("a client");
    let ready = format!("{}/health/ready", shop.url("admin"));
    answers(&client, &ready, 200).await;
    shop.signal("-TERM");
    let told = Instant::now();
    assert!(answers(&client, &ready, 503).await.contains("ending"));
    let order = json!({ "user": 1, "method": "bank", "amount": 3000 });
    let order = client.post(format!("{}/orders", shop.url("gateway"))).json(&order);
    let answer = order.send().await.expect("still served");
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["connection"]),
        (200, &"close".parse().expect("valid"))
    );
    let output = shop.wait();
    assert!(told.elapsed() >= Duration::from_secs(2), "it drained");
    assert!(output.contains("\"msg\":\"told to end\""), "{output}");
}

#[tokio::test]
async fn told_twice_it_ends_at_once() {
    let mut shop = Shop::open(&["--no-load", "--port", "0", "--admin", "0", "--drain", "3600"], &[]);
    let client = Client::builder().no_proxy().timeout(DEADLINE).build().expect("a client");
    answers(&client, &format!("{}/health/ready", shop.url("admin")), 200).await;
    shop.signal("-TERM");
    answers(&client, &format!("{}/health/ready", shop.url("admin")), 503).await;
    // Some tell a process twice at once, and mean one thing.
    shop.signal("-TERM");
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(shop.child.try_wait().expect("it is there").is_none(), "it drains");
    shop.signal("-TERM");
    assert_eq!(shop.child.wait().expect("it ends").code(), Some(143));
}

#[test]
fn a_shop_that_is_asked_for_some_requests_makes_them_and_closes() {
    let mut shop = Shop::open(&["--requests", "10", "--rate", "50", "--port", "0", "--admin", "0"], &[]);
    let output = shop.wait();
    assert!(output.lines().any(|line| line.contains("\"msg\":\"order placed\"")), "{output}");
}

/// Arguments, variables, and what the shop says of them.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);

/// Mistakes that only a shop with a collector can see.
const WITH_OTLP: [Case<'static>; 1] =
    [(&["--otlp", "collector:4318"], &[], "it takes an `http://host:port` URL")];

/// Options that name the feature that they need, each with whether this shop has it.
const WITHOUT_FEATURES: [(bool, Case<'static>); 3] = [
    (cfg!(feature = "otlp"), (&["--otlp", "http://127.0.0.1:4318"], &[], "--otlp needs the feature `otlp`")),
    (cfg!(feature = "cpu"), (&["--trouble", "cpu"], &[], "--trouble cpu needs the feature `cpu`")),
    (cfg!(feature = "heap"), (&["--trouble", "leak"], &[], "--trouble leak needs the feature `heap`")),
];

#[test]
fn wrong_values_of_standard_variables_are_warnings() {
    let arguments = ["--requests", "1", "--rate", "50", "--port", "0", "--admin", "0"];
    let variables = [("OTEL_TRACES_SAMPLER", "maybe"), ("OTEL_PROPAGATORS", "tracecontext,b3")];
    let output = Shop::open(&arguments, &variables).wait();
    for said in ["OTEL_TRACES_SAMPLER is \\\"maybe\\\"; it takes one of", "OTEL_PROPAGATORS is \\\"b3\\\""] {
        let lines = output.lines().filter(|line| line.contains(said) && line.contains("\"level\":\"WARN\""));
        assert_eq!(lines.count(), 1, "{said}: {output}");
    }
}

#[test]
fn what_is_wrong_with_the_configuration_is_said_at_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let cases: [Case<'_>; 4] = [
        (&[], &[("OBS_CLOCK", "sundial")], "OBS_CLOCK is \"sundial\"; it takes `counter` or `system`"),
        (&["--admin", &port], &[], "the admin server can't listen on 127.0.0.1"),
        (&["--admin", "0", "--port", &port], &[], "choose other ports with --port"),
        (&["--rate", "0"], &[], "--rate takes 1 to 100"),
    ];
    let with_otlp = WITH_OTLP.iter().filter(|_| cfg!(feature = "otlp"));
    let without_features = WITHOUT_FEATURES.iter().filter(|(has, _)| !has).map(|(_, case)| case);
    for (arguments, variables, expected) in cases.iter().chain(with_otlp).chain(without_features) {
        let mut all = vec!["--no-load"];
        all.extend(*arguments);
        let output = command(&all, variables).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(expected), "{arguments:?} {variables:?}: {said}");
    }
}
