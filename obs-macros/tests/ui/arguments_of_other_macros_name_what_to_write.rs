use obs_runtime::observe;

#[observe(ret)]
fn tracing_ret() -> u32 {
    1
}

#[observe(skip(nobody), err(Debug, level = "warn"), fields(later))]
fn tracing_err(password: &str) -> Result<usize, String> {
    Ok(password.len())
}

#[observe(objective = API_SLO, ok_if = is_some, track_concurrency)]
fn autometrics() {}

#[observe(short_name = true, enter_on_poll = true, properties = { "a": "b" })]
async fn fastrace() {}

fn main() {}
