//! `hotpath`: how often a function is called and how long it takes, by function alone.

use crate::case::{Case, Running, Work};
use crate::payment::{Method, Payment, call, pay};
use hotpath::{Format, HotpathGuardBuilder};

pub(super) const CASES: &[Case] = &[Case::beside(Work::Red, "hotpath, without labels", || {
    std::mem::forget(HotpathGuardBuilder::new("benches").format(Format::None).build());
    Running::new(|calls| call(calls, charge))
})];

#[hotpath::measure]
#[inline(never)]
fn charge(amount: u64, _: Method, _: u32) -> Payment {
    pay(amount)
}
