//! What each thread is in, for others to see: written by every call, read by whoever looks.
//!
//! A thread writes its own places with plain stores and never waits for a reader. A reader that comes in the middle sees
//! that by the time at which the call began, which is written around all else, and passes the place over.

use super::stacks::Stack;
use crate::site::Site;
use crate::store::functions;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Calls further in are not seen; nobody reads stacks that deep.
const DEPTH: usize = 64;

/// The calls that a thread is in, outermost first.
#[derive(Debug)]
pub(crate) struct Running {
    depth: AtomicUsize,
    places: [Place; DEPTH],
    /// How often a call on this thread has begun to wait.
    waits: AtomicU64,
    /// When the last slow poll ended, and how many ticks were slow in a row of polls inside one another.
    slow_until: AtomicU64,
    slow_ticks: AtomicU64,
}

/// A call that a thread is in.
#[derive(Debug)]
struct Place {
    /// In ticks; 0 while the place is being written.
    began: AtomicU64,
    /// The function's number, twice, and one more for a call that is in the register of those that wait.
    function: AtomicUsize,
    /// The trace it is in, noted while samples are taken, and for which call.
    #[cfg(feature = "profile-cpu")]
    trace: [AtomicU64; 2],
    #[cfg(feature = "profile-cpu")]
    traced: AtomicU64,
    /// What it has been called stuck for, by when it began.
    told: AtomicU64,
}

/// A call as a reader sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) site: &'static Site,
    pub(crate) began: u64,
    /// Whether it has waited before, and so is in the register too.
    pub(crate) registered: bool,
}

impl Running {
    const fn new() -> Self {
        Self {
            depth: AtomicUsize::new(0),
            places: [const { Place::new() }; DEPTH],
            waits: AtomicU64::new(0),
            slow_until: AtomicU64::new(0),
            slow_ticks: AtomicU64::new(0),
        }
    }

    /// Enters a call. How deep it is, for [`leave`](Self::leave).
    #[inline]
    fn enter(&self, function: usize, registered: bool, began: u64) -> usize {
        let depth = self.depth.load(Ordering::Relaxed);
        if let Some(place) = self.places.get(depth) {
            place.began.store(0, Ordering::Relaxed);
            fence(Ordering::Release);
            place.function.store(function << 1 | usize::from(registered), Ordering::Relaxed);
            #[cfg(feature = "profile-cpu")]
            place.note_trace(began);
            place.began.store(began, Ordering::Release);
        }
        self.depth.store(depth + 1, Ordering::Release);
        depth
    }

    /// Leaves the call at that depth, and whatever is further in.
    #[inline]
    fn leave(&self, depth: usize) {
        self.depth.store(depth, Ordering::Relaxed);
    }

    /// The stack up to the call at that depth, as its own thread sees it.
    pub(super) fn stack(&self, depth: usize) -> Option<&'static Stack> {
        let places = &self.places[..(depth + 1).min(DEPTH)];
        Stack::of(places.iter().filter_map(|place| site(place.function.load(Ordering::Relaxed) >> 1)))
    }

    /// All of it.
    pub(super) fn whole_stack(&self) -> Option<&'static Stack> {
        self.stack(self.depth.load(Ordering::Relaxed).checked_sub(1)?)
    }

    /// The calls that the thread is in, outermost first, as another thread sees them. Cut where it has just moved.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let depth = self.depth.load(Ordering::Acquire).min(DEPTH);
        self.places[..depth].iter().map_while(Place::seen).collect()
    }

    /// Whether a call that began then, at that depth, is said to be stuck for the first time.
    pub(super) fn tell_stuck(&self, depth: usize, began: u64) -> bool {
        self.places.get(depth).is_some_and(|place| place.told.swap(began, Ordering::Relaxed) != began)
    }

    pub(super) fn waits(&self) -> u64 {
        self.waits.load(Ordering::Relaxed)
    }

    pub(super) fn note_wait(&self) {
        self.waits.store(self.waits() + 1, Ordering::Relaxed);
    }

    /// Of a slow poll from one time to another, the ticks that none inside it has answered for.
    pub(super) fn slow_share(&self, from: u64, until: u64, limit: u64) -> Option<u64> {
        let inside = match self.slow_until.load(Ordering::Relaxed) {
            before if before < from => 0,
            _ => self.slow_ticks.load(Ordering::Relaxed),
        };
        let own = until.saturating_sub(from).saturating_sub(inside);
        (own >= limit).then(|| {
            self.slow_until.store(until, Ordering::Relaxed);
            self.slow_ticks.store(inside + own, Ordering::Relaxed);
            own
        })
    }
}

impl Place {
    const fn new() -> Self {
        Self {
            began: AtomicU64::new(0),
            function: AtomicUsize::new(0),
            #[cfg(feature = "profile-cpu")]
            trace: [const { AtomicU64::new(0) }; 2],
            #[cfg(feature = "profile-cpu")]
            traced: AtomicU64::new(0),
            told: AtomicU64::new(0),
        }
    }

    fn seen(&self) -> Option<Seen> {
        let began = self.began.load(Ordering::Acquire);
        let function = self.function.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let whole = began != 0 && self.began.load(Ordering::Relaxed) == began;
        let site = site(function >> 1).filter(|_| whole)?;
        Some(Seen { site, began, registered: function & 1 == 1 })
    }

    /// Notes the trace that the thread is in, while anybody takes samples.
    #[cfg(feature = "profile-cpu")]
    #[inline]
    fn note_trace(&self, began: u64) {
        if super::cpu::is_recording() {
            let trace = crate::context::with_stack(|stack| stack.top()?.identity.trace).flatten();
            let bytes = trace.map_or(0, |trace| trace.trace_id);
            #[allow(clippy::cast_possible_truncation, reason = "in halves")]
            for (half, bits) in self.trace.iter().zip([(bytes >> 64) as u64, bytes as u64]) {
                half.store(bits, Ordering::Relaxed);
            }
            self.traced.store(began, Ordering::Relaxed);
        }
    }
}

/// The function of a number.
fn site(number: usize) -> Option<&'static Site> {
    functions().get(number).copied()
}

/// How deep a call is on this thread, and one more; 0 while it is on none. Where that is too much for a byte, the largest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Depth(u8);

impl Depth {
    /// Of a call that begins on this thread.
    #[inline]
    pub(crate) fn begin(function: usize, now: u64) -> Self {
        let depth = own().map(|running| running.enter(function, false, now) + 1);
        Self(depth.map_or(0, |depth| u8::try_from(depth).unwrap_or(u8::MAX)))
    }

    pub(super) fn is_none(self) -> bool {
        self.0 == 0
    }

    /// The call comes to this thread, if it is on none.
    pub(crate) fn enter(&mut self, site: &Site, registered: bool, began: u64) {
        if let (true, Some(running), Some(shape)) = (self.is_none(), own(), site.shape()) {
            let depth = running.enter(shape.id, registered, began) + 1;
            self.0 = u8::try_from(depth).unwrap_or(u8::MAX);
        }
    }

    /// The call leaves this thread, if it is on it.
    #[inline]
    pub(crate) fn leave(&mut self) {
        if let Some((running, depth)) = self.here() {
            running.leave(depth);
        }
        self.0 = 0;
    }

    /// Where it is.
    #[inline]
    pub(super) fn here(self) -> Option<(&'static Running, usize)> {
        let running = own()?;
        match self.0 {
            0 => None,
            // Calls so deep end the innermost first, as all do but in a few destructors.
            u8::MAX => Some((running, running.depth.load(Ordering::Relaxed).saturating_sub(1))),
            depth => Some((running, usize::from(depth) - 1)),
        }
    }
}

thread_local! {
    /// Without a destructor, so that a signal handler may look at it.
    static HERE: Cell<Option<&'static Running>> = const { Cell::new(None) };
    static LEASE: Lease = Lease::take();
}

/// What this thread is in; `None` while it is torn down.
#[inline]
pub(super) fn own() -> Option<&'static Running> {
    HERE.get().or_else(lease)
}

#[cold]
fn lease() -> Option<&'static Running> {
    // What the allocator calls may be observed.
    let _busy = crate::busy::now();
    LEASE.try_with(|lease| HERE.set(Some(lease.0))).ok()?;
    HERE.get()
}

/// The innermost call that the thread is in, by a number above zero, and its trace, or zero: for a signal handler on that
/// thread.
#[cfg(feature = "profile-cpu")]
pub(crate) fn here() -> Option<(usize, u128)> {
    let running = HERE.get()?;
    let innermost = running.depth.load(Ordering::Relaxed).min(DEPTH).checked_sub(1)?;
    let place = &running.places[innermost];
    let began = place.began.load(Ordering::Relaxed);
    if began == 0 {
        return None;
    }
    let traced = place.traced.load(Ordering::Relaxed) == began;
    let [high, low] = [0, 1]
        .map(|half: usize| if traced { u128::from(place.trace[half].load(Ordering::Relaxed)) } else { 0 });
    let function = place.function.load(Ordering::Relaxed) >> 1;
    Some((function + 1, high << 64 | low))
}

/// The function that [`here`] has named.
#[cfg(feature = "profile-cpu")]
pub(crate) fn resolve(function: usize) -> Option<&'static Site> {
    site(function.checked_sub(1)?)
}

/// All that there are, and those of threads that ended, waiting for new ones.
struct Threads {
    all: Vec<&'static Running>,
    free: Vec<&'static Running>,
}

static THREADS: Mutex<Threads> = Mutex::new(Threads { all: Vec::new(), free: Vec::new() });

fn threads() -> MutexGuard<'static, Threads> {
    THREADS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What all threads are in.
pub(crate) fn all() -> Vec<&'static Running> {
    threads().all.clone()
}

/// A thread's, until it ends.
struct Lease(&'static Running);

impl Lease {
    fn take() -> Self {
        let mut threads = threads();
        Self(threads.free.pop().unwrap_or_else(|| {
            let running: &'static Running = Box::leak(Box::new(Running::new()));
            threads.all.push(running);
            running
        }))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        HERE.set(None);
        self.0.leave(0);
        threads().free.push(self.0);
    }
}
