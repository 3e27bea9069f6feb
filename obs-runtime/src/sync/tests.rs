//! That these locks can be put in place of the originals.

use super::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, Semaphore, tokio as later};
use std::cell::Cell;
use std::fmt::Debug;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use std::sync::Arc;

/// What a type has of the traits that nobody writes down; the inherent constant is there for types that have it.
trait Lacks {
    const SEND: bool = false;
    const SYNC: bool = false;
    const UNWIND_SAFE: bool = false;
    const REF_UNWIND_SAFE: bool = false;
}

struct Has<T>(std::marker::PhantomData<T>);

impl<T> Lacks for Has<T> {}

macro_rules! has {
    ($bound:ident, $constant:ident) => {
        impl<T: $bound> Has<T> {
            const $constant: bool = true;
        }
    };
}

has!(Send, SEND);
has!(Sync, SYNC);
has!(UnwindSafe, UNWIND_SAFE);
has!(RefUnwindSafe, REF_UNWIND_SAFE);

macro_rules! as_the_original {
    ($($ours:ty = $original:ty),+ $(,)?) => {
        $(const _: () = {
            assert!(Has::<$ours>::SEND == Has::<$original>::SEND);
            assert!(Has::<$ours>::SYNC == Has::<$original>::SYNC);
            assert!(Has::<$ours>::UNWIND_SAFE == Has::<$original>::UNWIND_SAFE);
            assert!(Has::<$ours>::REF_UNWIND_SAFE == Has::<$original>::REF_UNWIND_SAFE);
            #[cfg(not(feature = "profile"))]
            assert!(size_of::<$ours>() == size_of::<$original>());
        };)+
    };
}

macro_rules! with_values {
    ($($value:ty),+) => {
        $(as_the_original! {
            Mutex<$value> = parking_lot::Mutex<$value>,
            MutexGuard<'static, $value> = parking_lot::MutexGuard<'static, $value>,
            super::MappedMutexGuard<'static, $value> = parking_lot::MappedMutexGuard<'static, $value>,
            RwLock<$value> = parking_lot::RwLock<$value>,
            RwLockReadGuard<'static, $value> = parking_lot::RwLockReadGuard<'static, $value>,
            RwLockWriteGuard<'static, $value> = parking_lot::RwLockWriteGuard<'static, $value>,
            later::Mutex<$value> = ::tokio::sync::Mutex<$value>,
            later::MutexGuard<'static, $value> = ::tokio::sync::MutexGuard<'static, $value>,
            later::RwLock<$value> = ::tokio::sync::RwLock<$value>,
            later::RwLockReadGuard<'static, $value> = ::tokio::sync::RwLockReadGuard<'static, $value>,
            later::RwLockWriteGuard<'static, $value> = ::tokio::sync::RwLockWriteGuard<'static, $value>,
        })+
    };
}

with_values!(u32, Cell<u32>, Rc<u32>);
as_the_original! {
    Semaphore = ::tokio::sync::Semaphore,
    later::SemaphorePermit<'static> = ::tokio::sync::SemaphorePermit<'static>,
}

fn is_send<T: Send>(value: T) -> T {
    value
}

#[test]
fn guards_of_parts() {
    let lock = Mutex::new((1, "two"));
    let part = MutexGuard::map(lock.lock(), |value| &mut value.0);
    assert_eq!((*part, lock.is_locked()), (1, true));
    drop(part);
    let whole = MutexGuard::try_map(lock.lock(), |_| None::<&mut u8>).expect_err("it has no such part");
    assert_eq!(whole.1, "two");
    MutexGuard::unlock_fair(whole);
    assert!(!lock.is_locked());

    let lock = RwLock::from(vec![1, 2]);
    let mut last = RwLockWriteGuard::map(lock.write(), |values| values.last_mut().expect("two"));
    *last += 1;
    drop(last);
    let read = RwLockWriteGuard::downgrade(lock.write());
    assert_eq!((read.as_slice(), lock.read_recursive().len()), (&[1, 3][..], 2));
    assert!(lock.try_write().is_none() && lock.try_read().is_some());
}

#[test]
fn while_it_is_unlocked_others_may_lock_it() {
    let lock = Mutex::new(1);
    let mut guard = lock.lock();
    MutexGuard::unlocked(&mut guard, || *lock.lock() += 1);
    assert_eq!(*guard, 2);
}

#[test]
fn values_may_be_unsized() {
    let locks: [Arc<Mutex<dyn Debug + Send>>; 2] = [Arc::new(Mutex::new(1)), Arc::new(Mutex::new("two"))];
    assert_eq!(locks.map(|lock| format!("{:?}", &*lock.lock())), ["1", "\"two\""]);
    let lock: &RwLock<[u8]> = &RwLock::new([1, 2]);
    assert_eq!(lock.read().len(), 2);
    let lock: Arc<later::Mutex<dyn Debug + Send>> = Arc::new(later::Mutex::const_new(3));
    assert_eq!(format!("{:?}", &*lock.try_lock().expect("it is free")), "3");
}

#[test]
fn what_is_inside_comes_out() {
    let mut lock = Mutex::<u32>::default();
    *lock.get_mut() += 1;
    assert_eq!(format!("{lock:?}"), format!("{:?}", parking_lot::Mutex::new(1)));
    assert_eq!(lock.into_inner(), 1);
    assert_eq!(later::RwLock::with_max_readers(2, 1).into_inner(), 2);
}

#[::tokio::test]
async fn tasks_take_turns() {
    static LOCK: later::Mutex<Vec<u32>> = later::Mutex::const_new(Vec::new());
    static ONE: Semaphore = Semaphore::const_new(1);
    let tasks = (0..10).map(|number| {
        ::tokio::spawn(is_send(async move {
            let _permit = ONE.acquire().await.expect("it is open");
            let before = LOCK.lock().await.len();
            ::tokio::task::yield_now().await;
            LOCK.lock().await.push(number);
            assert_eq!(LOCK.lock().await.len(), before + 1, "nobody else was there");
        }))
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no panic");
    }
    assert_eq!(later::MutexGuard::map(LOCK.lock().await, |values| &mut values[3]).to_string(), "3");
}

#[::tokio::test]
async fn a_task_that_always_finds_its_lock_free_lets_others_run() {
    let lock = later::RwLock::new(0);
    let endless = is_send(async {
        loop {
            *lock.write().await += 1;
        }
    });
    // Another one comes to its turn all the same.
    ::tokio::select! {
        biased;
        () = endless => unreachable!("it is endless"),
        () = ::tokio::task::yield_now() => {}
    }
}

#[test]
fn threads_block_for_what_tasks_have() {
    let lock = later::RwLock::new(1);
    *lock.blocking_write() += 1;
    assert_eq!(*lock.blocking_read(), 2);
    let guard = lock.try_write().expect("it is free");
    assert!(lock.try_read().is_err());
    assert_eq!(*guard.downgrade(), 2);
    assert_eq!(*later::Mutex::new(3).blocking_lock(), 3);
}

#[test]
fn permits_are_split_and_merged_and_forgotten() {
    let permits = Arc::new(Semaphore::new(4));
    let mut owned = Arc::clone(&permits).try_acquire_many_owned(3).expect("four");
    let one = owned.split(1).expect("three");
    assert!(owned.split(3).is_none());
    owned.merge(one);
    assert_eq!((owned.num_permits(), permits.available_permits()), (3, 1));
    owned.forget();
    let mut last = permits.try_acquire().expect("one");
    assert!(permits.try_acquire().is_err() && last.split(2).is_none());
    last.forget();
    permits.add_permits(2);
    assert_eq!((permits.forget_permits(1), permits.available_permits()), (1, 1));
    permits.close();
    assert!(permits.is_closed() && permits.try_acquire_owned().is_err());
}
