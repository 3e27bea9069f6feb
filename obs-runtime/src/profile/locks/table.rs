//! What is counted of locks, by lock and by who takes it: a table that only grows, read and extended without a lock or
//! an allocation, so that an allocator may use such locks.

use super::super::Stack;
use std::panic::Location;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

/// There are no more entries than that, and no more places in the code where locks are taken.
const MOST: usize = 1 << 12;
/// Places that are looked at before the table is taken for full.
const TRIES: usize = 64;

/// Where in the code a lock is taken.
pub(crate) type At = &'static Location<'static>;

/// What a lock is called: by a name, or by where it was made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Name {
    Given(&'static str),
    Made(At),
}

impl Name {
    fn is(self, other: Self) -> bool {
        match (self, other) {
            (Self::Given(one), Self::Given(other)) => ptr::eq(one, other),
            (Self::Made(one), Self::Made(other)) => ptr::eq(one, other),
            _ => false,
        }
    }

    fn address(self) -> usize {
        match self {
            Self::Given(name) => name.as_ptr().addr(),
            Self::Made(at) => ptr::from_ref(at).addr(),
        }
    }
}

/// What is done to a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Lock,
    Read,
    Write,
    Acquire,
}

/// A place in the code, by its number; 0 if there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(pub(super) u32);

static PLACES: [OnceLock<At>; MOST] = [const { OnceLock::new() }; MOST];

impl Place {
    pub(super) const UNKNOWN: Self = Self(0);

    /// One that is found at once, as those that have been seen mostly are.
    #[inline]
    pub(super) fn known(at: At) -> Option<Self> {
        let place = spread(ptr::from_ref(at).addr());
        PLACES[place].get().filter(|known| ptr::eq(**known, at)).map(|_| Self::numbered(place))
    }

    pub(super) fn of(at: At) -> Self {
        tries(spread(ptr::from_ref(at).addr()))
            .find(|&place| ptr::eq(*PLACES[place].get_or_init(|| at), at))
            .map_or(Self::UNKNOWN, Self::numbered)
    }

    #[allow(clippy::cast_possible_truncation, reason = "there are no more than MOST")]
    fn numbered(place: usize) -> Self {
        Self(place as u32 + 1)
    }

    pub(super) fn at(self) -> Option<At> {
        PLACES.get((self.0 as usize).checked_sub(1)?)?.get().copied()
    }
}

/// What is counted together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) lock: Name,
    pub(super) verb: Verb,
    pub(super) place: Place,
    /// Of a wait: the observed functions, and who is waited for.
    pub(super) stack: Option<&'static Stack>,
    pub(super) holder: Place,
}

impl Key {
    fn is(&self, other: &Self) -> bool {
        let stack = |key: &Self| key.stack.map_or(ptr::null(), ptr::from_ref);
        self.lock.is(other.lock)
            && (self.verb, self.place, self.holder) == (other.verb, other.place, other.holder)
            && ptr::eq(stack(self), stack(other))
    }

    fn start(&self) -> usize {
        let places = (self.place.0 << 16 | self.holder.0) as usize;
        let stack = self.stack.map_or(0, |stack| ptr::from_ref(stack).addr());
        spread(self.lock.address() ^ stack.rotate_left(20) ^ places.rotate_left(32) ^ self.verb as usize)
    }
}

/// What was measured of a lock where it is taken. Times are in ticks.
#[derive(Debug)]
pub(super) struct Entry {
    key: OnceLock<Key>,
    pub(super) acquisitions: AtomicU64,
    pub(super) hold: AtomicU64,
    pub(super) contentions: AtomicU64,
    pub(super) delay: AtomicU64,
}

/// The last one is for all those together that found no room.
static ENTRIES: [Entry; MOST + 1] = [const { Entry::new() }; MOST + 1];

/// Numbers of entries take so many bits.
pub(super) const NUMBER_BITS: u32 = (MOST + 1).ilog2() + 1;

impl Entry {
    const fn new() -> Self {
        Self {
            key: OnceLock::new(),
            acquisitions: AtomicU64::new(0),
            hold: AtomicU64::new(0),
            contentions: AtomicU64::new(0),
            delay: AtomicU64::new(0),
        }
    }

    /// The number of an entry.
    pub(super) fn of(key: &Key) -> usize {
        tries(key.start()).find(|&number| ENTRIES[number].key.get_or_init(|| *key).is(key)).unwrap_or(MOST)
    }

    pub(super) fn numbered(number: usize) -> &'static Self {
        &ENTRIES[number]
    }

    /// `None` for those that found no room.
    pub(super) fn key(&self) -> Option<&Key> {
        self.key.get()
    }
}

/// Every entry, used or not.
pub(super) fn each() -> impl Iterator<Item = &'static Entry> {
    ENTRIES.iter()
}

/// Some place in the table for a number.
#[inline]
fn spread(number: usize) -> usize {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    #[allow(clippy::cast_possible_truncation, reason = "what is left are the bits of MOST")]
    {
        ((number as u64).wrapping_mul(GOLDEN) >> (u64::BITS - MOST.ilog2())) as usize
    }
}

fn tries(start: usize) -> impl Iterator<Item = usize> {
    (start..start + TRIES).map(|place| place % MOST)
}
