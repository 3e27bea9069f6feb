//! Ids of spans that nobody gave out, and of spans that are gone: nothing happens, or at worst a span is missed.
//!
//! The tests share a process of their own, for a number that is made up may be that of somebody else's span.

use obs_runtime::{TraceContext, observe};
use obs_tests::{attribute, here, process, recorder};
use std::sync::{Barrier, Mutex};
use std::thread;
use tracing::field::Value;
use tracing::span::{Id, Record};
use tracing::{Metadata, Span, dispatcher, info, info_span};

/// The tests take turns: what one makes up may be the other's.
static TURN: Mutex<()> = Mutex::new(());

/// Everything that can be done to a span by its number.
fn tries(number: u64) {
    let fields = Span::current().metadata().map(Metadata::fields);
    let id = Id::from_u64(number.max(1));
    dispatcher::get_default(|dispatch| {
        dispatch.clone_span(&id);
        dispatch.enter(&id);
        if let Some(fields) = fields {
            let field = fields.field("said").expect("declared");
            dispatch.record(&id, &Record::new(&fields.value_set(&[(&field, Some(&"forged" as &dyn Value))])));
        }
        dispatch.record_follows_from(&id, &id);
        dispatch.exit(&id);
        dispatch.exit(&id);
        for _ in 0..3 {
            dispatch.try_close(id.clone());
        }
    });
}

#[observe(fields(number))]
fn is_right_all_the_same(number: usize) {
    let _ = number;
    info!("inside");
}

#[test]
fn made_up_ids_do_no_harm() {
    const CALLS: usize = 200;
    let Some(_inside) = process::together(here!()) else { return };
    let _turn = TURN.lock();
    let recorder = recorder();
    let real = info_span!("real").id().expect("enabled").into_u64();
    let bits = (0..64).map(|bit| 1_u64 << bit);
    let near: Vec<u64> = bits.clone().flat_map(|bit| [bit - 1, bit, bit + 1, !bit, real ^ bit]).collect();
    let low = 1..20_000;
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let random = std::iter::repeat_with(|| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        random ^ random >> 31
    });
    let all: Vec<u64> =
        near.into_iter().chain(low).chain([u64::MAX - 1, u64::MAX]).chain(random.take(50_000)).collect();

    let start = Barrier::new(4);
    thread::scope(|scope| {
        for part in 0..3 {
            let (all, start) = (&all, &start);
            scope.spawn(move || {
                let own = info_span!("forges", said = "nothing");
                start.wait();
                own.in_scope(|| all.iter().skip(part).step_by(3).for_each(|number| tries(*number)));
                assert_eq!(TraceContext::current(), None, "nothing is left on the stack");
            });
        }
        start.wait();
        for number in 0..CALLS {
            is_right_all_the_same(number);
        }
    });
    assert_eq!(TraceContext::current(), None);
    assert_eq!(recorder.calls("is_right_all_the_same", "ok"), 200.0);
    let mut lines = recorder.lines("is_right_all_the_same");
    lines.retain(|line| line["msg"] == "inside");
    let spans = recorder.spans("is_right_all_the_same");
    assert_eq!((lines.len(), spans.len()), (CALLS, CALLS));
    for (number, (line, span)) in lines.iter().zip(&spans).enumerate() {
        assert_eq!((&line["number"], line.get("said")), (&number.into(), None), "{line}");
        assert_eq!(attribute(span, "number"), Some(number.to_string()));
    }
}

#[test]
fn an_id_whose_place_another_span_has_taken_is_known_for_stale() {
    let Some(_inside) = process::together(here!()) else { return };
    let _turn = TURN.lock();
    let recorder = recorder();
    let stale: Vec<u64> = (0..500).map(|_| info_span!("is_gone").id().expect("enabled").into_u64()).collect();
    // On this thread still, so in one of those places.
    let taken = info_span!("has_the_place", said = "mine");
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| stale.iter().for_each(|number| tries(*number)));
        }
    });
    taken.in_scope(|| {
        for number in &stale {
            tries(*number);
        }
        info!("undisturbed");
    });
    drop(taken);
    let line = recorder.all_lines().into_iter().find(|line| line["msg"] == "undisturbed").expect("a line");
    assert_eq!(line["said"], "mine");
    assert_eq!(attribute(&recorder.span("has_the_place"), "said").as_deref(), Some("mine"));
}

#[test]
fn forged_and_stale_ids_are_survived() {
    let Some(_inside) = process::together(here!()) else { return };
    let _turn = TURN.lock();
    let recorder = recorder();
    let stale = {
        let span = info_span!("closes_at_once");
        span.id().expect("enabled")
    };
    dispatcher::get_default(|dispatch| {
        for id in [1, 2, 3, u64::MAX, u64::MAX - 1, 1 << 40, stale.into_u64()].map(Id::from_u64) {
            dispatch.enter(&id);
            dispatch.clone_span(&id);
            dispatch.exit(&id);
            dispatch.exit(&id);
            dispatch.try_close(id.clone());
            dispatch.try_close(id);
        }
    });
    let mine = info_span!("closed_too_often");
    dispatcher::get_default(|dispatch| {
        for _ in 0..3 {
            dispatch.try_close(mine.id().expect("enabled"));
        }
    });
    mine.in_scope(|| info!(target: "forged", "still here"));
    assert_eq!(TraceContext::current(), None, "nothing is left on the stack");
    assert_eq!(recorder.all_lines().iter().filter(|line| line["target"] == "forged").count(), 1);
}
