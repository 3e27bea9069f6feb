use obs_runtime::observe;

#[observe(fields(bytes))]
fn download(bytes: Vec<u8>) {
    let _ = bytes;
}

#[observe(labels(name))]
fn greet(name: &str) {
    let _ = name;
}

#[observe(budget = 2)]
fn over_its_own_budget() -> Result<(), String> {
    Ok(())
}

fn main() {
    download(Vec::new());
    greet("");
    let _ = over_its_own_budget();
}
