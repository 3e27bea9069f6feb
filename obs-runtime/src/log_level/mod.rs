//! Which log lines are written, changed in a service that runs.
//!
//! The directives are those of `RUST_LOG`, separated by commas, in the syntax of `tracing_subscriber::EnvFilter`:
//!
//! | directive | writes |
//! |---|---|
//! | `info` | all lines up to that level: `off`, `error`, `warn`, `info`, `debug`, `trace`, or 0 to 5 |
//! | `shop=debug` | lines of the targets that begin with `shop`; `-` also stands for `_` |
//! | `[charge]=debug` | all lines inside of spans of that name |
//! | `[{order_id=A-17}]=debug` | all lines inside of spans and contexts in which a field has that value |
//! | `shop[charge{order_id=A-17}]=debug` | all lines inside of spans that all of it holds for |
//! | `[{order_id}]=debug` | all lines inside of spans that have the field, and events that have it |
//!
//! A directive for spans adds lines, of whichever target, and takes none away. Its name is that of a `tracing` span, or the
//! end of an observed function's path: `charge`, `payments::charge`. Its fields are those that are visible in the span:
//! those of `fields(..)`, of `context!` and of spans around it. Values are compared as text, in which `*` stands for any
//! text; in quotes, each character stands for itself. Regular expressions are refused. What has matched goes to spawned tasks
//! and threads with the context.
//!
//! A call that began before the directive was set is not compared with it; the calls below it that begin afterwards are.
//! As long as there is such a directive, everybody's lines up to its level are looked at, and calls of the functions that it
//! may match cost more.
//!
//! In a change, a mistake is an error that names the directive, as in [`log_filter`](crate::Builder::log_filter), and a
//! target has to have its level. In `RUST_LOG` a directive with a mistake is left out with a warning; if none is left, `info`
//! applies.
//!
//! The directives are always set as a whole, for good or for a time, after which those are in force again that were last set for
//! good, at the start or since.
//!
//! ```
//! use obs_runtime::log_level;
//! use std::time::Duration;
//!
//! # fn f() -> Result<(), log_level::Error> {
//! log_level::set("warn")?;
//! log_level::set_for("warn,shop=debug", Duration::from_secs(10 * 60))?;
//! if let Some(now) = log_level::current() {
//!     println!("{} in place of {}", now.directives, now.permanent);
//! }
//! log_level::revert(); // to `warn`, at once
//! # Ok(())
//! # }
//! ```
//!
//! They hold for observed functions, plain `tracing` and `log` alike, from the next line on, and cost a call no more
//! than those of the start do. As ever, they choose lines: spans of INFO and above are opened at any level. Each
//! change is a line itself, whatever the directives say.
//!
//! Where the log lines are those of a `tracing-subscriber` stack, the directives choose what the
//! [layer](crate::layer()) has to say of calls; the filters of the stack are its own.
//!
//! For all lines of one request, and no others, see [`Context::with_log_level`](crate::Context::with_log_level).

mod announce;
mod error;
mod levels;

pub(crate) use announce::remark;
#[cfg(feature = "admin")]
pub(crate) use announce::whole_seconds;
pub use error::Error;

use crate::subscriber::{self, Filter};
use crate::threads::caught;
use announce::Change;
use levels::Levels;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Directives may not be in force for a time longer than this.
pub const MAX_TIME_TO_LIVE: Duration = Duration::from_secs(24 * 60 * 60);

/// Those of the runtime, once it is started.
static LEVELS: Mutex<Option<Levels>> = Mutex::new(None);

/// Wakes the thread that waits for a time to be over.
static CHANGED: Condvar = Condvar::new();

/// What is in force: of [`current`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLevel {
    /// The directives in force.
    pub directives: String,
    /// Those last set for good, which a temporary change gives way to.
    pub permanent: String,
    /// Those that the service was started with.
    pub configured: String,
    /// How long the change has that is in force for a time.
    pub reverts_in: Option<Duration>,
}

/// The directives in force. `None` before the runtime is started.
#[must_use]
pub fn current() -> Option<LogLevel> {
    let levels = lock();
    let levels = levels.as_ref()?;
    let text = |filter: &Filter| filter.directives().to_owned();
    Some(LogLevel {
        directives: text(levels.in_force()),
        permanent: text(&levels.permanent),
        configured: text(&levels.configured),
        reverts_in: levels.left(Instant::now()),
    })
}

/// Puts directives in force for good, such as `info,shop=debug,hyper=off`. A temporary change is over with that.
///
/// # Errors
/// Directives that don't parse, and a runtime that is not started. What is in force stays.
pub fn set(directives: &str) -> Result<(), Error> {
    change(directives, None)
}

/// The same for a time, above zero and up to a day. Another change, of whichever kind, takes the place of this one and
/// of its time.
///
/// # Errors
/// As [`set`], and a time that is none.
pub fn set_for(directives: &str, time_to_live: Duration) -> Result<(), Error> {
    change(directives, Some(time_to_live))
}

/// Ends a temporary change before its time. False if there is none.
#[allow(clippy::must_use_candidate, reason = "it is done either way")]
pub fn revert() -> bool {
    let mut levels = lock();
    let Some(change) = levels.as_mut().and_then(|levels| end(levels, "log level reverted")) else {
        return false;
    };
    CHANGED.notify_all();
    drop(levels);
    subscriber::refresh();
    change.announce();
    true
}

/// The filter that a runtime has started with.
pub(crate) fn start(filter: Arc<Filter>) {
    *lock() = Some(Levels::new(filter));
}

fn lock() -> MutexGuard<'static, Option<Levels>> {
    LEVELS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn change(directives: &str, time_to_live: Option<Duration>) -> Result<(), Error> {
    if let Some(time) = time_to_live.filter(|time| time.is_zero() || *time > MAX_TIME_TO_LIVE) {
        return Err(Error::TimeToLive(time));
    }
    let filter = Filter::parse_change(directives)
        .map_err(|error| Error::Directives { value: directives.to_owned(), expected: error.to_string() })?;
    let mut guard = lock();
    let levels = guard.as_mut().ok_or(Error::NotStarted)?;
    if time_to_live.is_some() && !levels.waiting {
        // It finds out what for when the lock is free.
        subscriber::spawn(wait).map_err(|error| Error::Thread(error.to_string()))?;
        levels.waiting = true;
    }
    let old = Arc::clone(levels.in_force());
    let new = Arc::new(filter);
    levels.set(Arc::clone(&new), time_to_live.map(|time| Instant::now() + time));
    subscriber::put(Arc::clone(&new));
    let change = Change::new("log level changed", old, new, time_to_live);
    CHANGED.notify_all();
    drop(guard);
    // Subscribers and outputs of others have their say, and may ask for what is in force.
    subscriber::refresh();
    change.announce();
    Ok(())
}

/// Ends a temporary change. What is said of it is said when the lock is free.
fn end(levels: &mut Levels, message: &'static str) -> Option<Change> {
    let old = levels.end()?;
    let new = Arc::clone(levels.in_force());
    subscriber::put(Arc::clone(&new));
    Some(Change::new(message, old, new, None))
}

/// The thread that waits for the end of a temporary change, as long as there is one.
fn wait() {
    let mut guard = lock();
    loop {
        let Some(levels) = guard.as_mut() else { return };
        let Some(left) = levels.left(Instant::now()) else {
            levels.waiting = false;
            return;
        };
        if !left.is_zero() {
            guard = CHANGED.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
            continue;
        }
        let change = end(levels, "log level reverted: its time is over");
        drop(guard);
        // A subscriber of others that panics is not to be the end of this thread: the next change relies on it.
        caught(|| {
            subscriber::refresh_here();
            change.iter().for_each(Change::announce);
        });
        guard = lock();
    }
}
