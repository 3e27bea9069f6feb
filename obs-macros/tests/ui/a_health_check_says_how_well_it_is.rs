use obs_runtime::{health, health_check};

#[health_check(critical)]
async fn says_nothing() -> u32 {
    7
}

#[health_check]
async fn error_without_a_text() -> Result<(), Vec<u8>> {
    Ok(())
}

fn main() {
    let _ = health::check("pool").register(async || "well");
}
