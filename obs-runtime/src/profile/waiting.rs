//! Calls that wait: each in a register from its first wait to its end.

use super::running::{self, Depth, Running};
use super::slow;
use super::stacks::Stack;
use crate::clock;
use crate::site::Site;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A call that has waited, and has not ended.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) stack: &'static Stack,
    /// In ticks, as all times here.
    pub(crate) began: u64,
    /// Since when it waits; 0 while it is polled.
    since: AtomicU64,
    /// When it was last polled.
    polled: AtomicU64,
    /// Whether a call inside it waits, which answers for it.
    inside: AtomicBool,
    /// Whether it has been called stuck.
    told: AtomicBool,
    /// Where it is in its shelf.
    place: AtomicUsize,
    shelf: &'static Shelf,
}

/// A call's place in the register, once it has one.
#[derive(Debug, Default)]
pub(crate) struct Waits(Option<Arc<Waiting>>);

impl Waits {
    /// Whether it has one.
    pub(crate) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// A poll begins. How often calls on this thread have begun to wait.
    #[inline]
    pub(crate) fn poll(&mut self, depth: &mut Depth, site: &'static Site, began: u64) -> u64 {
        if depth.is_none() {
            self.resume(depth, site, began);
        }
        running::own().map_or(0, Running::waits)
    }

    /// It is polled again; or for the first time, if it was made before.
    fn resume(&mut self, depth: &mut Depth, site: &'static Site, began: u64) {
        let now = clock::now();
        self.0.iter().for_each(|waiting| waiting.resume(now));
        depth.enter(site, true, began);
        if let (None, Some((running, depth))) = (&self.0, depth.here()) {
            self.0 = Waiting::register(running, depth, began, now);
        }
    }

    /// A poll has ended, and the call waits.
    pub(crate) fn wait(&mut self, depth: Depth, began: u64, waits_before: u64) {
        let Some((running, depth)) = depth.here() else { return };
        let now = clock::now();
        slow::ended(running, depth, self.polled(began), now);
        let inside = running.waits() != waits_before;
        running.note_wait();
        if self.0.is_none() {
            self.0 = Waiting::register(running, depth, began, now);
        }
        self.0.iter().for_each(|waiting| waiting.wait(now, inside));
    }

    /// The call has ended.
    #[inline]
    pub(crate) fn end(&mut self, depth: Depth, began: u64, now: u64) {
        if let Some((running, depth)) = depth.here() {
            slow::ended(running, depth, self.polled(began), now);
        }
        if let Some(waiting) = self.0.take() {
            // Where it was dropped while it waited, that is over too.
            waiting.resume(now);
            waiting.shelf.remove(&waiting);
        }
    }

    /// When it was last polled.
    #[inline]
    fn polled(&self, began: u64) -> u64 {
        self.0.as_ref().map_or(began, |waiting| waiting.polled.load(Ordering::Relaxed))
    }
}

impl Waiting {
    /// Puts the call at that depth into the register.
    #[cold]
    fn register(running: &Running, depth: usize, began: u64, now: u64) -> Option<Arc<Self>> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        // It allocates, and an allocator may be observed.
        let _busy = crate::busy::now();
        super::taskdump::note_runtime();
        let waiting = Arc::new(Self {
            stack: running.stack(depth)?,
            began,
            since: AtomicU64::new(0),
            polled: AtomicU64::new(now),
            inside: AtomicBool::new(false),
            told: AtomicBool::new(false),
            place: AtomicUsize::new(0),
            shelf: &SHELVES[NEXT.fetch_add(1, Ordering::Relaxed) % SHELVES.len()],
        });
        waiting.shelf.put(&waiting);
        Some(waiting)
    }

    /// It waits, itself or for a call inside.
    fn wait(&self, now: u64, inside: bool) {
        self.inside.store(inside, Ordering::Relaxed);
        self.since.store(now, Ordering::Relaxed);
    }

    /// Its wait is over, if it waited.
    fn resume(&self, now: u64) {
        let since = self.since.swap(0, Ordering::Relaxed);
        self.polled.store(now, Ordering::Relaxed);
        if since != 0 && !self.inside.load(Ordering::Relaxed) {
            self.stack.waited.add(now.saturating_sub(since));
        }
    }

    /// Since when it waits itself: not while it is polled, and not if a call inside it waits.
    pub(super) fn waits_since(&self) -> Option<u64> {
        let since = self.since.load(Ordering::Relaxed);
        (since != 0 && !self.inside.load(Ordering::Relaxed)).then_some(since)
    }

    /// Whether it is called stuck for the first time.
    pub(super) fn tell_stuck(&self) -> bool {
        !self.told.swap(true, Ordering::Relaxed)
    }
}

/// A part of the register, so that threads seldom meet, and nobody waits long for a reader.
#[derive(Debug)]
struct Shelf(Mutex<Vec<Arc<Waiting>>>);

static SHELVES: [Shelf; 64] = [const { Shelf(Mutex::new(Vec::new())) }; 64];

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Waiting>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, waiting: &Arc<Waiting>) {
        let mut calls = self.lock();
        waiting.place.store(calls.len(), Ordering::Relaxed);
        calls.push(Arc::clone(waiting));
    }

    fn remove(&self, waiting: &Waiting) {
        let mut calls = self.lock();
        let place = waiting.place.load(Ordering::Relaxed);
        calls.swap_remove(place);
        if let Some(moved) = calls.get(place) {
            moved.place.store(place, Ordering::Relaxed);
        }
        // Most of what was needed for a flood is given back after it.
        if calls.capacity() > 1024 && calls.len() < calls.capacity() / 8 {
            let room = calls.len() * 2;
            calls.shrink_to(room);
        }
    }
}

/// All calls that have waited and not ended, a part at a time. What looks at them is to be short: those of the part that
/// is being looked at wait for it.
pub(super) fn each(mut see: impl FnMut(&Waiting)) {
    let _busy = crate::busy::now();
    for shelf in &SHELVES {
        shelf.lock().iter().for_each(|waiting| see(waiting));
    }
}
