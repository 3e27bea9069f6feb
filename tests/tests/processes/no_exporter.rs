//! A service that exports nothing is no hole in a trace.

use obs_runtime::propagation::{extract, inject};
use obs_runtime::{TraceContext, observe};
use obs_tests::{here, process};

#[observe]
fn asks_another() -> Vec<(String, String)> {
    let mut headers = Vec::new();
    inject(&mut headers);
    headers
}

#[test]
fn the_callers_place_and_decision_are_passed_on() {
    let Some(_inside) = process::alone(here!()) else { return };
    let _obs =
        obs_runtime::builder().no_admin().log_output(std::io::sink()).init().expect("the runtime starts");
    for caller in [
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
    ] {
        let received = [("traceparent", caller), ("tracestate", "vendor=1")];
        let sent = extract(&received[..]).run(asks_another);
        let expected = received.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(sent, expected);
    }
    // A trace that begins here is one that others may export.
    let sent = asks_another();
    let begun: TraceContext = sent[0].1.parse().expect("a traceparent");
    assert!(begun.sampled);
}
