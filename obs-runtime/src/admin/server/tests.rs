//! Over a connection in memory, where time passes only when everybody waits.

mod turns;

use super::*;
use crate::admin::access::Token;
use axum::extract::Extension;
use axum::routing::{get, put};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::Instant;

const DEADLINE: Duration = Duration::from_secs(5 * 60);

fn server(policy: Policy) -> Arc<Server> {
    let routes = Router::new()
        .route("/health/live", get(async || "alive"))
        .route("/large", get(async || "x".repeat(1 << 20)))
        .route("/panic", get(async || -> &'static str { panic!("on purpose") }))
        .route("/debug/log-level", put(async |body: String| body.len().to_string()));
    Arc::new(Server::new(Listener::Loopback, Arc::new(policy), routes))
}

/// Where a request waits, and whether one still does.
fn waiting() -> (Router, Arc<()>) {
    let there = Arc::new(());
    let held = Arc::clone(&there);
    let wait = async move |Extension(progress): Extension<Progress>| {
        let (_held, _waits) = (Arc::clone(&held), progress.waits());
        tokio::time::sleep(Duration::from_secs(4 * 60)).await;
        "patience"
    };
    let routes = Router::new().route("/wait", get(wait)).route("/soon", get(async || "soon"));
    (routes.route("/debug/log-level", put(async || "set")), there)
}

fn connect_to(routes: Router) -> (DuplexStream, JoinHandle<()>) {
    let (near, far) = duplex(4096);
    let server = Arc::new(Server::new(Listener::Loopback, Arc::default(), routes));
    (near, tokio::spawn(connection(far, server, Progress::new())))
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_takes_its_time_is_waited_for() {
    let (routes, _) = waiting();
    let (mut near, serving) = connect_to(routes);
    // What comes meanwhile is answered afterwards.
    near.write_all(b"GET /wait HTTP/1.1\r\n\r\n").await.expect("written");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!serving.is_finished(), "it waits");
    near.write_all(b"GET /soon HTTP/1.1\r\nConnection: close\r\n\r\n").await.expect("written");
    let answers = rest_of(&mut near).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
    assert!(answers.contains("patience") && answers.ends_with("soon"), "{answers}");
    serving.await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_takes_its_time_is_given_up_with_its_client() {
    let (routes, there) = waiting();
    let (mut near, serving) = connect_to(routes);
    let began = Instant::now();
    near.write_all(b"GET /wait HTTP/1.1\r\n\r\n").await.expect("written");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!serving.is_finished());
    drop(near);
    serving.await.expect("no panic");
    assert_eq!(Arc::strong_count(&there), 1, "nothing is left of it");
    assert!(began.elapsed() < Duration::from_secs(2));
}

fn connect() -> DuplexStream {
    let (near, far) = duplex(4096);
    tokio::spawn(connection(far, server(Policy::default()), Progress::new()));
    near
}

async fn rest_of(client: &mut DuplexStream) -> String {
    let mut read = Vec::new();
    let reading = tokio::time::timeout(DEADLINE, client.read_to_end(&mut read)).await;
    reading.expect("it ends").expect("no error");
    String::from_utf8(read).expect("text")
}

/// What is answered to the bytes, after which nothing more comes.
async fn ask(bytes: &[u8]) -> String {
    let (client, far) = duplex(4096);
    let serving = tokio::spawn(connection(far, server(Policy::default()), Progress::new()));
    let (mut answers, mut requests) = tokio::io::split(client);
    let bytes = bytes.to_owned();
    tokio::spawn(async move {
        let _ = requests.write_all(&bytes).await;
        let _ = requests.shutdown().await;
    });
    let mut read = Vec::new();
    let reading = tokio::time::timeout(DEADLINE, answers.read_to_end(&mut read)).await;
    reading.expect("it ends").expect("no error");
    serving.await.expect("no panic");
    String::from_utf8(read).expect("text")
}

fn refused(reason: &str) -> u64 {
    crate::admin::refusal::refused().find(|(name, _)| *name == reason).expect("a reason").1
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_is_an_error_and_the_connection_goes_on() {
    let answers = ask(b"GET /panic HTTP/1.1\r\n\r\nGET /health/live HTTP/1.1\r\n\r\n").await;
    assert!(answers.starts_with("HTTP/1.1 500 "), "{answers}");
    assert!(answers.ends_with("alive"), "{answers}");
}

#[tokio::test(start_paused = true)]
async fn answers_are_neither_kept_nor_taken_for_something_else() {
    for request in ["GET /health/live", "GET /nowhere", "DELETE /health/live", "GET /panic"] {
        let answer = ask(format!("{request} HTTP/1.1\r\n\r\n").as_bytes()).await;
        assert!(answer.contains("\r\nx-content-type-options: nosniff\r\n"), "{answer}");
        assert!(answer.contains("\r\ncache-control: no-store\r\n"), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_paths_and_methods() {
    let status = async |request: &str, policy| {
        let (mut near, far) = duplex(4096);
        tokio::spawn(connection(far, server(policy), Progress::new()));
        near.write_all(format!("{request} HTTP/1.0\r\n\r\n").as_bytes()).await.expect("written");
        rest_of(&mut near).await[9..12].to_owned()
    };
    let token = || Policy { token: Token::new("0123456789abcdef"), allow_remote: true };
    assert_eq!(status("GET /nowhere", Policy::default()).await, "404");
    assert_eq!(status("GET /health/nowhere", Policy::default()).await, "404");
    assert_eq!(status("DELETE /health/live", Policy::default()).await, "405");
    assert_eq!(status("GET /nowhere", token()).await, "401", "what exists is not told to all");
    assert_eq!(status("GET /health/nowhere", token()).await, "404");
}

#[tokio::test(start_paused = true)]
async fn http_as_clients_speak_it() {
    let old = ask(b"GET /health/live HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 200 OK\r\n") && old.ends_with("\r\n\r\nalive"), "{old}");
    let head = ask(b"HEAD /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(head.contains("\r\ncontent-length: 5\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    let pipelined = ask(&b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(20)).await;
    assert_eq!(pipelined.matches("HTTP/1.1 200 OK").count(), 20);
    let expected =
        ask(b"PUT /debug/log-level HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab").await;
    assert!(expected.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"), "{expected}");
    let chunked = ask(
        b"PUT /debug/log-level HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
    )
    .await;
    assert!(chunked.ends_with("\r\n\r\n3"), "{chunked}");
}

#[tokio::test(start_paused = true)]
async fn heads_have_a_limit() {
    let with_head_of = |length: usize| {
        let (start, end) = ("GET /health/live HTTP/1.1\r\nx: ", "\r\n\r\n");
        format!("{start}{}{end}", "y".repeat(length - start.len() - end.len()))
    };
    assert!(ask(with_head_of(HEAD_LIMIT).as_bytes()).await.starts_with("HTTP/1.1 200 "));
    let before = refused("head_size");
    for length in [HEAD_LIMIT + 1, 10 * HEAD_LIMIT, 100 * HEAD_LIMIT] {
        let answer = ask(with_head_of(length).as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{length}: {answer}");
    }
    let line = ask(format!("GET /{} HTTP/1.1\r\n\r\n", "y".repeat(HEAD_LIMIT)).as_bytes()).await;
    assert!(line.starts_with("HTTP/1.1 431 "), "{line}");
    let with_headers = |count| format!("GET /health/live HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(count));
    assert!(ask(with_headers(HEADERS_LIMIT).as_bytes()).await.starts_with("HTTP/1.1 200 "));
    assert!(ask(with_headers(HEADERS_LIMIT + 1).as_bytes()).await.starts_with("HTTP/1.1 431 "));
    assert!(refused("head_size") >= before + 5);
}

#[tokio::test(start_paused = true)]
async fn bodies_have_a_limit() {
    let with_length = |length: usize| {
        format!("PUT /debug/log-level HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{}", "y".repeat(length))
    };
    assert!(ask(with_length(BODY_LIMIT).as_bytes()).await.ends_with("\r\n\r\n16384"));
    let before = refused("body_size");
    for length in [BODY_LIMIT + 1, 100 * BODY_LIMIT] {
        assert!(ask(with_length(length).as_bytes()).await.starts_with("HTTP/1.1 413 "), "{length}");
    }
    let chunks = format!("400\r\n{}\r\n", "y".repeat(0x400)).repeat(17);
    let chunked =
        format!("PUT /debug/log-level HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
    assert!(ask(chunked.as_bytes()).await.starts_with("HTTP/1.1 413 "));
    // It has not begun to send it.
    let expecting = "PUT /debug/log-level HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 16385\r\n\r\n";
    assert!(ask(expecting.as_bytes()).await.starts_with("HTTP/1.1 413 "));
    assert!(refused("body_size") >= before + 4);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_http_is_refused() {
    let before = refused("syntax");
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a client that speaks TLS\r\n\r\n"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"PUT /debug/log-level HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let answer = ask(garbage).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{}: {answer}", String::from_utf8_lossy(garbage));
    }
    assert!(refused("syntax") >= before + 5);
}

#[tokio::test(start_paused = true)]
async fn clients_that_take_their_time_are_dropped() {
    let (begun, before) = (Instant::now(), refused("head_time"));
    let mut client = connect();
    let trickling = async {
        for byte in b"GET /health/live HTTP/1.1\r\n".iter().cycle() {
            if client.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::time::timeout(DEADLINE, trickling).await.expect("it is dropped");
    assert!(begun.elapsed() < 2 * HEAD_TIME);
    assert!(refused("head_time") > before);

    let (begun, before) = (Instant::now(), refused("body_time"));
    let mut client = connect();
    client
        .write_all(b"PUT /debug/log-level HTTP/1.1\r\nContent-Length: 9\r\n\r\nslow")
        .await
        .expect("written");
    let answer = rest_of(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(begun.elapsed() < 2 * BODY_TIME);
    assert!(refused("body_time") > before);
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_requests_is_closed() {
    let begun = Instant::now();
    assert_eq!(rest_of(&mut connect()).await, "");
    let mut client = connect();
    client.write_all(b"GET /health/live HTTP/1.1\r\n\r\n").await.expect("written");
    assert!(rest_of(&mut client).await.ends_with("alive"));
    assert!(begun.elapsed() < 4 * HEAD_TIME);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_read_is_given_up() {
    let before = refused("unread");
    let (mut near, far) = duplex(4096);
    let serving = tokio::spawn(connection(far, server(Policy::default()), Progress::new()));
    near.write_all(b"GET /large HTTP/1.1\r\n\r\n").await.expect("written");
    // Slow, but it reads.
    let mut bytes = [0; 4096];
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(20)).await;
        near.read_exact(&mut bytes).await.expect("more");
    }
    assert!(!serving.is_finished());
    let begun = Instant::now();
    tokio::time::timeout(DEADLINE, serving).await.expect("it ends").expect("no panic");
    assert!(begun.elapsed() < Duration::from_secs(61));
    assert!(refused("unread") > before);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_told_off_hears_it_while_it_still_sends() {
    let mut client = connect();
    let request =
        format!("PUT /debug/log-level HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n{}", "y".repeat(1_000_000));
    client.write_all(request.as_bytes()).await.expect("it is listened to");
    assert!(rest_of(&mut client).await.starts_with("HTTP/1.1 413 "));
}

/// Before the answer is out, hyper would take in what comes behind the body, and turn to that never, or panic
/// where it is not HTTP.
#[tokio::test(start_paused = true)]
async fn a_request_that_is_refused_with_its_body_is_the_last() {
    let refused = "PUT /debug/log-level HTTP/1.1\r\nHost: evil\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    for next in ["GET /health/live HTTP/1.1\r\n\r\n", "not HTTP\r\n\r\n"] {
        for room in [16, 32, 64, 128, 256, 4096] {
            let (mut near, far) = duplex(room);
            let serving = tokio::spawn(connection(far, server(Policy::default()), Progress::new()));
            let begun = Instant::now();
            let (mut answers, mut requests) = tokio::io::split(&mut near);
            let (mut read, bytes) = (Vec::new(), format!("{refused}{next}"));
            let sending = async { requests.write_all(bytes.as_bytes()).await };
            let _ = tokio::join!(sending, answers.read_to_end(&mut read));
            drop(near);
            serving.await.expect("no panic");
            let read = String::from_utf8(read).expect("text");
            assert_eq!(read.matches("HTTP/1.1 403").count(), 1, "{room}: {read}");
            assert!(read.contains("\r\nconnection: close\r\n"), "{room}: {read}");
            assert!(begun.elapsed() < HEAD_TIME, "{room}");
        }
    }
}
