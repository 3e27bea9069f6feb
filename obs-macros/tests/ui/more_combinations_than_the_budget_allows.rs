use obs_runtime::{Bounded, Label, observe};

#[derive(Clone, Copy, Label)]
enum Method {
    Card,
    Bank,
    Wallet,
}

#[derive(Debug, Label)]
enum PaymentError {
    Declined,
    Timeout,
}

struct Region;

#[observe(
    labels(method, region: Bounded<Region, 19> = region.into(), retry: bool = attempt > 1),
    err(kind = PaymentError),
)]
async fn charge(method: Method, region: &str, attempt: u32) -> Result<(), PaymentError> {
    let _ = (method, region, attempt);
    Ok(())
}

#[observe(labels(retry), budget = 5)]
fn small(retry: bool) {
    let _ = retry;
}

#[observe(labels(retry), budget = 6)]
fn just_fits(retry: bool) -> Result<(), String> {
    let _ = retry;
    Ok(())
}

fn main() {
    drop(charge(Method::Card, "", 1));
    small(true);
    let _ = (just_fits(true), Method::Bank, Method::Wallet, PaymentError::Declined, PaymentError::Timeout);
}
