use obs_runtime::observe;

#[observe(labels(amount: u64 = amount / 100))]
async fn charge(amount: u64) -> u64 {
    amount
}

fn main() {
    drop(charge(1));
}
