//! The long-lived threads of the runtime. Each has a name, is listed with its state, and outlives every panic.
//!
//! Much of the code on these threads is not the runtime's own: outputs, exporters, metrics, health checks and subscribers of
//! the application. A panic that is not caught closer to its origin ends one run of a thread's body. The thread counts
//! it and runs the body again, after a pause that doubles from 10 ms to 1 s if panics follow one another.

use crate::stderr;
use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// After a run of this length, the next pause is the first again.
const RECOVERED: Duration = Duration::from_secs(10);

static THREADS: Mutex<Vec<Arc<Entry>>> = Mutex::new(Vec::new());

/// A thread in the list.
#[derive(Debug)]
struct Entry {
    name: &'static str,
    alive: AtomicBool,
    panics: AtomicU64,
}

/// A thread that was spawned.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    thread: Thread,
    entry: Arc<Entry>,
}

impl Handle {
    /// Wakes the thread if it is parked.
    pub(crate) fn unpark(&self) {
        self.thread.unpark();
    }

    /// Returns false after the end of the thread.
    pub(crate) fn is_alive(&self) -> bool {
        self.entry.alive.load(Ordering::Acquire)
    }

    pub(crate) fn thread(&self) -> &Thread {
        &self.thread
    }
}

/// State of all threads of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) alive: bool,
    /// Runs of the body that ended in a panic.
    pub(crate) panics: u64,
}

/// The threads by name. Those that [`spawn_temporary`] has started are listed until they end.
pub(crate) fn all() -> BTreeMap<&'static str, State> {
    let mut states = BTreeMap::new();
    for entry in list().iter() {
        let state = states.entry(entry.name).or_insert(State { alive: true, panics: 0 });
        state.alive &= entry.alive.load(Ordering::Relaxed);
        state.panics += entry.panics.load(Ordering::Relaxed);
    }
    states
}

/// Names of the threads that should be there and have ended.
pub(crate) fn dead() -> Vec<&'static str> {
    all().into_iter().filter(|(_, state)| !state.alive).map(|(name, _)| name).collect()
}

fn list() -> MutexGuard<'static, Vec<Arc<Entry>>> {
    THREADS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a thread that runs `body` until the process ends. If `body` returns, the thread is dead.
pub(crate) fn spawn(name: &'static str, body: impl FnMut() + Send + 'static) -> io::Result<Handle> {
    spawn_with(name, || body)
}

/// Like [`spawn`], for a body that is made on the thread itself.
pub(crate) fn spawn_with<B: FnMut() + 'static>(
    name: &'static str,
    make: impl FnOnce() -> B + Send + 'static,
) -> io::Result<Handle> {
    start(name, make, false)
}

/// Like [`spawn`], for a body that returns when its work is done. The thread then leaves the list.
pub(crate) fn spawn_temporary(name: &'static str, body: impl FnMut() + Send + 'static) -> io::Result<Handle> {
    start(name, || body, true)
}

fn start<B: FnMut() + 'static>(
    name: &'static str,
    make: impl FnOnce() -> B + Send + 'static,
    temporary: bool,
) -> io::Result<Handle> {
    let entry = Arc::new(Entry { name, alive: AtomicBool::new(true), panics: AtomicU64::new(0) });
    let listed = Listed { entry: entry.clone(), temporary };
    list().push(entry.clone());
    let spawned = thread::Builder::new().name(name.into()).spawn(move || {
        if let Some(mut body) = caught(make) {
            run(&listed.entry, &mut body);
            // It may hold the application's values.
            caught(move || drop(body));
        }
        drop(listed);
    });
    match spawned {
        Ok(thread) => Ok(Handle { thread: thread.thread().clone(), entry }),
        Err(error) => {
            list().retain(|listed| !Arc::ptr_eq(listed, &entry));
            Err(error)
        }
    }
}

/// Runs the body until it returns.
fn run(entry: &Entry, body: &mut impl FnMut()) {
    let mut pause = FIRST_PAUSE;
    loop {
        let began = Instant::now();
        if caught(&mut *body).is_some() {
            return;
        }
        entry.panics.fetch_add(1, Ordering::Relaxed);
        if began.elapsed() >= RECOVERED {
            pause = FIRST_PAUSE;
        }
        if pause == FIRST_PAUSE {
            stderr::print(format_args!("obs: the thread {} has panicked, and goes on", entry.name));
        }
        thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Notes the end of a thread when it is dropped.
struct Listed {
    entry: Arc<Entry>,
    temporary: bool,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.entry.alive.store(false, Ordering::Release);
        if self.temporary {
            list().retain(|entry| !Arc::ptr_eq(entry, &self.entry));
        }
    }
}

/// Runs code that may panic. Returns `None` if it did.
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(value) => Some(value),
        Err(payload) => {
            discard(payload);
            None
        }
    }
}

/// Drops the value of a panic, whose destructor is not the runtime's own and may panic too.
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // It could go on like this.
        std::mem::forget(another);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::panic_any;
    use std::sync::mpsc::channel;

    fn state(name: &str) -> Option<State> {
        all().get(name).copied()
    }

    fn until(holds: impl Fn() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < Duration::from_secs(60), "it never came");
            thread::yield_now();
        }
    }

    /// A value of a panic that panics once more when it is dropped.
    struct PanicsAgain;

    impl Drop for PanicsAgain {
        fn drop(&mut self) {
            if !thread::panicking() {
                panic_any("once more");
            }
        }
    }

    #[test]
    fn a_thread_outlives_panics_and_keeps_its_state() {
        let (send, receive) = channel();
        let mut runs = 0;
        let thread = spawn("test-panics", move || {
            runs += 1;
            let _ = send.send(runs);
            match runs {
                1 => panic!("on purpose"),
                2 => panic_any(PanicsAgain),
                _ => loop {
                    thread::park();
                },
            }
        });
        assert_eq!(receive.iter().take(3).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(thread.expect("a thread").is_alive());
        assert_eq!(state("test-panics"), Some(State { alive: true, panics: 2 }));
        assert!(!dead().contains(&"test-panics"));
    }

    #[test]
    fn a_thread_that_has_ended_is_dead_unless_it_was_temporary() {
        let ended = spawn("test-ends", || {}).expect("a thread");
        until(|| !ended.is_alive());
        assert!(dead().contains(&"test-ends"));
        let failed = spawn_with("test-is-not-made", || -> fn() { panic!("on purpose") }).expect("a thread");
        until(|| !failed.is_alive());
        assert!(dead().contains(&"test-is-not-made"));
        let ended = spawn_temporary("test-is-done", || {}).expect("a thread");
        until(|| state("test-is-done").is_none());
        assert!(!ended.is_alive());
    }
}
