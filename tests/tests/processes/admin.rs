//! The admin server as clients find it: on a socket, with a token, and some of them mean no good.

use obs_runtime::Guard;
use obs_tests::process::Process;
use obs_tests::{DEADLINE, Lines, here, process};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::channel;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::thread;
use std::time::{Duration, Instant};

const TOKEN: &str = "correct-horse-battery-staple";

static SERVER: LazyLock<(SocketAddr, Lines, Guard)> = LazyLock::new(|| {
    let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let error = obs_runtime::builder().admin(everywhere).init().expect_err("it is open to all").to_string();
    assert!(error.contains("OBS_ADMIN_TOKEN") && error.contains("admin_allow_remote()"), "{error}");

    let lines = Lines::default();
    let guard = obs_runtime::builder()
        .log_filter("trace")
        .log_output(lines.clone())
        .admin(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .admin_token(TOKEN)
        .init()
        .expect("the runtime starts");
    obs_runtime::lifecycle::started();
    (guard.admin_address().expect("it listens"), lines, guard)
});

/// One test takes all connections, and the others are not run beside it.
static CONNECTIONS: RwLock<()> = RwLock::new(());

fn beside_others() -> RwLockReadGuard<'static, ()> {
    CONNECTIONS.read().unwrap_or_else(PoisonError::into_inner)
}

fn connect() -> TcpStream {
    let stream = TcpStream::connect(SERVER.0).expect("it accepts");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream.set_write_timeout(Some(DEADLINE)).expect("a timeout");
    stream
}

/// All that comes until the connection is closed, however that is.
fn rest_of(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    match stream.read_to_end(&mut read) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            panic!("the connection stays open: {:?}", String::from_utf8_lossy(&read))
        }
        _ => String::from_utf8(read).expect("text"),
    }
}

/// The answer to a request line with these headers.
fn ask(line: &str, headers: &[&str]) -> String {
    let mut stream = connect();
    let headers: String = headers.iter().flat_map(|header| [*header, "\r\n"]).collect();
    stream
        .write_all(format!("{line} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n").as_bytes())
        .expect("it is taken");
    rest_of(&mut stream)
}

/// The status of the answer.
fn status(line: &str, headers: &[&str]) -> u16 {
    let answer = ask(line, headers);
    answer
        .get(9..12)
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("an answer: {answer:?}"))
}

const SHOWN: &str = "Authorization: Bearer correct-horse-battery-staple";

/// How many were refused for a reason.
fn refused(reason: &str) -> f64 {
    let line = format!("obs_admin_requests_refused_total{{reason=\"{reason}\"}} ");
    let metrics = ask("GET /metrics", &[SHOWN]);
    let count = metrics.lines().find_map(|found| found.strip_prefix(&line));
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{line} in {metrics}"))
}

/// What is refused is counted once the connection is done with.
fn wait_until_refused(reason: &str, count: f64) {
    let end = Instant::now() + DEADLINE;
    while refused(reason) < count {
        assert!(Instant::now() < end, "{reason} is counted");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_token_opens_everything_and_nothing_else_does() {
    let Some(_inside) = process::together(here!()) else { return };
    let _beside = beside_others();
    let before = refused("token");
    for path in ["/metrics", "/health/live", "/health/ready", "/health/startup"] {
        assert_eq!(
            status(&format!("GET {path}"), &["authorization: bearer correct-horse-battery-staple"]),
            200
        );
        for headers in [
            &[][..],
            &["Authorization: Bearer correct-horse-battery-stapler"],
            &["Authorization: Bearer correct-horse-battery-stapl"],
            &["Authorization: Basic correct-horse-battery-staple"],
            &[SHOWN, SHOWN],
        ] {
            let answer = ask(&format!("GET {path}"), headers);
            assert!(answer.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{answer}");
            assert!(answer.contains("\r\nwww-authenticate: Bearer realm=\"obs\"\r\n"), "{answer}");
            assert!(answer.contains("\r\nx-content-type-options: nosniff\r\n"), "{answer}");
            assert!(answer.contains("\r\ncache-control: no-store\r\n"), "{answer}");
            assert!(!answer.contains("horse"), "{answer}");
        }
    }
    assert_eq!(status("GET /debug/anything", &[]), 401, "what exists is not told");
    assert_eq!(status("GET /debug/anything", &[SHOWN]), 404);
    assert_eq!(status("DELETE /metrics", &[SHOWN]), 405);
    assert!(refused("token") >= before + 21.0);
}

#[test]
fn names_of_others_and_pages_of_others_are_refused() {
    let Some(_inside) = process::together(here!()) else { return };
    let _beside = beside_others();
    for headers in [
        &["Host: localhost:9464"][..],
        &["Host: 127.0.0.1"],
        &["Host: [::1]:1"],
        &["Host: localhost", "Sec-Fetch-Site: none"],
        &["Host: localhost", "Sec-Fetch-Site: same-origin", "Origin: http://localhost"],
    ] {
        assert_eq!(status("GET /health/live", &[headers, &[SHOWN]].concat()), 200, "{headers:?}");
    }
    for headers in [
        &["Host: evil.example"][..],
        &["Host: localhost.evil.example:9464"],
        &["Host: "],
        &["Host: localhost", "Sec-Fetch-Site: cross-site"],
        &["Host: localhost", "Sec-Fetch-Site: same-site"],
        &["Host: localhost", "Origin: null"],
        &["Host: localhost", "Origin: http://evil.example"],
        &["Host: localhost:9464", "Origin: http://localhost:9465"],
    ] {
        assert_eq!(status("GET /health/live", &[headers, &[SHOWN]].concat()), 403, "{headers:?}");
    }
    assert_eq!(status("GET /health/live", &["Host: localhost", "Host: localhost", SHOWN]), 400);
    assert_eq!(status("GET http://evil.example/health/live", &["Host: localhost", SHOWN]), 403);
    assert_eq!(status("CONNECT evil.example:80", &["Host: localhost", SHOWN]), 403);
}

#[test]
fn what_is_too_long_is_refused() {
    let Some(_inside) = process::together(here!()) else { return };
    let _beside = beside_others();
    let (heads, bodies) = (refused("head_size"), refused("body_size"));
    let long = "x".repeat(20_000);
    assert_eq!(status(&format!("GET /{long}"), &[SHOWN]), 431);
    assert_eq!(status("GET /health/live", &[&format!("X: {long}"), SHOWN]), 431);
    assert_eq!(status("GET /health/live", &["X: y"; 65]), 431);
    let request = format!("POST /metrics HTTP/1.1\r\n{SHOWN}\r\nContent-Length: 1000000\r\n\r\n");
    let mut stream = connect();
    stream.write_all(request.as_bytes()).expect("it is taken");
    // The answer does not wait for it.
    assert!(rest_of(&mut stream).starts_with("HTTP/1.1 413 "));
    wait_until_refused("head_size", heads + 3.0);
    wait_until_refused("body_size", bodies + 1.0);
}

#[test]
fn what_is_not_http_is_refused() {
    let Some(_inside) = process::together(here!()) else { return };
    let _beside = beside_others();
    let before = refused("syntax");
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a client that speaks TLS\r\n\r\n"[..],
        b"\0\0\0\0\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r: \r\n\r\n",
    ] {
        let mut stream = connect();
        stream.write_all(garbage).expect("it is taken");
        let answer = rest_of(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    wait_until_refused("syntax", before + 3.0);
}

#[test]
fn a_slow_client_is_dropped_and_holds_nobody_up() {
    let Some(_inside) = process::together(here!()) else { return };
    let _beside = beside_others();
    let before = refused("head_time");
    let mut slow = connect();
    let trickling = thread::spawn(move || {
        let end = Instant::now() + DEADLINE;
        for byte in b"GET /health/live HTTP/1.1\r\n".iter().cycle() {
            if slow.write_all(&[*byte]).is_err() {
                break;
            }
            assert!(Instant::now() < end, "it is dropped");
            thread::sleep(Duration::from_millis(50));
        }
    });
    while !trickling.is_finished() {
        assert_eq!(status("GET /health/live", &[SHOWN]), 200);
        thread::sleep(Duration::from_millis(20));
    }
    trickling.join().expect("it is dropped");
    wait_until_refused("head_time", before + 1.0);
}

#[test]
fn clients_that_leave_are_no_news() {
    let Some(_inside) = process::together(here!()) else { return };
    let _beside = beside_others();
    let lines = || {
        assert!(obs_runtime::flush(DEADLINE).finished, "flushed in time");
        SERVER.1.text()
    };
    let before = lines();
    for _ in 0..20 {
        // A reset: what is sent behind the status line finds nobody.
        let mut stream = connect();
        stream
            .write_all(format!("GET /metrics HTTP/1.1\r\n{SHOWN}\r\n\r\n").as_bytes())
            .expect("it is taken");
        stream.read_exact(&mut [0; 12]).expect("a status");
        drop(stream);
        // Gone within a head, and within a body.
        connect().write_all(b"GET /met").expect("it is taken");
        let half = format!("POST /metrics HTTP/1.1\r\n{SHOWN}\r\nContent-Length: 5\r\n\r\nha");
        connect().write_all(half.as_bytes()).expect("it is taken");
        connect().shutdown(Shutdown::Both).expect("closed");
    }
    assert_eq!(status("GET /health/live", &[SHOWN]), 200);
    assert_eq!(lines(), before, "nothing is worth a line");
}

#[test]
fn it_answers_while_the_application_is_stuck() {
    let Some(_inside) = process::together(here!()) else { return };
    let _beside = beside_others();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let (release, stuck) = channel::<()>();
    let stuck = Arc::new(Mutex::new(stuck));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let stuck = Arc::clone(&stuck);
            // Blocks its worker, as a task must not.
            runtime.spawn(async move { stuck.lock().expect("not poisoned").recv().expect_err("released") })
        })
        .collect();
    assert_eq!(status("GET /health/live", &[SHOWN]), 200);
    assert_eq!(status("GET /metrics", &[SHOWN]), 200);
    drop(release);
    for task in tasks {
        runtime.block_on(task).expect("no panic");
    }
}

#[test]
fn two_hundred_connections_at_once() {
    let Some(_inside) = process::together(here!()) else { return };
    let _alone = CONNECTIONS.write().unwrap_or_else(PoisonError::into_inner);
    let before = refused("connections");
    // They say nothing, and keep nobody out who does.
    let idle: Vec<_> = (0..200).map(|_| connect()).collect();
    for _ in 0..200 {
        assert!(ask("GET /health/live", &[SHOWN]).starts_with("HTTP/1.1 200 "));
    }
    wait_until_refused("connections", before + 1.0);
    drop(idle);
    // All of them speak at once.
    let request = format!("GET /health/live HTTP/1.1\r\n{SHOWN}\r\nConnection: close\r\n\r\n");
    let ask = || {
        let mut stream = connect();
        // Turned away, it may be closed by now.
        let _ = stream.write_all(request.as_bytes());
        let mut status = [0; 12];
        match stream.read_exact(&mut status) {
            Ok(()) => assert!([b"HTTP/1.1 200", b"HTTP/1.1 503"].contains(&&status)),
            Err(error) => assert!(
                !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
                "neither served nor turned away"
            ),
        }
    };
    std::thread::scope(|scope| (0..200).for_each(|_| _ = scope.spawn(ask)));
    let end = Instant::now() + DEADLINE;
    while status("GET /health/live", &[SHOWN]) != 200 {
        assert!(Instant::now() < end, "it goes on");
    }
}

#[test]
fn without_descriptors_it_waits_for_some() {
    let Some(_inside) = Process::of(here!()).open_files(64).run() else { return };
    LazyLock::force(&SERVER);
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    // One for the client, none for the server.
    files.pop();
    let mut stream = connect();
    let end = Instant::now() + DEADLINE;
    while !SERVER.1.text().contains("the admin server can't accept connections") {
        assert!(Instant::now() < end, "it is known");
        thread::sleep(Duration::from_millis(10));
    }
    drop(files);
    let request = format!("GET /health/live HTTP/1.0\r\n{SHOWN}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it is taken");
    assert!(rest_of(&mut stream).starts_with("HTTP/1.0 200 OK\r\n"));
}
