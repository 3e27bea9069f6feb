//! Measures calls: every case a little, in turn, many times over, so that whatever the machine does meanwhile
//! hits all of them alike.

use crate::case::{Case, Work};
use crate::process::Worker;
use crate::stacks::cases;
use crate::statistics::Spread;
use crate::worker::THREADS;
use std::io;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amount {
    pub(crate) rounds: usize,
    /// Groups of calls in each.
    pub(crate) groups: usize,
}

/// What came out for one case.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) case: &'static Case,
    /// Thread CPU nanoseconds of a call, on one thread and on two at once.
    pub(crate) nanos: [Spread; THREADS],
    /// Allocations of a call.
    pub(crate) allocations: f64,
    /// The share of spans or lines that did not come out at the far end, where they go anywhere.
    pub(crate) lost: Option<f64>,
}

/// All that came out.
#[derive(Debug)]
pub(crate) struct Calls(Vec<Measured>);

impl Calls {
    pub(crate) fn measure(amount: Amount) -> io::Result<Self> {
        let mut workers = cases()
            .map(|case| {
                Ok((case, Worker::start(&["worker", case.work.name(), case.stack])?, Samples::default()))
            })
            .collect::<io::Result<Vec<_>>>()?;
        for _ in 0..amount.rounds {
            for (case, worker, samples) in &mut workers {
                for threads in 1..=THREADS {
                    let command = format!("batch {threads} {}", amount.groups);
                    let [nanos, allocations] = worker.numbers(&command)?;
                    if !(nanos.is_finite() && nanos > 0.0) {
                        let Case { work, stack, .. } = case;
                        return Err(io::Error::other(format!("{work:?} by {stack} takes {nanos} ns")));
                    }
                    samples.nanos[threads - 1].push(nanos);
                    samples.allocations.push(allocations);
                }
            }
        }
        let measured = workers.into_iter().map(|(case, mut worker, samples)| {
            let arrived = worker.ask("arrived")?;
            let lost = match arrived[..] {
                [Some(made), Some(arrived)] => Some((1.0 - arrived / made).max(0.0)),
                _ => None,
            };
            Ok(Measured {
                case,
                nanos: [Spread::of(&samples.nanos[0]), Spread::of(&samples.nanos[1])],
                allocations: Spread::of(&samples.allocations).median,
                lost,
            })
        });
        measured.collect::<io::Result<_>>().map(Self)
    }

    /// Of one work, the fastest first.
    pub(crate) fn of(&self, work: Work) -> Vec<&Measured> {
        let mut all: Vec<&Measured> = self.0.iter().filter(|measured| measured.case.work == work).collect();
        all.sort_by(|a, b| a.nanos[0].median.total_cmp(&b.nanos[0].median));
        all
    }

    /// Of one stack whose name begins so.
    pub(crate) fn one(&self, work: Work, stack: &str) -> Option<&Measured> {
        self.0.iter().find(|measured| measured.case.work == work && measured.case.stack.starts_with(stack))
    }
}

#[derive(Default)]
struct Samples {
    nanos: [Vec<f64>; THREADS],
    allocations: Vec<f64>,
}
