//! A profile: stacks, and what was measured at them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A name that is there for good, or was made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Text {
    Static(&'static str),
    Made(Arc<str>),
}

impl Text {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Static(text) => text,
            Self::Made(text) => text,
        }
    }
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Self {
        Self::Static(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::Made(text.into())
    }
}

/// A function on a stack, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Frame {
    pub(crate) function: Text,
    pub(crate) file: Text,
    /// 0 if it is not known.
    pub(crate) line: u32,
    /// Where the code lies; 0 for a function that we know by its name alone.
    pub(crate) address: u64,
}

/// What distinguishes samples of one stack.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Label {
    pub(crate) key: &'static str,
    pub(crate) value: Text,
}

/// What a column of a profile counts: its name, and its unit.
pub(crate) type ValueType = (&'static str, &'static str);

/// Stacks, and what was measured at them.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The columns; the last one is shown unless another is asked for.
    pub(crate) types: &'static [ValueType],
    /// Of what a sample is one in so many, if they are samples.
    pub(crate) period: Option<(ValueType, i64)>,
    pub(crate) taken: SystemTime,
    /// How long it was measured; zero for a state.
    pub(crate) duration: Duration,
    /// By stack, innermost frame first, and by labels, so that the same profile is the same bytes.
    pub(crate) samples: BTreeMap<(Vec<Frame>, Vec<Label>), Vec<i64>>,
}

impl Profile {
    pub(crate) fn new(types: &'static [ValueType], taken: SystemTime) -> Self {
        Self { types, period: None, taken, duration: Duration::ZERO, samples: BTreeMap::new() }
    }

    /// What its columns count: name and unit of each. The last one is what tools show unless another is asked for.
    #[must_use]
    pub fn columns(&self) -> &'static [(&'static str, &'static str)] {
        self.types
    }

    /// What was measured: the names of the functions on a stack, innermost first, and the value of each column. A stack
    /// that has several labels is there several times.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// for (stack, values) in obs_runtime::profile::tasks(Duration::ZERO).rows() {
    ///     println!("{values:?} {}", stack.join(" < "));
    /// }
    /// ```
    #[must_use]
    pub fn rows(&self) -> Vec<(Vec<&str>, &[i64])> {
        fn names(stack: &[Frame]) -> Vec<&str> {
            stack.iter().map(|frame| frame.function.as_str()).collect()
        }
        self.samples.iter().map(|((stack, _), values)| (names(stack), &values[..])).collect()
    }

    /// Adds what was measured at a stack, innermost frame first.
    pub(crate) fn add(&mut self, stack: Vec<Frame>, labels: Vec<Label>, values: &[i64]) {
        let sums = self.samples.entry((stack, labels)).or_insert_with(|| vec![0; self.types.len()]);
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum = sum.saturating_add(*value);
        }
    }
}
