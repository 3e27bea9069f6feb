//! Who waits for locks, and who holds them.
//!
//! An uncontended acquisition costs a count of its thread's, a look into the table of places, and at most one store. One
//! that has to wait is measured, whatever it costs: it waits anyway.

mod table;

use super::model::{Frame, Label, Text, ValueType};
use super::{Profile, stack_here};
use crate::{clock, state};
use std::cell::Cell;
use std::panic::Location;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;
pub(crate) use table::{At, Verb};
use table::{Entry, Key, Name, Place};

/// Of so many uncontended acquisitions of a thread, one is measured.
const STRATUM: u32 = 16;

const TYPES: &[ValueType] =
    &[("acquisitions", "count"), ("hold", "nanoseconds"), ("contentions", "count"), ("delay", "nanoseconds")];

/// What a lock is known by, and who has it.
#[derive(Debug)]
pub(crate) struct Lock {
    name: Name,
    /// Where it was taken last: who has it, if anybody does. One of them, where several may.
    holder: AtomicU32,
}

impl Lock {
    #[track_caller]
    pub(crate) const fn new() -> Self {
        Self { name: Name::Made(Location::caller()), holder: AtomicU32::new(Place::UNKNOWN.0) }
    }

    pub(crate) const fn named(name: &'static str) -> Self {
        Self { name: Name::Given(name), holder: AtomicU32::new(Place::UNKNOWN.0) }
    }

    /// It was taken at once.
    #[inline]
    pub(crate) fn taken(&self, verb: Verb, at: At) -> Held {
        if !state::running() {
            return Held::unmeasured();
        }
        if let (Some(place), Some(left)) = (Place::known(at), SKIPPED.get().checked_sub(1)) {
            SKIPPED.set(left);
            self.held_at(place);
            return Held::unmeasured();
        }
        self.taken_noteworthy(verb, at)
    }

    /// It was taken at once, and is measured, or for the first time there.
    #[cold]
    fn taken_noteworthy(&self, verb: Verb, at: At) -> Held {
        let place = Place::of(at);
        self.held_at(place);
        if is_skipped() {
            return Held::unmeasured();
        }
        let (now, held) = self.measured(verb, place, Weight::Stratum);
        skip_to_the_next(now);
        held
    }

    /// It was not free: somebody waits for it, until this is dropped.
    #[cold]
    pub(crate) fn wait(&self, verb: Verb, at: At) -> Wait {
        if !state::running() || crate::busy::is_busy() {
            return Wait { entry: None, since: 0 };
        }
        // A new stack is allocated, and an allocator may be observed, or wait for such a lock.
        let _busy = crate::busy::now();
        let holder = Place(self.holder.load(Ordering::Relaxed));
        let key = Key { lock: self.name, verb, place: Place::of(at), stack: stack_here(), holder };
        Wait { entry: Some(Entry::numbered(Entry::of(&key))), since: clock::now() }
    }

    /// It was taken after that wait.
    #[cold]
    pub(crate) fn taken_after(&self, wait: Wait, verb: Verb, at: At) -> Held {
        if wait.entry.is_none() {
            return Held::unmeasured();
        }
        drop(wait);
        let place = Place::of(at);
        self.held_at(place);
        self.measured(verb, place, Weight::Itself).1
    }

    #[inline]
    fn held_at(&self, place: Place) {
        // Readers that come from one place leave the cache line alone.
        if self.holder.load(Ordering::Relaxed) != place.0 {
            self.holder.store(place.0, Ordering::Relaxed);
        }
    }

    /// Without the stack of observed functions: that may have to allocate, which is not for one who has the lock.
    fn measured(&self, verb: Verb, place: Place, weight: Weight) -> (u64, Held) {
        let number = Entry::of(&Key { lock: self.name, verb, place, stack: None, holder: Place::UNKNOWN });
        Entry::numbered(number).acquisitions.fetch_add(weight.acquisitions(), Ordering::Relaxed);
        let now = clock::now();
        (now, Held::since(now, number, weight))
    }
}

/// How many acquisitions one that is measured stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    Itself,
    Stratum,
}

impl Weight {
    fn acquisitions(self) -> u64 {
        match self {
            Self::Itself => 1,
            Self::Stratum => STRATUM.into(),
        }
    }
}

/// A lock that somebody has; until this is dropped, if that is measured.
///
/// One word, so that a guard fits into registers: 0 if it is not measured; else 1, the number of the entry, whether it
/// stands for a stratum, and since when, in ticks, less those that don't fit.
#[derive(Debug)]
pub(crate) struct Held(u64);

impl Held {
    const STRATUM: u32 = u64::BITS - 2 - table::NUMBER_BITS;
    /// Days at any rate.
    const TICKS: u64 = (1 << Self::STRATUM) - 1;
    /// No processor is so many behind another.
    const SKEW: u64 = 1 << 32;

    #[inline]
    pub(crate) fn unmeasured() -> Self {
        Self(0)
    }

    fn since(ticks: u64, number: usize, weight: Weight) -> Self {
        let stratum = u64::from(weight == Weight::Stratum);
        Self(
            1 << 63 | (number as u64) << (Self::STRATUM + 1) | stratum << Self::STRATUM | ticks & Self::TICKS,
        )
    }

    /// It was given back.
    #[inline]
    pub(crate) fn end(&mut self) {
        if self.0 != 0 {
            ended(std::mem::take(&mut self.0));
        }
    }
}

/// What such a word says was given back.
#[cold]
fn ended(held: u64) {
    let ticks = clock::now().wrapping_sub(held) & Held::TICKS;
    // A processor may be a little behind the one on which it was taken.
    let ticks = if ticks > Held::TICKS - Held::SKEW { 0 } else { ticks };
    let weight = if held >> Held::STRATUM & 1 == 1 { Weight::Stratum } else { Weight::Itself };
    let number = held >> (Held::STRATUM + 1) & ((1 << table::NUMBER_BITS) - 1);
    #[allow(clippy::cast_possible_truncation, reason = "it was one of the table's")]
    let entry = Entry::numbered(number as usize);
    entry.hold.fetch_add(ticks * weight.acquisitions(), Ordering::Relaxed);
}

impl Drop for Held {
    #[inline]
    fn drop(&mut self) {
        self.end();
    }
}

/// Somebody waits for a lock, until this is dropped.
#[derive(Debug)]
pub(crate) struct Wait {
    entry: Option<&'static Entry>,
    since: u64,
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(entry) = self.entry {
            entry.contentions.fetch_add(1, Ordering::Relaxed);
            entry.delay.fetch_add(clock::now().saturating_sub(self.since), Ordering::Relaxed);
        }
    }
}

thread_local! {
    /// Uncontended acquisitions up to the next that is measured.
    static SKIPPED: Cell<u32> = const { Cell::new(0) };
    /// What will be left of the stratum behind it; none has begun where that is more than there can be.
    static REST: Cell<u32> = const { Cell::new(STRATUM) };
}

/// Whether an uncontended acquisition is not measured. Of each stratum of 16 in a row on a thread one is, any of them with
/// the same chance, so that the sum of 16 times what was measured is expected to be what it is for all. Every 16th would
/// see one of two places only, if a thread takes locks at both in turn.
fn is_skipped() -> bool {
    if REST.get() == STRATUM {
        let first = pick(clock::now());
        SKIPPED.set(first);
        REST.set(STRATUM - 1 - first);
    }
    let before = SKIPPED.get();
    SKIPPED.set(before.saturating_sub(1));
    before > 0
}

/// One was measured: the next will be one of the next stratum.
fn skip_to_the_next(now: u64) {
    let next = pick(now);
    SKIPPED.set(REST.get() + next);
    REST.set(STRATUM - 1 - next);
}

/// One of a stratum, by the last digits of the time: a generator of random numbers may allocate to begin with.
#[allow(clippy::cast_possible_truncation, reason = "what is left are the bits of STRATUM")]
fn pick(now: u64) -> u32 {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    (now.wrapping_mul(GOLDEN) >> (u64::BITS - STRATUM.ilog2())) as u32
}

/// Who has waited for the locks of [`sync`](crate::sync), and how long they were held, since the runtime was started.
///
/// - `contentions` and `delay` are waits, of threads and of tasks, by lock, by where it was to be taken, and by the stack of
///   observed functions there. A wait that came to nothing (a time limit, a future that was dropped) counts. Where it was
///   taken last by then is the label `holder`; of locks that several may have, that is one of them.
/// - `acquisitions` and `hold` are by lock and by where it was taken. Those that had to wait are all measured. Of those that
///   had not, one in 16 on a thread, picked at random, stands for 16: of many, both columns are about right; a lock that was
///   taken a few times may be missing. A guard that is forgotten was never given back, and is not in `hold`.
///
/// The innermost frame is the lock, where it is taken; the label `lock` is its name. 4,096 combinations of all that are
/// kept apart; what comes after those is added up as `other`.
///
/// ```
/// use obs_runtime::sync::Mutex;
///
/// static ORDERS: Mutex<Vec<u64>> = Mutex::named("orders", Vec::new());
///
/// ORDERS.lock().push(7);
/// let contention = obs_runtime::profile::mutex();
/// ```
#[must_use]
pub fn mutex() -> Profile {
    let mut profile = Profile::new(TYPES, SystemTime::now());
    for entry in table::each() {
        let [acquisitions, hold, contentions, delay] =
            [&entry.acquisitions, &entry.hold, &entry.contentions, &entry.delay]
                .map(|sum| sum.load(Ordering::Relaxed));
        if acquisitions + contentions > 0 {
            let (stack, labels) = entry.key().map_or_else(other, Key::shown);
            let values = [acquisitions, clock::nanos(hold), contentions, clock::nanos(delay)];
            profile.add(stack, labels, &values.map(|value| i64::try_from(value).unwrap_or(i64::MAX)));
        }
    }
    profile
}

impl Key {
    fn shown(&self) -> (Vec<Frame>, Vec<Label>) {
        let name = match self.lock {
            Name::Given(name) => Text::from(name),
            Name::Made(at) => shown_at(at),
        };
        let verb = match self.verb {
            Verb::Lock => "lock",
            Verb::Read => "read",
            Verb::Write => "write",
            Verb::Acquire => "acquire",
        };
        let at = self.place.at();
        let frame = Frame {
            function: format!("{verb} {}", name.as_str()).into(),
            file: at.map_or("", |at| at.file()).into(),
            line: at.map_or(0, Location::line),
            address: 0,
        };
        let mut stack = vec![frame];
        stack.extend(self.stack.into_iter().flat_map(super::Stack::frames));
        let mut labels = vec![Label { key: "lock", value: name }];
        labels.extend(self.holder.at().map(|at| Label { key: "holder", value: shown_at(at) }));
        (stack, labels)
    }
}

/// All those together that found no room in the table.
fn other() -> (Vec<Frame>, Vec<Label>) {
    let frame = Frame { function: "other".into(), file: "".into(), line: 0, address: 0 };
    (vec![frame], vec![Label { key: "lock", value: "other".into() }])
}

fn shown_at(at: At) -> Text {
    format!("{}:{}", at.file(), at.line()).into()
}

#[cfg(test)]
mod tests;
