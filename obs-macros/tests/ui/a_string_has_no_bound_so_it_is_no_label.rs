use obs_runtime::observe;

#[observe(labels(user_id))]
fn charge(user_id: String, amount: u64) -> u64 {
    let _ = user_id;
    amount
}

fn main() {
    charge(String::new(), 1);
}
