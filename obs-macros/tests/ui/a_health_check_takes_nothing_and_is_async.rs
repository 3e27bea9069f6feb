use obs_runtime::health_check;

#[health_check(rediness, timeout = "soon", every = "1500m", failures = 0, startup, liveness, name = "the database")]
async fn settings() {}

#[health_check]
fn not_async() -> Result<(), String> {
    Ok(())
}

#[health_check]
async fn with_state(_url: &str) {}

#[health_check]
async unsafe fn generic<T>() {}

#[health_check(liveness = true)]
struct NoFunction;

fn main() {}
