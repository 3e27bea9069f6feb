//! What can be wrong with a service, to practise on: `--trouble cpu|leak|block|lock`. Each has its profile.

use std::hint::black_box;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Assessing a risk takes a lot of computing: the profile `profile`.
    Cpu,
    /// Orders are kept for ever: the profile `heap`.
    Leak,
    /// Charging blocks its executor, and waits: the profile `block`.
    Block,
    /// The database's lock is held for too long: the profile `mutex`.
    Lock,
}

static TROUBLE: OnceLock<Trouble> = OnceLock::new();

impl Trouble {
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Cpu, Self::Leak, Self::Block, Self::Lock].into_iter().find(|trouble| trouble.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Leak => "leak",
            Self::Block => "block",
            Self::Lock => "lock",
        }
    }

    /// The cargo feature that its profile needs and this shop was built without.
    pub(crate) fn missing_feature(self) -> Option<&'static str> {
        match self {
            Self::Cpu if !cfg!(feature = "cpu") => Some("cpu"),
            Self::Leak if !cfg!(feature = "heap") => Some("heap"),
            _ => None,
        }
    }

    /// The shop has it from now on.
    pub(crate) fn begin(self) {
        let _ = TROUBLE.set(self);
    }

    fn is_there(self) -> bool {
        TROUBLE.get() == Some(&self)
    }
}

/// Computes for a while.
pub(crate) fn compute() {
    if Trouble::Cpu.is_there() {
        hash_over_and_over(Duration::from_millis(60));
    }
}

#[inline(never)]
fn hash_over_and_over(time: Duration) -> u64 {
    let (started, mut hash) = (Instant::now(), 0xcbf2_9ce4_8422_2325_u64);
    while started.elapsed() < time {
        for byte in 0..10_000_u64 {
            hash = black_box((hash ^ byte).wrapping_mul(0x100_0000_01b3));
        }
    }
    hash
}

/// Keeps what nobody asks for again.
pub(crate) fn keep(order: &str) {
    if Trouble::Leak.is_there() {
        remember_for_ever(order);
    }
}

#[inline(never)]
fn remember_for_ever(order: &str) {
    static KEPT: Mutex<Vec<String>> = Mutex::new(Vec::new());
    KEPT.lock().unwrap_or_else(PoisonError::into_inner).push(order.repeat(8 * 1024));
}

/// Holds up whatever else this thread has to do.
pub(crate) fn hold_up() {
    if Trouble::Block.is_there() {
        thread::sleep(Duration::from_millis(150));
    }
}

/// Dawdles while it holds the database's lock.
pub(crate) fn dawdle() {
    if Trouble::Lock.is_there() {
        thread::sleep(Duration::from_millis(40));
    }
}
