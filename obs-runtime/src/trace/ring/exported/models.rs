//! Models of a thread's buffer and the collector.

use super::read::take;
use super::*;
use crate::shared::explore;
use crate::site::Spec;
use loom::thread;
use std::sync::atomic::{AtomicBool, Ordering};

/// The fields of a call that began at that tick: of another length for each, so that there is room for any
/// three, but not always for the last.
fn fields(started: u64) -> Fields {
    let (mut fields, lengths) = (Fields::new(), [1, 4, 9, 12]);
    fields.push_str("f", &"x".repeat(lengths[usize::try_from(started - 1).expect("few")]));
    fields
}

#[test]
fn a_span_has_its_own_fields_however_full_the_rings_are() {
    static DROPPED: AtomicBool = AtomicBool::new(false);
    static ALL_KEPT: AtomicBool = AtomicBool::new(false);
    static BOXED: AtomicBool = AtomicBool::new(false);
    static SPILLED: AtomicBool = AtomicBool::new(false);
    static SITE: Site = Site::of_tests("modelled", Spec::new());
    let submit = move |ring: &mut SpanRing, started| {
        let fields = fields(started);
        let trace = TraceContext { trace_id: 1, span_id: started, sampled: true, random: true };
        let identity = Identity { trace: Some(trace), exported: true, ..Identity::default() };
        let call = Returned::of(&SITE, 0, &identity, started, started).expect("in a trace");
        let push = |write: &mut Write| {
            let runs = fields.of_span(fields.all(), 0);
            // Unless some is made meanwhile.
            BOXED.fetch_or(runs.size() > write.bytes.slots(), Ordering::Relaxed);
            if write.has_room() {
                push_returned(&call, Some(runs), write)
            } else {
                SPILLED.store(true, Ordering::Relaxed);
                spill_returned(call, Some(runs), write)
            }
        };
        ring.ring().is_some_and(push)
    };
    explore(move || {
        let rings: &'static Rings<Write, Read> = Box::leak(Box::new(Rings::new(rings)));
        let writer = thread::spawn(move || {
            let mut ring = rings.lease();
            [1, 2, 3, 4].map(|started| submit(&mut ring, started))
        });
        let mut spans = Vec::new();
        take(rings, usize::MAX, &mut spans);
        take(rings, 1, &mut spans);
        let kept = writer.join().expect("no panic");
        take(rings, usize::MAX, &mut spans);
        let started = spans.into_iter().map(|span| {
            let (span, taken) = match span {
                Ended::Ours(span, fields) => (span, fields),
                #[cfg(feature = "opentelemetry")]
                Ended::Api(_) => unreachable!("none was submitted"),
            };
            let expected = fields(span.started);
            assert_eq!(taken.bytes_of(taken.all()), expected.bytes_of(expected.all()));
            span.started
        });
        // A burst between the collector's looks at the ring and at the overflow is taken from the overflow first.
        let mut started: Vec<u64> = started.collect();
        started.sort_unstable();
        let expected = (1..).zip(kept).filter_map(|(started, kept)| kept.then_some(started));
        assert_eq!(started, expected.collect::<Vec<u64>>());
        if kept == [true; 4] { &ALL_KEPT } else { &DROPPED }.store(true, Ordering::Relaxed);
    });
    assert!([&DROPPED, &ALL_KEPT, &BOXED, &SPILLED].iter().all(|seen| seen.load(Ordering::Relaxed)));
}
