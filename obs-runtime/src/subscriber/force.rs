//! The filter in force, which can be put in the place of another, and how those hear of it who keep its decisions:
//! observed functions a mode, `tracing` an interest for each callsite, `log` a level.

use super::{Filter, asked, span_directives};
use crate::threads::{self, caught};
use crate::{busy, state};
use std::cell::RefCell;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, RwLock};
use std::{io, thread};
use tracing_core::subscriber::Interest;
use tracing_core::{Event, Level, LevelFilter, Metadata, callsite};

static IN_FORCE: LazyLock<RwLock<Arc<Filter>>> = LazyLock::new(RwLock::default);

/// Counts changes, so that each thread may keep the filter until there is another.
static CHANGES: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static SEEN: RefCell<(u64, Option<Arc<Filter>>)> = const { RefCell::new((0, None)) };
}

/// Puts a filter in force. Those who keep decisions don't know yet.
pub(crate) fn put(filter: Arc<Filter>) {
    let in_spans = filter.most_verbose_in_spans();
    asked::set_by_directives(in_spans);
    span_directives::set_any(in_spans > LevelFilter::OFF);
    *IN_FORCE.write().unwrap_or_else(PoisonError::into_inner) = filter;
    CHANGES.fetch_add(1, Ordering::Release);
}

fn in_force() -> Arc<Filter> {
    Arc::clone(&IN_FORCE.read().unwrap_or_else(PoisonError::into_inner))
}

/// The number of the last change.
pub(super) fn changes() -> u64 {
    CHANGES.load(Ordering::Acquire)
}

/// Runs with the filter in force, which costs no more than to see that it is the same as before.
pub(super) fn with_filter<R>(run: impl Fn(&Filter) -> R) -> R {
    let kept = SEEN.try_with(|seen| {
        let mut seen = seen.try_borrow_mut().ok()?;
        let change = changes();
        if seen.0 != change || seen.1.is_none() {
            *seen = (change, Some(in_force()));
        }
        seen.1.as_deref().map(&run)
    });
    kept.ok().flatten().unwrap_or_else(|| run(&in_force()))
}

/// Whether log lines of that target and level are written where this thread is.
#[cfg(feature = "log")]
pub(crate) fn logs(target: &str, level: Level) -> bool {
    with_filter(|filter| filter.enables(target, level)) || asked::here(level)
}

/// Whether a callsite is heard. One whose lines somebody has asked for is asked each time.
pub(super) fn interest(metadata: &Metadata<'_>) -> Interest {
    if with_filter(|filter| enables(filter, metadata)) {
        Interest::always()
    } else if metadata.is_event() && asked::anywhere(*metadata.level()) {
        Interest::sometimes()
    } else {
        Interest::never()
    }
}

/// The same for where this thread is.
pub(super) fn enabled(metadata: &Metadata<'_>) -> bool {
    with_filter(|filter| enables(filter, metadata)) || (metadata.is_event() && asked::here(*metadata.level()))
}

fn enables(filter: &Filter, metadata: &Metadata<'_>) -> bool {
    if metadata.is_span() { filter.spans(metadata) } else { filter.logs(metadata) }
}

/// Whether an event that has come is heard, which may be of the span of that number and not where this thread is.
pub(super) fn hears(event: &Event<'_>, parent: Option<NonZeroU64>) -> bool {
    let level = *event.metadata().level();
    let asked = || match parent {
        _ if event.is_contextual() => asked::here(level),
        Some(parent) => span_directives::asked_of(parent).is_some_and(|asked| level <= asked),
        None => false,
    };
    with_filter(|filter| filter.logs(event.metadata())) || (asked::anywhere(level) && asked())
}

/// As [`hears`], of an event whose callsite has been enabled: another answer can have been for where this thread is.
pub(super) fn hears_enabled(event: &Event<'_>, parent: Option<NonZeroU64>) -> bool {
    event.is_contextual() || !asked::anywhere(Level::ERROR) || hears(event, parent)
}

/// The most verbose level that anybody is heard at.
pub(crate) fn most_verbose() -> LevelFilter {
    in_force().most_verbose().max(asked::most_verbose())
}

/// Tells the observed functions alone.
pub(crate) fn apply() {
    in_force().apply(asked::most_verbose());
}

const THREAD: &str = "obs-log-level";

/// Tells everybody, and returns when they know.
///
/// On a thread of its own: where a scope has put another subscriber before ours, or `tracing` is at work already,
/// it would ask the wrong one.
pub(crate) fn refresh() {
    let refreshed = thread::scope(|scope| {
        let thread = thread::Builder::new().name(THREAD.into()).spawn_scoped(scope, refresh_here)?;
        let _ = thread.join();
        io::Result::Ok(())
    });
    if refreshed.is_err() {
        refresh_here();
    }
}

/// Tells everybody soon. If there is no thread for that, the next change does: who is asked in vain answers right.
pub(super) fn refresh_later() {
    let _ = thread::Builder::new().name(THREAD.into()).spawn(refresh_here);
}

/// Tells everybody, on a thread of the runtime's own.
pub(crate) fn refresh_here() {
    // Each reads what is in force then, so the last one has told the last of it.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    // Subscribers of others are asked, and what they call may be observed.
    let _busy = busy::now();
    if state::running() {
        apply();
    }
    // A subscriber of the application that panics is no reason not to tell `log`.
    caught(callsite::rebuild_interest_cache);
    #[cfg(feature = "log")]
    crate::log::set_most_verbose(most_verbose());
}

/// Starts a thread of that name, which ends when `run` returns.
pub(crate) fn spawn(run: impl FnMut() + Send + 'static) -> io::Result<()> {
    threads::spawn_temporary(THREAD, run).map(drop)
}
