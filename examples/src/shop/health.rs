//! What the shop is asked about its health.

use crate::database::Database;
#[cfg(feature = "otlp")]
use obs_runtime::health::export_success;
use obs_runtime::health::{Probe, RegisterError, check, disk_space, event_loop_lag, progress};
use std::path::Path;
use std::time::Duration;

/// Less than this on the database's disk is reported, in bytes.
const LEAST_SPACE: u64 = 100 << 20;

/// Registers the checks of a process that runs these services.
pub(crate) fn register<'a>(
    services: impl Iterator<Item = &'a str>,
    path: &Path,
) -> Result<(), RegisterError> {
    for service in services {
        if service == "payments" {
            let path = path.to_owned();
            // Whoever pays wants it written down.
            check("payments-database")
                .every(Duration::from_secs(1))
                .timeout(Duration::from_millis(500))
                .register(move || std::future::ready(Database::check(&path)))?;
        }
    }
    let directory = path.parent().unwrap_or(path);
    check("disk").critical(false).register(disk_space(directory, LEAST_SPACE))?;
    check("event-loop").critical(false).register(event_loop_lag(Duration::from_millis(100)))?;
    #[cfg(feature = "otlp")]
    check("collector").critical(false).register(export_success(Duration::from_mins(5)))?;
    check("runtime")
        .probe(Probe::Liveness)
        .timeout(Duration::from_secs(30))
        .failures(1)
        .register(progress())?;
    Ok(())
}
