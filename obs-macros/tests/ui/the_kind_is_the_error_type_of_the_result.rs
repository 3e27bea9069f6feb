use obs_runtime::{Label, observe};

#[derive(Debug, Label)]
enum PaymentError {
    Declined,
}

#[observe(err(kind = PaymentError))]
fn charge() -> Result<(), String> {
    Err("declined".to_owned())
}

fn main() {
    let _ = (charge(), PaymentError::Declined);
}
