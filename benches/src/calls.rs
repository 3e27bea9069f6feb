//! The section about calls.

use crate::Effort;
use crate::case::Work;
use crate::document::table;
use crate::numbers::{AIMS, Aim, short};
use crate::rounds::{Amount, Calls, Measured};
use crate::stacks::{FLOOR, OURS, PLAIN};
use std::io;

const FASTRACE: &str = "fastrace";
const USUAL: &str = "tracing-opentelemetry";

/// Measures every case.
pub(crate) fn measure(effort: Effort) -> io::Result<String> {
    let amount = match effort {
        Effort::Smoke => Amount { rounds: 1, groups: 1 },
        Effort::Full => Amount { rounds: 60, groups: 8 },
    };
    let calls = Calls::measure(amount)?;
    let details = Work::ALL.map(|work| detail(&calls, work)).join("\n\n");
    Ok(format!(
        "Thread CPU nanoseconds of one call, in brackets while a second thread makes the same calls.\n\n{}\n\
         ### What was aimed at\n\n{}\n{details}",
        glance(&calls),
        aims(&calls)
    ))
}

/// Every work in a row.
fn glance(calls: &Calls) -> String {
    let rows = Work::ALL.map(|work| {
        let of = |stack| calls.one(work, stack);
        let peers = calls.of(work).into_iter().filter(|one| one.case.peer);
        let mut peers = peers.map(|one| format!("{} {}", both(Some(one)), one.case.stack));
        let (best, worst) = (peers.next().unwrap_or_default(), peers.next_back().unwrap_or_default());
        vec![work.title().to_owned(), both(of(FLOOR).or(of(PLAIN))), both(of(OURS)), best, worst]
    });
    table(&["work", "floor", OURS, "fastest peer", "slowest peer"], rows)
}

fn both(measured: Option<&Measured>) -> String {
    let show = |measured: &Measured| {
        let [one, two] = measured.nanos.map(|spread| short(spread.median));
        format!("{one} ({two})")
    };
    measured.map_or_else(String::new, show)
}

/// Who does one work, with all that was measured.
fn detail(calls: &Calls, work: Work) -> String {
    let measured = calls.of(work);
    let ours = calls.one(work, OURS).map(|ours| ours.nanos[0].median);
    let rows = measured.iter().map(|one| {
        let [alone, together] = one.nanos;
        let times = ours.map_or_else(String::new, |ours| format!("{:.2}", alone.median / ours));
        let quartiles = format!("{} to {}", short(alone.lower), short(alone.upper));
        let lost = match one.lost {
            Some(share) if share > 0.0 => format!("{:.2} %", share * 100.0),
            Some(_) => "none".to_owned(),
            None => String::new(),
        };
        vec![
            one.case.stack.to_owned(),
            short(alone.median),
            quartiles,
            short(together.median),
            format!("{:.2}", one.allocations),
            lost,
            times,
        ]
    });
    let head =
        ["", "ns", "middle half", "two threads", "allocations", "lost on the way", &format!("times {OURS}")];
    format!("### {}\n\n{}", work.title(), table(&head, rows))
}

/// What this project holds itself to, and whether it gets there.
fn aims(calls: &Calls) -> String {
    let nanos = |work, stack: &str| calls.one(work, stack).map(|one| one.nanos[0].median);
    let ratio = |work, above: &str, below: &str| Some(nanos(work, above)? / nanos(work, below)?);
    let fields = |work, stack: &str| Some((nanos(work, stack)? - nanos(Work::NoFields, stack)?) / 4.0);
    let two = |work| calls.one(work, OURS).map(|one| one.nanos[1].median / one.nanos[0].median);
    let of = |work: Work, what: &str| format!("{}: {what}", work.title());
    let at_most = |name, measured, bound, unit| Aim { name, measured, bound, unit }.at_most();
    let at_least = |name, measured, bound| Aim { name, measured, bound, unit: "x" }.at_least();
    let mut rows = vec![
        at_most(of(Work::Red, "over the floor"), ratio(Work::Red, OURS, FLOOR), 1.3, "x"),
        at_most(of(Work::Red, "allocations"), calls.one(Work::Red, OURS).map(|one| one.allocations), 0.0, ""),
        at_most(of(Work::Sampled, "over the floor"), ratio(Work::Sampled, OURS, FLOOR), 1.6, "x"),
        at_least(of(Work::Sampled, "fastrace"), ratio(Work::Sampled, FASTRACE, OURS), 2.5),
        at_least(of(Work::Sampled, "tracing-opentelemetry"), ratio(Work::Sampled, USUAL, OURS), 30.0),
        at_most(of(Work::Unsampled, "over the floor"), ratio(Work::Unsampled, OURS, FLOOR), 1.4, "x"),
        at_most("Each `u64` field".to_owned(), fields(Work::Numbers, OURS), 15.0, " ns"),
        at_most("Each short `&str` field".to_owned(), fields(Work::Texts, OURS), 25.0, " ns"),
        at_most(of(Work::Line, "over the floor"), ratio(Work::Line, OURS, FLOOR), 2.0, "x"),
        at_least(of(Work::Line, "slog-json"), ratio(Work::Line, "slog", OURS), 1.0),
        at_least(of(Work::Line, "tracing-subscriber"), ratio(Work::Line, "tracing-subscriber", OURS), 10.0),
    ];
    for work in [Work::AsyncReady, Work::AsyncYield] {
        rows.push(at_most(of(work, "over the floor"), ratio(work, OURS, FLOOR), 1.5, "x"));
        rows.push(at_least(of(work, "fastrace"), ratio(work, FASTRACE, OURS), 1.0));
    }
    for work in [Work::Disabled, Work::Stopped, Work::StoppedLabels] {
        let over = nanos(work, OURS).zip(nanos(work, PLAIN)).map(|(ours, plain)| ours - plain);
        rows.push(at_most(of(work, "over the plain function"), over, 3.0, " ns"));
    }
    for work in [Work::Red, Work::Sampled, Work::Unsampled] {
        rows.push(at_most(of(work, "two threads over one"), two(work), 1.15, "x"));
    }
    if nanos(Work::Layer, OURS).is_some() {
        rows.push(at_least(of(Work::Layer, USUAL), ratio(Work::Layer, USUAL, OURS), 3.0));
    }
    table(&AIMS, rows)
}
