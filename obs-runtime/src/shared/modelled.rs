//! `std`'s types for models.

use loom::sync::atomic::{AtomicBool, Ordering};
use std::ops::{Deref, DerefMut};
use std::sync::LockResult;

/// Runs a model in all ways, those with more than four preemptions apart.
pub(crate) fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(4));
    builder.check(model);
}

/// A mutex that can be a static: loom's, which can't, is made when it is first locked.
pub(crate) struct Mutex<T> {
    turn: std::sync::OnceLock<loom::sync::Mutex<()>>,
    value: std::sync::Mutex<T>,
}

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self { turn: std::sync::OnceLock::new(), value: std::sync::Mutex::new(value) }
    }

    #[allow(clippy::unnecessary_wraps, reason = "as `std` has it")]
    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let turn = self.turn.get_or_init(loom::sync::Mutex::default).lock().expect("models end at a panic");
        Ok(MutexGuard { value: self.value.lock().expect("models end at a panic"), _turn: turn })
    }
}

pub(crate) struct MutexGuard<'a, T> {
    value: std::sync::MutexGuard<'a, T>,
    _turn: loom::sync::MutexGuard<'a, ()>,
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// What `std` says of its own: a thread that sees the value sees all that came before it, and those that would make
/// it wait for the first that does.
#[derive(Debug)]
pub(crate) struct OnceLock<T> {
    ready: AtomicBool,
    turn: loom::sync::Mutex<()>,
    value: std::sync::OnceLock<T>,
}

impl<T> OnceLock<T> {
    pub(crate) fn new() -> Self {
        let (turn, value) = (loom::sync::Mutex::default(), std::sync::OnceLock::new());
        Self { ready: AtomicBool::new(false), turn, value }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        self.ready.load(Ordering::Acquire).then(|| self.value.get()).flatten()
    }

    pub(crate) fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let _turn = self.turn.lock().expect("models end at a panic");
        let value = self.value.get_or_init(init);
        self.ready.store(true, Ordering::Release);
        value
    }
}
