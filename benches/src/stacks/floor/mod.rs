//! The floor: the same observable work written by hand for this one function, with nothing superfluous.
//!
//! It can be scraped, spans reach another thread, and lines come out whole and escaped, so each part is what
//! that takes. What it lacks is everything general: any other function, label or field is written anew.

mod lines;
mod red;
mod spans;

use super::futures::poll_to_end;
use super::{FLOOR, PLAIN};
use crate::case::{Case, Running, Work};
use crate::payment::{Method, Payment, call, call_with_details, pay};
use spans::below_another;
use std::pin::pin;
use std::time::Duration;

/// How often what threads have handed over is taken away: twice between two groups of calls.
const DRAIN_EVERY: Duration = Duration::from_micros(1_500);

pub(super) const CASES: &[Case] = &[
    Case::beside(Work::Red, FLOOR, || red::running(|calls| call(calls, red::charge))),
    Case::beside(Work::Sampled, FLOOR, || {
        spans::running(|calls| below_another(true, || call(calls, spans::charge)))
    }),
    Case::beside(Work::Root, FLOOR, || spans::running(|calls| call(calls, spans::charge))),
    Case::beside(Work::Unsampled, FLOOR, || {
        red::running(|calls| below_another(false, || call(calls, spans::charge_unsampled)))
    }),
    Case::beside(Work::NoFields, FLOOR, || {
        spans::running(|calls| below_another(true, || call_with_details(calls, spans::without_fields)))
    }),
    Case::beside(Work::AsyncReady, FLOOR, || {
        let charge = |amount, method, attempt| poll_to_end(pin!(spans::ready(amount, method, attempt)));
        spans::running(move |calls| below_another(true, || call(calls, charge)))
    }),
    Case::beside(Work::AsyncYield, FLOOR, || {
        let charge = |amount, method, attempt| poll_to_end(pin!(spans::waiting(amount, method, attempt)));
        spans::running(move |calls| below_another(true, || call(calls, charge)))
    }),
    Case::beside(Work::Line, FLOOR, lines::running),
    Case::beside(Work::Line, "by hand, `serde_json` into a locked sink", lines::running_plain),
    Case::beside(Work::Disabled, PLAIN, plain),
    Case::beside(Work::Stopped, PLAIN, plain),
    Case::beside(Work::StoppedLabels, PLAIN, plain),
];

/// The function as it is without observation.
fn plain() -> Running {
    #[inline(never)]
    fn charge(amount: u64, _: Method, _: u32) -> Payment {
        pay(amount)
    }
    Running::new(|calls| call(calls, charge))
}
