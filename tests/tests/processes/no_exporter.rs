//! A service that exports nothing: its callers and callees are in one trace.

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
        let received: Vec<_> =
            received.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let of = |headers: &[(String, String)]| headers[0].1.parse::<TraceContext>().expect("a traceparent");
        let by = of(&received);
        let [first, second] = [(); 2].map(|()| extract(&received[..]).run(asks_another));
        for sent in [&first, &second] {
            let trace = of(sent);
            assert_eq!((trace.trace_id, trace.sampled), (by.trace_id, by.sampled), "{caller}");
            assert_ne!(trace.span_id, by.span_id, "a request has a parent of its own");
            assert_eq!(sent[1], received[1]);
        }
        assert_ne!(of(&first), of(&second));
        let mut passed_on = Vec::new();
        extract(&received[..]).run(|| inject(&mut passed_on));
        assert_eq!(passed_on, received, "with no span in between");
    }
    // A trace that begins here is one that others may export.
    let begun: TraceContext = asks_another()[0].1.parse().expect("a traceparent");
    assert!(begun.sampled && begun.random);
}
