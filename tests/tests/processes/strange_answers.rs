//! Answers of success that are not those of a collector: the batch counts as delivered, which is said and counted.

use obs_runtime::observe;
use obs_tests::receiver::{Reply, receive};
use obs_tests::{DEADLINE, Lines, here, parse_line, process, total};
use std::sync::Mutex;

#[observe(no_log)]
fn sent_somewhere() {}

#[test]
fn a_success_that_no_collector_has_said_is_told_once_until_it_recovers() {
    static ANSWER: Mutex<Option<Reply>> = Mutex::new(None);
    let Some(_inside) = process::alone(here!()) else { return };
    let url = receive(|_, _| ANSWER.lock().expect("no panic").clone().unwrap_or_else(Reply::taken));
    let lines = Lines::default();
    let _guard = obs_runtime::builder()
        .no_admin()
        .log_filter("info")
        .log_output(lines.clone())
        .otlp_endpoint(url)
        .otlp_timeout(DEADLINE)
        .init()
        .expect("the runtime starts");
    let answered = |content_type, body: &[u8], missing| {
        Some(Reply { status: 200, content_type, body: body.to_vec(), missing })
    };
    let protobuf = "application/x-protobuf";
    let strange = [
        answered("text/html", b"<html>who are you</html>", 0),
        answered("application/json", b"{}", 0),
        answered(protobuf, b"{\"partialSuccess\":{}}", 0),
        answered(protobuf, b"\x0a\x05\x08", 0),
        answered(protobuf, b"", 10),
        answered("text/plain", b"", 0),
    ];
    let warnings = || {
        assert!(obs_runtime::flush(DEADLINE).finished);
        let lines: Vec<_> = lines.text().lines().map(parse_line).collect();
        lines.into_iter().filter(|line| line["level"] == "WARN").collect::<Vec<_>>()
    };
    let mut expected = 0;
    for answer in strange {
        let before = warnings().len();
        ANSWER.lock().expect("no panic").clone_from(&answer);
        for _ in 0..2 {
            sent_somewhere();
            assert!(obs_runtime::flush(DEADLINE).finished);
            expected += 1;
            let counted = total("obs_export_unreadable_answers_total", &[("signal", "traces")]);
            assert_eq!(counted, f64::from(expected), "{answer:?}");
        }
        let said = warnings();
        assert_eq!(said.len(), before + 1, "once: {said:#?}");
        let (shown, answer) = (said[before]["answer"].as_str().expect("shown"), answer.expect("one"));
        assert!(shown.contains(answer.content_type), "{shown}");
        // It recovers.
        *ANSWER.lock().expect("no panic") = None;
        sent_somewhere();
        assert!(obs_runtime::flush(DEADLINE).finished);
    }
    *ANSWER.lock().expect("no panic") = Some(Reply { status: 204, ..Reply::default() });
    let before = warnings().len();
    sent_somewhere();
    assert_eq!(warnings().len(), before, "no content is a success");
    assert_eq!(total("obs_spans_dropped_total", &[]), 0.0);
    assert_eq!(total("obs_export_failures_total", &[]), 0.0);
}
