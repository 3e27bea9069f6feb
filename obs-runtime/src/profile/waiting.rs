//! Calls that wait: each in a register from its first wait to its end.

use super::running::{self, Running};
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
    /// Whether a call inside it waits, which answers for it.
    inside: AtomicBool,
    /// Whether it has been called stuck.
    told: AtomicBool,
    /// Where it is in its shelf.
    place: AtomicUsize,
    shelf: &'static Shelf,
}

/// What a call shows of itself.
#[derive(Debug)]
pub(crate) struct Watch {
    /// How deep it is on this thread, and one more; 0 while it is on none.
    depth: u32,
    /// When it was begun, or last polled.
    from: u64,
    waiting: Option<Arc<Waiting>>,
}

/// What was when a poll began.
#[derive(Debug)]
pub(crate) struct Poll {
    waits: u64,
}

impl Watch {
    /// Of a call that begins on this thread.
    #[inline]
    pub(crate) fn begin(function: usize, now: u64) -> Self {
        let depth = running::own().map_or(0, |running| running.enter(function, false, now) + 1);
        Self { depth, from: now, waiting: None }
    }

    /// It is on this thread from here on.
    pub(crate) fn enter(&mut self, site: &'static Site, began: u64) {
        if let (0, Some(running), Some(shape)) = (self.depth, running::own(), site.shape()) {
            self.depth = running.enter(shape.id, self.waiting.is_some(), began) + 1;
        }
    }

    /// It is not on this thread any more.
    #[inline]
    pub(crate) fn leave(&mut self) {
        if let (Some(depth), Some(running)) = (self.depth.checked_sub(1), running::own()) {
            running.leave(depth);
        }
        self.depth = 0;
    }

    /// A poll begins.
    #[inline]
    pub(crate) fn polled(&mut self, site: &'static Site, began: u64) -> Poll {
        if self.depth == 0 {
            self.from = clock::now();
            self.waiting.iter().for_each(|waiting| waiting.resume(self.from));
            self.enter(site, began);
        }
        Poll { waits: running::own().map_or(0, Running::waits) }
    }

    /// A poll has ended, and the call waits.
    pub(crate) fn waits(&mut self, began: u64, poll: &Poll) {
        let (Some(depth), Some(running)) = (self.depth.checked_sub(1), running::own()) else { return };
        let now = clock::now();
        slow::ended(running, depth, self.from, now);
        let inside = running.waits() != poll.waits;
        running.note_wait();
        if self.waiting.is_none() {
            // The register allocates, and an allocator may be observed.
            let _busy = crate::busy::now();
            self.waiting = running.stack(depth).map(|stack| Waiting::register(stack, began));
        }
        self.waiting.iter().for_each(|waiting| waiting.wait(now, inside));
    }

    /// The call has ended.
    #[inline]
    pub(crate) fn end(&mut self, site: &'static Site, now: u64) {
        if site.spec.future {
            if let (Some(depth), Some(running)) = (self.depth.checked_sub(1), running::own()) {
                slow::ended(running, depth, self.from, now);
            }
            if let Some(waiting) = self.waiting.take() {
                // Where it was dropped while it waited, that is over too.
                waiting.resume(now);
                waiting.shelf.remove(&waiting);
            }
        }
        self.leave();
    }
}

impl Waiting {
    fn register(stack: &'static Stack, began: u64) -> Arc<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let shelf = &SHELVES[NEXT.fetch_add(1, Ordering::Relaxed) % SHELVES.len()];
        let waiting = Arc::new(Self {
            stack,
            began,
            since: AtomicU64::new(0),
            inside: AtomicBool::new(false),
            told: AtomicBool::new(false),
            place: AtomicUsize::new(0),
            shelf,
        });
        shelf.put(&waiting);
        waiting
    }

    /// It waits, itself or for a call inside.
    fn wait(&self, now: u64, inside: bool) {
        self.inside.store(inside, Ordering::Relaxed);
        self.since.store(now, Ordering::Relaxed);
    }

    /// Its wait is over, if it waited.
    fn resume(&self, now: u64) {
        let since = self.since.swap(0, Ordering::Relaxed);
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
