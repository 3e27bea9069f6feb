//! A health check: the function stays, and is put among the checks.

use obs_runtime::health_check;

#[health_check(liveness, critical = false, timeout = "500ms", every = "5s")]
pub async fn queue() -> Result<(), std::fmt::Error> {
    Ok(())
}
