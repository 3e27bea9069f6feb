//! Metrics by push, of an application that does not always behave.

use obs_runtime::metrics::prometheus_client::collector::Collector;
use obs_runtime::metrics::prometheus_client::encoding::DescriptorEncoder;
use obs_tests::{DEADLINE, Lines, here, process};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::{fmt, thread};

static REQUESTS: AtomicUsize = AtomicUsize::new(0);

/// Answers every request, however it is sent, and counts them.
fn collector() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://me:s3cret@{}", listener.local_addr().expect("bound"));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut read = vec![0; 64 * 1024];
            while stream.read(&mut read).is_ok_and(|bytes| bytes > 0) {
                // The request is small: what has come is all of it, or its head.
                if read.starts_with(b"POST") {
                    REQUESTS.fetch_add(1, Ordering::Relaxed);
                }
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                if stream.write_all(answer).is_err() || stream.shutdown(std::net::Shutdown::Write).is_err() {
                    break;
                }
            }
        }
    });
    url
}

#[derive(Debug)]
struct PanicsOnce(AtomicBool);

impl Collector for PanicsOnce {
    fn encode(&self, _: DescriptorEncoder<'_>) -> fmt::Result {
        assert!(self.0.swap(true, Ordering::Relaxed), "on purpose");
        Ok(())
    }
}

#[test]
fn a_metric_that_panics_is_survived_and_said() {
    let Some(_inside) = process::alone(here!()) else { return };
    let lines = Lines::default();
    let guard = obs_runtime::builder()
        .no_admin()
        .log_output(lines.clone())
        .otlp_endpoint(collector())
        .otlp_metrics(true)
        .init()
        .expect("the runtime starts");
    let panics = Box::new(PanicsOnce(AtomicBool::new(false)));
    obs_runtime::metrics::registry(|registry| registry.register_collector(panics));
    assert!(obs_runtime::flush(DEADLINE).finished, "dealt with");
    assert_eq!(REQUESTS.load(Ordering::Relaxed), 0);
    assert!(obs_runtime::flush(DEADLINE).finished, "and again");
    assert!(REQUESTS.load(Ordering::Relaxed) > 0);
    drop(guard);
    let said = lines.text();
    assert!(said.contains("a metric of the application panicked"), "{said}");
    assert!(said.contains("metric points are exported again"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
}
