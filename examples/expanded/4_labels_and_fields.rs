//! Labels, whose combinations the compiler counts, and fields, which may be anything.

use obs_runtime::{Label, observe};

#[derive(Clone, Copy, Debug, Label)]
pub enum Method {
    Card,
    Bank,
}

#[derive(Debug, Label)]
pub enum PaymentError {
    Declined(u64),
}

#[observe(
    name = "shop::charge",
    labels(method, retry: bool = attempt > 1),
    fields(%order, amount),
    err(kind = PaymentError),
    slow = "500ms",
)]
pub async fn charge(order: &str, method: Method, amount: u64, attempt: u32) -> Result<u64, PaymentError> {
    if amount > 100 { Err(PaymentError::Declined(amount)) } else { Ok(amount) }
}
