//! Runs checks in the background: a thread that keeps the time, and one for each run while it takes.
//!
//! A run has a thread of its own because it is the user's code and may block: then it holds up nothing but itself.

use super::clock;
use super::declared::Running;
use super::registry::Registered;
use super::shown;
use super::state::{Run, RunResult};
use crate::threads::{self, caught};
use std::any::Any;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::task::Poll;
use std::time::{Duration, SystemTime};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

/// Threads that runs may have at once: fewer than tokio starts, so that none has to wait for one.
const MOST_RUNNING: usize = 500;
/// Things to say that may wait.
const MOST_WAITING: usize = 1024;
/// Of a run that nobody waits for any more.
const DROPPED: &str = "it was dropped";

/// Keeps the time, on the thread `obs-health`. Nobody else's code runs there, so it goes on whatever is stuck.
pub(crate) fn runtime() -> io::Result<Handle> {
    static RUNTIME: Mutex<Option<Handle>> = Mutex::new(None);
    once(&RUNTIME, "obs-health")
}

/// Runs what checks leave behind that have no other runtime, on the thread `obs-health-home`: the connections of a pool
/// that one of them has opened, say.
fn own_home() -> io::Result<Handle> {
    static RUNTIME: Mutex<Option<Handle>> = Mutex::new(None);
    once(&RUNTIME, "obs-health-home")
}

fn once(made: &Mutex<Option<Handle>>, thread: &'static str) -> io::Result<Handle> {
    let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*made {
        return Ok(handle.clone());
    }
    let runtime = Builder::new_current_thread().enable_all().thread_name("obs-health-run").build()?;
    let handle = runtime.handle().clone();
    threads::spawn(thread, move || match runtime.block_on(std::future::pending::<Infallible>()) {})?;
    *made = Some(handle.clone());
    Ok(handle)
}

/// Has somebody else do what may take long or go wrong, such as saying something where others listen.
pub(crate) fn aside(work: impl FnOnce() + Send + 'static) {
    type Work = Box<dyn FnOnce() + Send>;
    static WAITING: OnceLock<Option<mpsc::SyncSender<Work>>> = OnceLock::new();
    let waiting = WAITING.get_or_init(|| {
        let (send, receive) = mpsc::sync_channel::<Work>(MOST_WAITING);
        threads::spawn("obs-health-aside", move || receive.iter().for_each(|work| _ = caught(work))).ok()?;
        Some(send)
    });
    if let Some(waiting) = waiting {
        // Where all that waits is stuck, this is lost; reports and metrics say it, too.
        let _ = waiting.try_send(Box::new(work));
    }
}

/// Where checks run that were not registered in any runtime.
static HOME: OnceLock<Handle> = OnceLock::new();

/// From now on they run in this one. The first to ask gets them.
pub(crate) fn adopt(home: Handle) {
    let _ = HOME.set(home);
}

/// Runs a check from now on. `None` if that can't be, which leaves it without a result.
pub(super) fn watch(check: Arc<Registered>) -> Option<JoinHandle<()>> {
    match runtime() {
        Ok(runtime) => Some(runtime.spawn(run_for_ever(check))),
        Err(error) => {
            // The registry is locked, and somebody who listens may ask it.
            let name = check.spec.name.clone();
            aside(move || {
                tracing::error!(target: "obs_runtime::health", check = &*name, %error, "no thread for health checks");
            });
            None
        }
    }
}

async fn run_for_ever(check: Arc<Registered>) {
    let mut hung: Option<Hung> = None;
    loop {
        let began = Instant::now();
        hung = hung.filter(|hung| !hung.run.is_finished());
        let result = match &hung {
            Some(hung) => Err(format!("it blocks its thread, and has for {}", shown(hung.since.elapsed()))),
            None => run_once(&check, began, &mut hung).await,
        };
        let ended = Instant::now();
        let run = Run {
            result,
            took: ended - began,
            ended: clock::without_stops(ended.into_std()),
            ended_at: SystemTime::now(),
        };
        if check.note(run) {
            return;
        }
        // A tenth at most, and only ever later: there are never more runs than asked for.
        let next = began + check.spec.every.mul_f64(1.0 + fastrand::f64() / 10.0);
        // One that was given up has a moment to come back before it is called stuck.
        let at_least = if hung.is_some() { ended + check.spec.every / 2 } else { ended };
        sleep_until(next.max(at_least)).await;
    }
}

/// A run that was given up and may not have come back.
struct Hung {
    since: Instant,
    run: JoinHandle<RunResult>,
}

/// Runs that have a thread now.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// A run's hold on its thread.
struct Thread;

impl Thread {
    /// `None` if those that hang have all of them.
    fn get() -> Option<Self> {
        let thread = Self;
        RUNNING.fetch_add(1, Ordering::Relaxed).lt(&MOST_RUNNING).then_some(thread)
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One run, or as much of it as the check has time for.
async fn run_once(check: &Arc<Registered>, began: Instant, hung: &mut Option<Hung>) -> RunResult {
    let home = check.home.as_ref().or(HOME.get()).cloned();
    let home = home.map_or_else(own_home, Ok).map_err(|error| format!("no thread for it: {error}"))?;
    let Some(thread) = Thread::get() else {
        return Err(format!("no thread for it: {MOST_RUNNING} runs of health checks have not come back"));
    };
    let (cancel, cancelled) = oneshot::channel();
    let runs = check.clone();
    let mut run = tokio::task::spawn_blocking(move || {
        let _thread = thread;
        let _in_home = home.enter();
        let run = AssertUnwindSafe(|| home.block_on(unless(cancelled, (runs.routine)())));
        catch_unwind(run).unwrap_or_else(|panic| Err(panicked(panic)))
    });
    let ended = within(check.spec.timeout, &mut run).await;
    drop(cancel);
    if let Some(result) = ended {
        return result.unwrap_or_else(|_| Err(DROPPED.to_owned()));
    }
    *hung = Some(Hung { since: began, run });
    Err(format!("no answer within {}", shown(check.spec.timeout)))
}

/// Waits for the end of a future as long as the process has run for less than `limit`. `None` if it does not end.
async fn within<F: Future + Unpin>(limit: Duration, future: &mut F) -> Option<F::Output> {
    let now = || clock::without_stops(Instant::now().into_std());
    let end = now() + limit;
    loop {
        // Timers go on while the process is stopped.
        let left = end.saturating_duration_since(now());
        if left.is_zero() {
            return None;
        }
        if let Ok(output) = timeout(left, &mut *future).await {
            return Some(output);
        }
    }
}

/// What the future comes to, unless it is cancelled first: then it is dropped.
async fn unless(mut cancelled: oneshot::Receiver<Infallible>, mut running: Running) -> RunResult {
    poll_fn(move |cx| {
        if Pin::new(&mut cancelled).poll(cx).is_ready() {
            return Poll::Ready(Err(DROPPED.to_owned()));
        }
        running.as_mut().poll(cx)
    })
    .await
}

fn panicked(panic: Box<dyn Any + Send>) -> String {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let text =
        crate::outcome::limited(format_args!("panicked: {}", text.unwrap_or("a value that is no text")));
    // Somebody else's value, which may panic once more.
    let _ = catch_unwind(AssertUnwindSafe(move || drop(panic)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{CheckResult, Spec, Status};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::time::{advance, sleep};

    /// Runs a check in the test's runtime, whose time is the test's.
    fn watched<F>(
        spec: Spec,
        check: impl Fn() -> F + Send + Sync + 'static,
    ) -> (Arc<Registered>, JoinHandle<()>)
    where
        F: Future<Output: CheckResult> + 'static,
    {
        let routine = Box::new(move || crate::health::run(check()));
        let check = Registered::new(spec, routine, Some(Handle::current()));
        let task = tokio::spawn(run_for_ever(check.clone()));
        (check, task)
    }

    fn status(check: &Registered) -> Status {
        check.standing(Instant::now().into_std()).status
    }

    /// Until it has run that often. Time stands still meanwhile.
    async fn runs(check: &Registered, often: u64) {
        while check.counts().0 < often {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_runs_once_in_an_interval_and_never_more_often() {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        let spec = Spec::new("interval").every(Duration::from_secs(10));
        let (check, _) = watched(spec, async || _ = RUNS.fetch_add(1, Ordering::Relaxed));
        runs(&check, 1).await;
        sleep(Duration::from_secs(999)).await;
        let runs = RUNS.load(Ordering::Relaxed);
        assert!((90..=100).contains(&runs), "{runs} runs in 999 seconds of 10 to 11");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_hangs_is_dropped_at_its_deadline_and_run_again() {
        static DROPPED: AtomicUsize = AtomicUsize::new(0);
        struct Held;
        impl Drop for Held {
            fn drop(&mut self) {
                DROPPED.fetch_add(1, Ordering::Relaxed);
            }
        }
        let spec =
            Spec::new("hangs").every(Duration::from_secs(10)).timeout(Duration::from_secs(2)).failures(1);
        let (check, _) = watched(spec, || {
            let held = Held;
            async move {
                std::future::pending::<()>().await;
                drop(held);
            }
        });
        for run in 1..4 {
            while check.counts().0 < run {
                advance(Duration::from_millis(100)).await;
            }
            let standing = check.standing(Instant::now().into_std());
            assert_eq!(standing.output.as_deref(), Some("no answer within 2 s"));
            let took = standing.last.expect("it ran").took;
            assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(3), "{took:?}");
            while DROPPED.load(Ordering::Relaxed) < usize::try_from(run).expect("small") {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(status(&check), Status::Fail);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_blocks_its_thread_is_not_run_a_second_time() {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let blocked = Mutex::new(blocked);
        let spec =
            Spec::new("blocks").every(Duration::from_secs(1)).timeout(Duration::from_secs(1)).failures(1);
        let (check, _) = watched(spec, move || {
            RUNS.fetch_add(1, Ordering::Relaxed);
            let _ = blocked.lock().unwrap_or_else(PoisonError::into_inner).recv();
            async {}
        });
        while RUNS.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        for run in 1..6 {
            advance(Duration::from_millis(1100)).await;
            runs(&check, run).await;
        }
        assert_eq!((RUNS.load(Ordering::Relaxed), status(&check)), (1, Status::Fail));
        drop(release);
        while status(&check) == Status::Fail {
            advance(Duration::from_millis(100)).await;
        }
        assert!(RUNS.load(Ordering::Relaxed) >= 2);
    }

    #[tokio::test]
    async fn a_panic_is_its_failure() {
        let (check, _) = watched(Spec::new("panics"), async || assert_eq!(1 + 1, 3, "arithmetic"));
        runs(&check, 1).await;
        let output = check.standing(std::time::Instant::now()).output.expect("it failed");
        assert!(output.starts_with("panicked: ") && output.contains("arithmetic"), "{output}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_of_the_start_is_not_asked_again_once_it_has_passed() {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        let spec = Spec::new("starts").probe(crate::health::Probe::Startup);
        let (check, task) = watched(spec, async || match RUNS.fetch_add(1, Ordering::Relaxed) {
            0 | 1 => Err("still loading"),
            _ => Ok(()),
        });
        task.await.expect("it ends");
        assert_eq!((check.counts(), status(&check)), ((3, 2), Status::Pass));
    }
}
