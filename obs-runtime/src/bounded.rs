//! Strings as labels: the first values seen get a series each, the rest share one.

use crate::Label;
use std::any::TypeId;
use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The text of every value that got no series of its own.
const OTHER: &str = "other";

/// Longer texts are never stored: they are no category of anything.
const MAX_VALUE_BYTES: usize = 128;

/// A string as a metric label: the first `N` distinct values of a process get a series each, all
/// later ones are filed under `other`, and `obs_label_values_folded_total` counts how often.
///
/// `Tag` is any type that names the set of values; labels with the same tag and `N` share it.
///
/// ```
/// use obs_runtime::{Bounded, Label};
///
/// struct Tenant;
/// type TenantLabel = Bounded<Tenant, 2>;
///
/// assert_eq!(TenantLabel::CARDINALITY, 3);
/// assert_eq!(TenantLabel::new("acme").as_str(), "acme");
/// assert_eq!(TenantLabel::new("globex").as_str(), "globex");
/// assert_eq!(TenantLabel::new("initech").as_str(), "other");
/// ```
pub struct Bounded<Tag, const N: usize> {
    index: usize,
    tag: PhantomData<fn() -> Tag>,
}

impl<Tag: 'static, const N: usize> Bounded<Tag, N> {
    /// The label for `value`. Empty values and those over 128 bytes count as `other`.
    #[must_use]
    pub fn new(value: impl AsRef<str>) -> Self {
        Self { index: Values::of::<Tag, N>().index(value.as_ref()), tag: PhantomData }
    }

    /// The label `other`, for what is known to be none of the set: it is not counted as folded.
    #[must_use]
    pub fn other() -> Self {
        Self { index: N, tag: PhantomData }
    }

    /// The text that the metric will show.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        Values::of::<Tag, N>().text(self.index)
    }
}

impl<Tag: 'static, const N: usize> Label for Bounded<Tag, N> {
    const CARDINALITY: usize = N + 1;

    fn index(&self) -> usize {
        self.index
    }

    fn value(index: usize) -> Cow<'static, str> {
        Cow::Borrowed(Values::of::<Tag, N>().text(index))
    }
}

impl<Tag, const N: usize> Clone for Bounded<Tag, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Tag, const N: usize> Copy for Bounded<Tag, N> {}

impl<Tag: 'static, const N: usize> From<&str> for Bounded<Tag, N> {
    fn from(value: &str) -> Self {
        Self::new(value)
    }
}

impl<Tag: 'static, const N: usize> fmt::Debug for Bounded<Tag, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// How often a value got no series of its own, over all tags.
pub(crate) fn folded() -> u64 {
    let sets = std::iter::successors(SETS.get(), |set| set.next.get());
    sets.map(|set| set.values.folded.load(Ordering::Relaxed)).sum()
}

/// One set of values for each tag and size: a list that only grows, so reading it takes no lock.
struct Set {
    key: (TypeId, usize),
    values: Values,
    next: OnceLock<&'static Set>,
}

static SETS: OnceLock<&'static Set> = OnceLock::new();

/// An open-addressing table that is read without a lock and filled under one.
struct Values {
    hasher: RandomState,
    /// Twice as many slots as values, so that a probe ends soon.
    slots: Box<[OnceLock<usize>]>,
    texts: Box<[OnceLock<&'static str>]>,
    filled: Mutex<usize>,
    folded: AtomicU64,
}

impl Values {
    fn of<Tag: 'static, const N: usize>() -> &'static Self {
        let key = (TypeId::of::<Tag>(), N);
        let mut link = &SETS;
        loop {
            // Two threads may race to append: the loser goes on behind the winner's set.
            let set = *link.get_or_init(|| {
                Box::leak(Box::new(Set { key, values: Self::with_capacity(N), next: OnceLock::new() }))
            });
            if set.key == key {
                return &set.values;
            }
            link = &set.next;
        }
    }

    fn with_capacity(capacity: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            slots: std::iter::repeat_with(OnceLock::new).take((capacity * 2).next_power_of_two()).collect(),
            texts: std::iter::repeat_with(OnceLock::new).take(capacity).collect(),
            filled: Mutex::new(0),
            folded: AtomicU64::new(0),
        }
    }

    fn text(&self, index: usize) -> &'static str {
        self.texts.get(index).and_then(OnceLock::get).copied().unwrap_or(OTHER)
    }

    fn index(&self, value: &str) -> usize {
        if value.is_empty() || value.len() > MAX_VALUE_BYTES || value == OTHER {
            return self.fold();
        }
        self.find(value).unwrap_or_else(|free| self.insert(value, free))
    }

    /// The value's index, or the free slot where its probe ended.
    fn find(&self, value: &str) -> Result<usize, usize> {
        let mask = self.slots.len() - 1;
        #[allow(clippy::cast_possible_truncation, reason = "a hash may lose bits")]
        let mut slot = self.hasher.hash_one(value) as usize & mask;
        loop {
            match self.slots[slot].get() {
                None => return Err(slot),
                Some(&index) if self.text(index) == value => return Ok(index),
                Some(_) => slot = (slot + 1) & mask,
            }
        }
    }

    #[cold]
    fn insert(&self, value: &str, free: usize) -> usize {
        let mut filled = self.filled.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have filled that slot, perhaps with this value, before the lock was ours.
        let slot = if self.slots[free].get().is_none() {
            free
        } else {
            match self.find(value) {
                Ok(index) => return index,
                Err(slot) => slot,
            }
        };
        let index = *filled;
        if index == self.texts.len() {
            return self.fold();
        }
        let _ = self.texts[index].set(Box::leak(value.into()));
        let _ = self.slots[slot].set(index);
        *filled += 1;
        index
    }

    fn fold(&self) -> usize {
        self.folded.fetch_add(1, Ordering::Relaxed);
        self.texts.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_values_are_kept_and_the_rest_folded_and_counted() {
        struct Tag;
        type L = Bounded<Tag, 3>;
        let before = folded();
        let kept: Vec<_> = ["a", "b", "c"].map(|v| L::new(v).index()).into();
        assert_eq!(kept, [0, 1, 2]);
        assert_eq!(["a", "b", "c"].map(|v| L::new(v).index()).to_vec(), kept);
        for odd in ["d", "", OTHER, &"x".repeat(MAX_VALUE_BYTES + 1)] {
            assert_eq!(L::new(odd).as_str(), OTHER);
        }
        assert!(folded() >= before + 4);
    }

    #[test]
    fn threads_that_bring_the_same_values_agree_on_them() {
        struct Tag;
        type L = Bounded<Tag, 64>;
        let seen: Vec<Vec<usize>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..64).map(|i| L::new(format!("v{i}")).index()).collect()))
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(seen.iter().all(|indices| *indices == seen[0]));
        let mut distinct = seen[0].clone();
        distinct.sort_unstable();
        assert_eq!(distinct, (0..64).collect::<Vec<_>>());
    }

    #[test]
    fn sets_with_different_tags_or_sizes_are_separate() {
        struct A;
        struct B;
        assert_eq!(Bounded::<A, 1>::new("x").as_str(), "x");
        assert_eq!(Bounded::<B, 1>::new("y").as_str(), "y");
        assert_eq!(Bounded::<A, 1>::new("y").as_str(), OTHER);
        assert_eq!(Bounded::<A, 2>::new("y").as_str(), "y");
    }
}
