//! What the profile says of locks that were fought over, and of those that were not.

use super::*;
use crate::sync::{Mutex, RwLock, Semaphore, tokio as later};
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_millis(20);

/// A sample of a lock.
#[derive(Debug)]
struct Sample {
    function: String,
    line: u32,
    holder: Option<String>,
    values: Vec<i64>,
}

impl Sample {
    fn contentions(&self) -> i64 {
        self.values[2]
    }

    fn delay(&self) -> Duration {
        Duration::from_nanos(self.values[3].try_into().expect("none is negative"))
    }
}

fn samples(lock: &str) -> Vec<Sample> {
    let label = |labels: &[Label], key| {
        labels.iter().find(|label| label.key == key).map(|label| label.value.as_str().to_owned())
    };
    mutex()
        .samples
        .into_iter()
        .filter(|((_, labels), _)| label(labels, "lock").as_deref() == Some(lock))
        .map(|((stack, labels), values)| Sample {
            function: stack[0].function.as_str().to_owned(),
            line: stack[0].line,
            holder: label(&labels, "holder"),
            values,
        })
        .collect()
}

/// The only wait for a lock.
fn wait(lock: &str) -> Sample {
    let mut waits: Vec<_> = samples(lock).into_iter().filter(|sample| sample.contentions() > 0).collect();
    assert_eq!(waits.len(), 1, "{waits:?}");
    waits.remove(0)
}

/// Acquisitions by line.
fn acquisitions(lock: &str) -> Vec<(u32, i64)> {
    let taken = samples(lock).into_iter().filter(|sample| sample.values[0] > 0);
    taken.map(|sample| (sample.line, sample.values[0])).collect()
}

fn assert_waited(sample: &Sample, least: Duration) {
    assert!(sample.delay() >= least && sample.delay() < Duration::from_secs(60), "{sample:?}");
}

#[test]
fn a_wait_is_counted_where_it_was_with_who_is_waited_for() {
    static LOCK: Mutex<u32> = Mutex::named("fought over", 0);
    state::start();
    let (held, is_held) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let holder = thread::spawn(move || {
        let _guard = LOCK.lock();
        held.send(line!() - 1).expect("somebody listens");
        let _ = released.recv();
    });
    let holder_line = is_held.recv().expect("it is locked");
    assert!(LOCK.try_lock_for(WAIT).is_none());
    let waited_line = line!() - 1;
    drop(release);
    holder.join().expect("no panic");
    let sample = wait("fought over");
    assert_eq!((sample.function.as_str(), sample.line), ("lock fought over", waited_line));
    assert_eq!(sample.contentions(), 1);
    assert_waited(&sample, WAIT);
    assert_eq!(sample.holder, Some(format!("{}:{holder_line}", file!())));
    assert!(acquisitions("fought over").iter().all(|(line, _)| *line == holder_line), "it came to nothing");
}

#[test]
fn who_gets_a_lock_in_the_end_is_measured_for_as_long_as_it_is_held() {
    static LOCK: Mutex<u32> = Mutex::named("had in the end", 0);
    state::start();
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut line = 0;
    // A thread that is late finds the lock free.
    while samples("had in the end").iter().all(|sample| sample.contentions() == 0) {
        assert!(Instant::now() < deadline, "nobody waits");
        let guard = LOCK.lock();
        let (begins, has_begun) = mpsc::channel();
        let waiter = thread::spawn(move || {
            begins.send(()).expect("somebody listens");
            let guard = LOCK.lock();
            thread::sleep(WAIT);
            drop(guard);
            line!() - 3
        });
        has_begun.recv().expect("it runs");
        thread::sleep(WAIT);
        drop(guard);
        line = waiter.join().expect("no panic");
    }
    assert_eq!(wait("had in the end").line, line);
    let sample = samples("had in the end")
        .into_iter()
        .find(|sample| sample.line == line && sample.holder.is_none())
        .expect("it had the lock");
    assert!(sample.values[0] >= 1 && sample.values[1] >= 20_000_000, "{sample:?}");
}

#[test]
fn a_writer_that_waits_for_a_reader() {
    static LOCK: RwLock<u32> = RwLock::named("read and written", 0);
    state::start();
    let guard = LOCK.read();
    let read_line = line!() - 1;
    assert!(LOCK.try_write_until(Instant::now() + WAIT).is_none());
    drop(guard);
    let sample = wait("read and written");
    assert_eq!((sample.function.as_str(), sample.line), ("write read and written", read_line + 2));
    assert_eq!(sample.holder, Some(format!("{}:{read_line}", file!())));
    assert_waited(&sample, WAIT);
}

/// Polls once, which is not enough, lets time pass, and hands the future on.
fn waits_a_while<T>(future: impl Future<Output = T>, then: impl FnOnce(bool) -> bool) -> Option<T> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_pending());
    thread::sleep(WAIT);
    then(true)
        .then(|| tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future))
}

#[test]
fn a_task_that_waits() {
    static LOCK: later::Mutex<u32> = later::Mutex::named("a task's", 0);
    state::start();
    let guard = LOCK.try_lock().expect("it is free");
    let waits = LOCK.lock();
    let line = line!() - 1;
    let taken = waits_a_while(waits, |_| {
        drop(guard);
        true
    });
    drop(taken);
    let sample = wait("a task's");
    assert_eq!((sample.function.as_str(), sample.line), ("lock a task's", line));
    assert_eq!(sample.contentions(), 1);
    assert_waited(&sample, WAIT);
    assert_eq!(sample.holder, Some(format!("{}:{}", file!(), line - 1)));
    assert!(acquisitions("a task's").contains(&(line, 1)), "one that has waited stands for itself");
}

#[test]
fn a_wait_that_is_cancelled() {
    static LOCK: later::RwLock<u32> = later::RwLock::named("given up", 0);
    state::start();
    let guard = LOCK.try_read().expect("it is free");
    assert!(waits_a_while(LOCK.write(), |_| false).is_none());
    let line = line!() - 1;
    drop(guard);
    let sample = wait("given up");
    assert_eq!((sample.function.as_str(), sample.line), ("write given up", line));
    assert_eq!(sample.contentions(), 1);
    assert_waited(&sample, WAIT);
}

#[test]
fn permits_that_are_waited_for() {
    state::start();
    let permits = Arc::new(Semaphore::named("permits", 3));
    let (one, mut two) = (permits.try_acquire().expect("three"), permits.try_acquire_many(2).expect("two"));
    let owned = waits_a_while(Arc::clone(&permits).acquire_many_owned(2), |_| {
        drop(two.split(1));
        drop(one);
        true
    });
    let owned = owned.expect("it was waited for").expect("it is open");
    assert_eq!((owned.num_permits(), permits.available_permits()), (2, 0));
    drop((owned, two));
    assert_eq!(permits.available_permits(), 3);
    let sample = wait("permits");
    assert_eq!(sample.function, "acquire permits");
    assert_waited(&sample, WAIT);
    permits.close();
    let closed = pin!(permits.acquire()).poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(closed, std::task::Poll::Ready(Err(_))));
    assert_eq!(wait("permits").contentions(), 1, "nobody waits for what is closed");
}

#[test]
fn a_lock_without_a_name_is_called_by_where_it_was_made() {
    state::start();
    let lock = Mutex::new(0);
    let name = format!("{}:{}", file!(), line!() - 1);
    let _guard = lock.lock();
    assert!(lock.try_lock_for(Duration::from_millis(1)).is_none());
    assert_eq!(wait(&name).function, format!("lock {name}"));
    assert_eq!(wait(&name).holder, Some(format!("{}:{}", file!(), line!() - 3)));
}

#[test]
fn one_in_sixteen_stands_for_sixteen() {
    static LOCK: Mutex<u32> = Mutex::named("sampled", 0);
    const STRATA: i64 = 4_000;
    state::start();
    // A thread of its own has all its strata before it.
    thread::spawn(|| {
        for _ in 0..STRATA * i64::from(STRATUM) / 2 {
            drop(LOCK.lock());
            drop(LOCK.lock());
        }
    })
    .join()
    .expect("no panic");
    let counts: Vec<i64> = acquisitions("sampled").into_iter().map(|(_, count)| count).collect();
    assert_eq!(counts.len(), 2, "{counts:?}");
    assert_eq!(counts.iter().sum::<i64>(), STRATA * i64::from(STRATUM), "all that there were");
    // Half each, give or take ten standard deviations.
    let half = STRATA * i64::from(STRATUM) / 2;
    let apart = 10 * i64::from(STRATUM) * 32;
    assert!(counts.iter().all(|count| (count - half).abs() < apart), "{counts:?}");
}

#[test]
fn a_guard_that_is_forgotten_was_acquired_and_never_given_back() {
    state::start();
    let taken =
        || Lock::named("forgotten").measured(Verb::Lock, Place::of(Location::caller()), Weight::Itself);
    std::mem::forget(taken());
    drop(taken());
    let [sample] = &*samples("forgotten") else { panic!("{:?}", samples("forgotten")) };
    assert_eq!(sample.values[0], 2);
}

#[test]
fn a_panic_gives_the_lock_back() {
    static LOCK: Mutex<u32> = Mutex::named("panicked with", 0);
    state::start();
    let panicked = thread::spawn(|| {
        let _guard = LOCK.lock();
        panic!("with the lock");
    })
    .join();
    assert!(panicked.is_err() && !LOCK.is_locked());
    assert_eq!(*LOCK.lock(), 0);
}

#[test]
fn inside_the_runtime_nobody_is_measured() {
    state::start();
    let lock = Mutex::named("busy", 0);
    let _guard = lock.lock();
    let _busy = crate::busy::now();
    assert!(lock.try_lock_for(Duration::from_millis(1)).is_none());
    assert!(samples("busy").iter().all(|sample| sample.contentions() == 0));
}

#[test]
fn what_a_guard_keeps_comes_back() {
    let ticks = Held::TICKS - 5;
    for (number, weight) in [(0, Weight::Itself), (4096, Weight::Stratum)] {
        let held = Held::since(ticks, number, weight);
        assert_eq!(held.0 & Held::TICKS, ticks);
        assert_eq!(held.0 >> Held::STRATUM & 1, u64::from(weight == Weight::Stratum));
        assert_eq!(held.0 >> (Held::STRATUM + 1), 1 << table::NUMBER_BITS | number as u64);
        std::mem::forget(held);
    }
}
