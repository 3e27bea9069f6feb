//! Runs checks in the background: a thread that keeps the time, and one for each run while it takes.
//!
//! A run has a thread of its own because it is the user's code and may block: then it holds up nothing but itself.

use super::declared::Running;
use super::registry::Registered;
use super::shown;
use super::state::{Run, RunResult};
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Poll;
use std::thread;
use std::time::SystemTime;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, sleep_until, timeout};

/// Our own async runtime, on the thread `obs-health`. It goes on while the application's is stuck.
pub(crate) fn runtime() -> io::Result<Handle> {
    static RUNTIME: Mutex<Option<Handle>> = Mutex::new(None);
    let mut made = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*made {
        return Ok(handle.clone());
    }
    let runtime = Builder::new_current_thread().enable_all().thread_name("obs-health-run").build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new()
        .name("obs-health".into())
        .spawn(move || runtime.block_on(std::future::pending::<Infallible>()))?;
    *made = Some(handle.clone());
    Ok(handle)
}

/// Where checks run that were not registered in any runtime.
static HOME: OnceLock<Handle> = OnceLock::new();

/// From now on they run in this one. The first to ask gets them.
pub(crate) fn adopt(home: Handle) {
    let _ = HOME.set(home);
}

/// Runs a check from now on. `None` if that can't be, which leaves it without a result.
pub(super) fn watch(check: Arc<Registered>) -> Option<AbortHandle> {
    match runtime() {
        Ok(runtime) => Some(runtime.spawn(run_for_ever(check)).abort_handle()),
        Err(error) => {
            let check = &*check.spec.name;
            tracing::error!(target: "obs_runtime::health", check, %error, "no thread for health checks");
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
        let run = Run { result, took: ended - began, ended: ended.into_std(), ended_at: SystemTime::now() };
        if check.note(run) {
            return;
        }
        // A tenth at most, and only ever later: there are never more runs than asked for.
        sleep_until(began + check.spec.every.mul_f64(1.0 + fastrand::f64() / 10.0)).await;
    }
}

/// A run that was given up and may not have come back.
struct Hung {
    since: Instant,
    run: JoinHandle<Option<RunResult>>,
}

/// One run, or as much of it as the check has time for.
async fn run_once(check: &Arc<Registered>, began: Instant, hung: &mut Option<Hung>) -> RunResult {
    let home = check.home.as_ref().or(HOME.get()).cloned().unwrap_or_else(Handle::current);
    let (cancel, cancelled) = oneshot::channel();
    let runs = check.clone();
    let mut run = tokio::task::spawn_blocking(move || {
        let _in_home = home.enter();
        home.block_on(unless(cancelled, (runs.routine)()))
    });
    let ended = timeout(check.spec.timeout, &mut run).await;
    drop(cancel);
    match ended {
        Ok(Ok(result)) => result.unwrap_or_else(|| Err("it was dropped".to_owned())),
        Ok(Err(panic)) => Err(panicked(panic)),
        Err(_) => {
            *hung = Some(Hung { since: began, run });
            Err(format!("no answer within {}", shown(check.spec.timeout)))
        }
    }
}

/// What the future comes to, unless it is cancelled first: then it is dropped.
async fn unless(mut cancelled: oneshot::Receiver<Infallible>, mut running: Running) -> Option<RunResult> {
    poll_fn(move |cx| {
        if Pin::new(&mut cancelled).poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        running.as_mut().poll(cx).map(Some)
    })
    .await
}

fn panicked(error: tokio::task::JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "it was dropped".to_owned() };
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    crate::outcome::limited(format_args!("panicked: {}", text.unwrap_or("a value that is no text")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{CheckResult, Spec, Status};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;
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
