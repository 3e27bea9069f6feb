//! Requests whose bodies never come, and requests that wait for their turn.

use super::*;
use crate::admin::client::Phase;

/// Whatever announces a body where none is taken is answered before the body comes, if it ever does, and is the last
/// request of its connection.
#[tokio::test(start_paused = true)]
async fn a_body_where_none_is_taken_is_refused_at_once() {
    let before = refused("body_size");
    let mut number = 0;
    for line in [
        "GET /health/live",
        "HEAD /health/live",
        "POST /health/live",
        "PUT /health/live",
        "GET /debug/log-level",
        "DELETE /debug/log-level",
        "PUT /debug/log-level/",
        "POST /nowhere",
        "OPTIONS *",
    ] {
        for announced in [
            "Content-Length: 1\r\n",
            "Content-Length: 1\r\nExpect: 100-continue\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
        ] {
            let (began, mut client) = (Instant::now(), connect());
            let request = format!("{line} HTTP/1.1\r\n{announced}\r\n");
            client.write_all(request.as_bytes()).await.expect("written");
            // The server waits a moment for the client to close, too.
            let mut read = [0; 12];
            client.read_exact(&mut read).await.expect("a status");
            assert_eq!(&read, b"HTTP/1.1 413", "{request}");
            assert!(began.elapsed() < Duration::from_secs(1), "{request}");
            let rest = rest_of(&mut client).await;
            assert!(rest.contains("\r\nconnection: close\r\n"), "{request}: {rest}");
            number += 1;
        }
    }
    assert!(refused("body_size") >= before + number);
    for none in ["", "Content-Length: 0\r\n"] {
        let answer = ask(format!("GET /health/live HTTP/1.1\r\n{none}\r\n").as_bytes()).await;
        assert!(answer.ends_with("alive"), "{answer}");
    }
}

/// Nothing is read of a request that may not be answered.
#[tokio::test(start_paused = true)]
async fn a_slow_body_without_the_token_is_refused_at_once() {
    let (mut near, far) = duplex(4096);
    let policy = Policy { token: Token::new("0123456789abcdef"), allow_remote: false };
    tokio::spawn(connection(far, server(policy), Progress::new()));
    let began = Instant::now();
    near.write_all(b"PUT /debug/log-level HTTP/1.1\r\nContent-Length: 9\r\n\r\n").await.expect("written");
    let mut read = [0; 12];
    near.read_exact(&mut read).await.expect("a status");
    assert_eq!(&read, b"HTTP/1.1 401");
    assert!(began.elapsed() < Duration::from_secs(1));
}

/// A connection at each point of its life.
#[tokio::test(start_paused = true)]
async fn a_connection_is_served_from_a_complete_request_until_its_answer_is_written() {
    let (routes, _) = waiting();
    let server = Arc::new(Server::new(Listener::Loopback, Arc::default(), routes));
    let (mut near, far) = duplex(16);
    let progress = Progress::new();
    tokio::spawn(connection(far, server, progress.clone()));
    let phase = async || {
        tokio::time::sleep(Duration::from_millis(1)).await;
        progress.phase().0
    };
    assert_eq!(phase().await, Phase::Arriving);
    near.write_all(b"PUT /debug/log-level HTTP/1.1\r\nContent-Length: 4\r\n\r\ninf").await.expect("written");
    assert_eq!(phase().await, Phase::Arriving, "the body is not complete");
    near.write_all(b"o").await.expect("written");
    // The answer does not fit into the pipe.
    assert_eq!(phase().await, Phase::Writing);
    while phase().await == Phase::Writing {
        near.read_exact(&mut [0]).await.expect("an answer");
    }
    assert_eq!(progress.phase().0, Phase::Arriving);
    let reading = tokio::spawn(async move {
        near.write_all(b"GET /wait HTTP/1.1\r\nConnection: close\r\n\r\n").await.expect("written");
        rest_of(&mut near).await
    });
    assert_eq!(phase().await, Phase::Serving);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(phase().await, Phase::Serving, "the client waits for it");
    assert!(reading.await.expect("no panic").ends_with("patience"));
}

/// As many requests as can be answered at once wait for their answers, and health is answered.
#[tokio::test(start_paused = true)]
async fn requests_take_turns_and_health_needs_none() {
    let before = refused("requests");
    let (routes, there) = waiting();
    let routes = routes.route("/health/live", get(async || "alive"));
    let server = Arc::new(Server::new(Listener::Loopback, Arc::default(), routes));
    let open = async |line: &str| {
        let (mut near, far) = duplex(4096);
        tokio::spawn(connection(far, Arc::clone(&server), Progress::new()));
        let request = format!("{line} HTTP/1.1\r\nConnection: close\r\n\r\n");
        near.write_all(request.as_bytes()).await.expect("written");
        near
    };
    let mut waiting = Vec::new();
    for _ in 0..TURNS {
        waiting.push(open("GET /wait").await);
    }
    while Arc::strong_count(&there) <= TURNS {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let began = Instant::now();
    let mut queued = open("GET /soon").await;
    assert!(rest_of(&mut open("GET /health/live").await).await.ends_with("alive"));
    assert!(began.elapsed() < Duration::from_secs(1));
    let refusal = rest_of(&mut queued).await;
    assert!(refusal.starts_with("HTTP/1.1 503 "), "{refusal}");
    assert!(began.elapsed() >= TURN_TIME && refused("requests") > before);
    // One that hangs up leaves its turn to a request that waits.
    let mut queued = open("GET /soon").await;
    drop(waiting.pop());
    assert!(rest_of(&mut queued).await.ends_with("soon"));
}
