//! The end of a runtime: what is under way is written and sent, within a deadline.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long the guard waits when it is dropped.
const DROP_DEADLINE: Duration = Duration::from_secs(5);

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
    /// Every span ended before is exported, or counted as dropped; so are log records and metrics, where
    /// those are sent to a collector.
    pub spans: bool,
}

impl Guard {
    pub(super) fn new(admin_address: Option<SocketAddr>) -> Self {
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
        #[cfg(feature = "health")]
        crate::lifecycle::end();
        let flushed = flush_until(deadline, true);
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
    flush_until(deadline, false)
}

/// As [`flush`], and for the last time if it is the end.
fn flush_until(deadline: Duration, end: bool) -> Flushed {
    let now = Instant::now();
    // A deadline that no clock can tell is one that never comes.
    let until = now.checked_add(deadline).unwrap_or_else(|| now + Duration::from_secs(365 * 24 * 60 * 60));
    #[cfg(feature = "otlp")]
    let exported = crate::export::flush(until, end);
    #[cfg(not(feature = "otlp"))]
    let (exported, _) = (true, end);
    // Lines last: what went wrong with the others is logged.
    #[cfg(feature = "log")]
    let logs = crate::log::flush(until.max(Instant::now() + Duration::from_millis(100)));
    #[cfg(not(feature = "log"))]
    let (logs, _) = (true, until);
    Flushed { logs, spans: exported }
}
