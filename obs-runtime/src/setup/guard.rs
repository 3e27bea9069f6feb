//! The end of a runtime: what is under way is written and sent, within a deadline.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long the guard waits when it is dropped.
const DROP_DEADLINE: Duration = Duration::from_secs(5);

static READY: AtomicBool = AtomicBool::new(false);

/// Whether the service takes traffic: from the start of the runtime to the beginning of its end.
#[cfg(feature = "admin")]
pub(crate) fn ready() -> bool {
    READY.load(Ordering::Relaxed)
}

/// Keeps the runtime's promise to lose nothing at the end: hold it in `main`.
///
/// Dropping it flushes for at most five seconds; [`shutdown`](Guard::shutdown) says how that went. The
/// process goes on counting and logging afterwards, so other destructors are still heard: each line is
/// then waited for. A process that ends without dropping it (`std::process::exit`, an abort) may lose the
/// lines of its last 50 milliseconds.
///
/// Give it a name: `let _ = init()?` would drop it at once.
#[derive(Debug)]
#[must_use = "dropping the guard at once would flush before anything happened; hold it with `let _obs = ..` until `main` ends"]
pub struct Guard {
    open: bool,
    admin_address: Option<SocketAddr>,
}

/// What a flush got done before its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flushed {
    /// Every line logged before is written, and the output takes lines.
    pub logs: bool,
    /// Every span ended before is exported, or counted as dropped.
    pub spans: bool,
}

impl Guard {
    pub(super) fn new(admin_address: Option<SocketAddr>) -> Self {
        READY.store(true, Ordering::Relaxed);
        Self { open: true, admin_address }
    }

    /// Where the admin server listens, if there is one: with port 0, the port that was free.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Fails readiness, then writes log lines and sends spans until all are out or the time is up.
    ///
    /// Blocks the calling thread, and needs no async runtime.
    pub fn shutdown(mut self, deadline: Duration) -> Flushed {
        self.end(deadline)
    }

    fn end(&mut self, deadline: Duration) -> Flushed {
        self.open = false;
        READY.store(false, Ordering::Relaxed);
        let flushed = flush(deadline);
        #[cfg(feature = "log")]
        crate::log::close();
        flushed
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.open {
            self.end(DROP_DEADLINE);
        }
    }
}

/// Writes the log lines and sends the spans that there are, and waits for that until the deadline.
///
/// For programs without a clean end, such as functions on demand; others hold the [`Guard`].
pub fn flush(deadline: Duration) -> Flushed {
    let now = Instant::now();
    // A deadline that no clock can tell is one that never comes.
    let until = now.checked_add(deadline).unwrap_or_else(|| now + Duration::from_hours(24 * 365));
    // Spans first: what goes wrong with them is logged.
    #[cfg(feature = "otlp")]
    let spans = crate::export::spans::flush(until);
    #[cfg(not(feature = "otlp"))]
    let spans = true;
    #[cfg(feature = "log")]
    let logs = crate::log::flush(until.max(Instant::now() + Duration::from_millis(100)));
    #[cfg(not(feature = "log"))]
    let (logs, _) = (true, until);
    Flushed { logs, spans }
}
