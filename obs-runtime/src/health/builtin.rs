//! Checks that every service can use. Each is what [`CheckBuilder::register`](super::CheckBuilder::register) takes.

use super::{Health, clock, shown};
use std::time::Duration;
use tokio::runtime::Handle;

/// Fails where the file system of a path has less free space than that, in bytes.
///
/// ```
/// use obs_runtime::health;
///
/// health::check("disk").critical(false).register(health::disk_space("/", 100 << 20))?;
/// # Ok::<(), health::RegisterError>(())
/// ```
#[cfg(unix)]
pub fn disk_space(
    path: impl Into<std::path::PathBuf>,
    least: u64,
) -> impl Fn() -> std::future::Ready<Result<(), String>> + Send + Sync + 'static {
    let path = path.into();
    move || {
        std::future::ready(match rustix::fs::statvfs(&path) {
            // What those who are not root may use.
            Ok(found) if found.f_bavail.saturating_mul(found.f_frsize) >= least => Ok(()),
            Ok(found) => {
                let free = found.f_bavail.saturating_mul(found.f_frsize) >> 20;
                Err(format!("{} has {free} MiB left, less than {} MiB", path.display(), least >> 20))
            }
            Err(error) => Err(format!("{} can't be asked: {error}", path.display())),
        })
    }
}

/// Degraded where the tokio runtime that this is called in takes longer than that to get to a task that is ready: its
/// threads have too much to do, or something blocks them.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn event_loop_lag(
    most: Duration,
) -> impl Fn() -> std::pin::Pin<Box<dyn Future<Output = Result<Health, String>> + Send>> + Send + Sync + 'static
{
    let runtime = Handle::current();
    move || {
        let (runtime, asked) = (runtime.clone(), clock::now());
        Box::pin(async move {
            let got_to = runtime.spawn(async { clock::now() }).await.map_err(|_| "the runtime has ended")?;
            let lag = got_to.saturating_duration_since(asked);
            if lag <= most {
                return Ok(Health::Good);
            }
            Ok(Health::Degraded(format!("a task waited {}, more than {}", shown(lag), shown(most))))
        })
    }
}

/// Fails where the tokio runtime that this is called in gets to no task within the check's
/// [`timeout`](super::CheckBuilder::timeout): a watchdog, for a liveness check with a long one.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), obs_runtime::health::RegisterError> {
/// use obs_runtime::health::{self, Probe};
/// use std::time::Duration;
///
/// let watchdog = health::check("runtime").probe(Probe::Liveness).timeout(Duration::from_secs(30)).failures(1);
/// watchdog.register(health::progress())?;
/// # Ok(()) }
/// ```
///
/// # Panics
/// Outside of a tokio runtime.
pub fn progress()
-> impl Fn() -> std::pin::Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync + 'static {
    let runtime = Handle::current();
    move || {
        let runtime = runtime.clone();
        Box::pin(async move { runtime.spawn(async {}).await.map_err(|_| "the runtime has ended".to_owned()) })
    }
}

/// Fails where batches are sent to a collector, and it has taken none for that long although there were some to send.
///
/// Nobody's requests depend on it, so make it a check that is not [critical](super::CheckBuilder::critical).
#[cfg(feature = "otlp")]
pub fn export_success(
    longest: Duration,
) -> impl Fn() -> std::future::Ready<Result<(), String>> + Send + Sync + 'static {
    use crate::export::delivery::Signal;
    move || {
        let silent = Signal::ALL.into_iter().filter(|signal| signal.failing_for() > longest);
        let silent: Vec<_> = silent.map(Signal::name).collect();
        std::future::ready(if silent.is_empty() {
            Ok(())
        } else {
            Err(format!("the collector has taken no {} for {}", silent.join(" and no "), shown(longest)))
        })
    }
}
