//! Stacks of observed functions, each one once: what waiting is counted by.
//!
//! A tree that only grows, read and extended without a lock. Programs have few stacks; one that makes them without end, by
//! recursion, finds them cut, and what is further in counts where they were.

use super::model::Frame;
use crate::site::Site;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// There are no more than that, for all that a program does.
const MOST: u64 = 1 << 15;
const DEEPEST: usize = 64;
/// Below a stack, by function.
const BRANCHES: usize = 4;
/// Below nothing, where every function may begin.
const ROOTS: usize = 256;

static ROOT: [OnceLock<&'static Stack>; ROOTS] = [const { OnceLock::new() }; ROOTS];
/// How many there are.
static COUNT: AtomicU64 = AtomicU64::new(0);
static CUT: AtomicU64 = AtomicU64::new(0);

/// A stack of observed functions, and how its innermost one has waited.
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) site: &'static Site,
    above: Option<&'static Stack>,
    depth: usize,
    below: [OnceLock<&'static Stack>; BRANCHES],
    /// The next one in the same branch.
    next: OnceLock<&'static Stack>,
    pub(super) waited: Sum,
    pub(super) slow: Sum,
    /// When a slow poll was last told of.
    told: AtomicU64,
}

/// How often, and how many ticks in all.
#[derive(Debug, Default)]
pub(super) struct Sum {
    count: AtomicU64,
    ticks: AtomicU64,
}

impl Sum {
    pub(super) fn add(&self, ticks: u64) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.ticks.fetch_add(ticks, Ordering::Relaxed);
    }

    /// The count, and nanoseconds.
    pub(super) fn read(&self) -> [i64; 2] {
        let nanos = crate::clock::nanos(self.ticks.load(Ordering::Relaxed));
        [self.count.load(Ordering::Relaxed), nanos].map(|value| i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl Stack {
    /// The stack of functions, outermost first; `None` if there are none.
    pub(crate) fn of(sites: impl Iterator<Item = &'static Site>) -> Option<&'static Self> {
        sites.fold(None, |above, site| Self::below(above, site).or(above))
    }

    /// One function more; `None` if there would be too many.
    fn below(above: Option<&'static Self>, site: &'static Site) -> Option<&'static Self> {
        let branches: &[OnceLock<&'static Self>] = above.map_or(&ROOT, |above| &above.below);
        // Sites lie one behind the other.
        let address = std::ptr::from_ref(site).addr() / size_of::<Site>();
        let mut place = &branches[address % branches.len()];
        loop {
            let stack = match place.get() {
                Some(stack) => stack,
                None if above.is_some_and(|above| above.depth >= DEEPEST) || !room() => return None,
                // Another thread may put one there first, which is looked at like those before it.
                None => place.get_or_init(|| Self::leaked(above, site)),
            };
            if std::ptr::eq(stack.site, site) {
                return Some(stack);
            }
            place = &stack.next;
        }
    }

    #[cold]
    fn leaked(above: Option<&'static Self>, site: &'static Site) -> &'static Self {
        Box::leak(Box::new(Self {
            site,
            above,
            depth: above.map_or(0, |above| above.depth) + 1,
            below: [const { OnceLock::new() }; BRANCHES],
            next: OnceLock::new(),
            waited: Sum::default(),
            slow: Sum::default(),
            told: AtomicU64::new(0),
        }))
    }

    /// The functions, innermost first.
    pub(crate) fn sites(&'static self) -> impl Iterator<Item = &'static Site> {
        std::iter::successors(Some(self), |stack| stack.above).map(|stack| stack.site)
    }

    pub(crate) fn frames(&'static self) -> Vec<Frame> {
        self.sites().map(Frame::of).collect()
    }

    /// Whether a slow poll here is to be told of: not again within so many ticks.
    pub(super) fn tells(&self, now: u64, pause: u64) -> bool {
        let before = self.told.load(Ordering::Relaxed);
        (before == 0 || now.saturating_sub(before) >= pause)
            && self.told.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// Whether there may be one more. Threads that ask at once may all get it: a few more than the most is no harm.
fn room() -> bool {
    let room = COUNT.load(Ordering::Relaxed) < MOST;
    let counter = if room { &COUNT } else { &CUT };
    counter.fetch_add(1, Ordering::Relaxed);
    room
}

/// How often a function had no stack of its own.
#[cfg(feature = "prometheus")]
pub(crate) fn cut() -> u64 {
    CUT.load(Ordering::Relaxed)
}

/// Every stack there is.
pub(super) fn each(mut see: impl FnMut(&'static Stack)) {
    let mut branches: Vec<&'static OnceLock<&'static Stack>> = ROOT.iter().collect();
    while let Some(branch) = branches.pop() {
        if let Some(stack) = branch.get() {
            see(stack);
            branches.push(&stack.next);
            branches.extend(&stack.below);
        }
    }
}

impl Frame {
    /// An observed function.
    pub(crate) fn of(site: &'static Site) -> Self {
        Self {
            function: site.function().into(),
            file: site.metadata.file().unwrap_or_default().into(),
            line: site.metadata.line().unwrap_or_default(),
            address: 0,
        }
    }
}
