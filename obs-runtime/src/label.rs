//! Metric labels: values that can be counted at compile time.

use std::borrow::Cow;

/// A value that may label a metric, because its type says how many values it can take.
///
/// Derive it on an enum with `#[derive(Label)]`. It is implemented for `bool`, for `Option` of a
/// label (`None` is the empty value, which Prometheus treats as an absent label), and for
/// [`Bounded`](crate::Bounded) strings. Nothing else should implement it by hand: a type that
/// understates its values makes several of them share one time series.
///
/// ```
/// use obs_runtime::Label;
///
/// assert_eq!(<Option<bool>>::CARDINALITY, 3);
/// assert_eq!(bool::value(true.index()), "true");
/// ```
pub trait Label {
    /// How many values there are.
    const CARDINALITY: usize;

    /// Whether one of the values is the empty text; so that options do not nest.
    #[doc(hidden)]
    const HAS_EMPTY: bool = false;

    /// The position of this value, below [`CARDINALITY`](Label::CARDINALITY).
    fn index(&self) -> usize;

    /// The text of the value at `index`, as metrics show it. Distinct for each index.
    fn value(index: usize) -> Cow<'static, str>;
}

impl Label for bool {
    const CARDINALITY: usize = 2;

    fn index(&self) -> usize {
        usize::from(*self)
    }

    fn value(index: usize) -> Cow<'static, str> {
        nth(&["false", "true"], index)
    }
}

impl<L: Label> Label for Option<L> {
    const CARDINALITY: usize = {
        assert!(!L::HAS_EMPTY, "an `Option` in an `Option` has two values with the same empty text");
        L::CARDINALITY + 1
    };
    const HAS_EMPTY: bool = true;

    fn index(&self) -> usize {
        self.as_ref().map_or(0, |label| label.index() + 1)
    }

    fn value(index: usize) -> Cow<'static, str> {
        index.checked_sub(1).map_or(Cow::Borrowed(""), L::value)
    }
}

impl<L: Label + ?Sized> Label for &L {
    const CARDINALITY: usize = L::CARDINALITY;
    const HAS_EMPTY: bool = L::HAS_EMPTY;

    fn index(&self) -> usize {
        L::index(self)
    }

    fn value(index: usize) -> Cow<'static, str> {
        L::value(index)
    }
}

/// The value at `index`; an index that no value has reads as empty.
#[doc(hidden)]
pub fn nth(values: &'static [&'static str], index: usize) -> Cow<'static, str> {
    Cow::Borrowed(values.get(index).copied().unwrap_or_default())
}

/// A [`Label`], by a name that the compiler's message about a type that is none can be attached to.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no compile-time bound on its values, so it can't be a metric label",
    label = "unbounded label",
    note = "to record the value, move it to `fields(..)`: with `%` or `?` in front, logs and spans take anything",
    note = "to count by it, derive `Label` on an enum of its values, or use `Bounded<Tag, N>`"
)]
pub trait MetricLabel: Label {}

#[diagnostic::do_not_recommend]
impl<L: Label + ?Sized> MetricLabel for L {}

/// One label of a function: its name, how many values it has, and their texts.
#[derive(Clone, Copy, Debug)]
pub struct Dimension {
    pub(crate) name: &'static str,
    pub(crate) cardinality: usize,
    pub(crate) value: fn(usize) -> Cow<'static, str>,
}

/// The values of a label type. Made in one place, so that a type which is no label is one error.
#[derive(Debug)]
pub struct Values<L: ?Sized> {
    cardinality: usize,
    value: fn(usize) -> Cow<'static, str>,
    index: fn(&L) -> usize,
}

/// The values of `L`.
///
/// # Panics
/// At compile time, if there is none.
#[inline]
#[must_use]
pub const fn values<L: MetricLabel + ?Sized>() -> Values<L> {
    assert!(L::CARDINALITY > 0, "a label needs at least one value");
    Values { cardinality: L::CARDINALITY, value: L::value, index: L::index }
}

impl<L: ?Sized> Clone for Values<L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L: ?Sized> Copy for Values<L> {}

impl<L: ?Sized> Values<L> {
    /// The dimension that these values make under a name.
    #[must_use]
    pub const fn named(self, name: &'static str) -> Dimension {
        Dimension { name, cardinality: self.cardinality, value: self.value }
    }

    /// The position of a label. One that breaks its own bound counts as the last.
    #[inline]
    pub(crate) fn index(&self, label: &L) -> usize {
        (self.index)(label).min(self.cardinality - 1)
    }

    /// How many values there are.
    #[inline]
    pub(crate) fn cardinality(&self) -> usize {
        self.cardinality
    }
}

/// The position of a call's labels among all combinations: a number in mixed radix.
#[derive(Clone, Copy, Debug, Default)]
pub struct LabelIndex(pub(crate) u32);

impl LabelIndex {
    /// Appends the least significant digit.
    #[inline]
    #[must_use]
    pub fn with<L: ?Sized>(self, values: Values<L>, label: &L) -> Self {
        // Of as many labels as would not fit, nobody could keep the series.
        #[allow(clippy::cast_possible_truncation, reason = "see above")]
        let (cardinality, index) = (values.cardinality() as u32, values.index(label) as u32);
        Self(self.0.wrapping_mul(cardinality).wrapping_add(index))
    }
}

/// The labels of a series, in the order of their declaration. Those that are empty are absent.
pub(crate) type LabelTexts = Vec<(&'static str, Cow<'static, str>)>;

/// The dimension of a label of the result: with one value more, for a call that had none.
pub(crate) fn with_absent(label: &Dimension) -> Dimension {
    Dimension { cardinality: label.cardinality + 1, ..*label }
}

/// Appends the texts of the labels at `index`.
pub(crate) fn push_texts(
    texts: &mut LabelTexts,
    labels: &[Dimension],
    dimensions: &[Dimension],
    index: usize,
) {
    for (label, digit) in labels.iter().zip(digits(dimensions, index)) {
        let known = (digit < label.cardinality).then(|| (label.value)(digit));
        texts.extend(known.filter(|text| !text.is_empty()).map(|text| (label.name, text)));
    }
}

/// The digits of `index`, one for each dimension, most significant first.
pub(crate) fn digits(dimensions: &[Dimension], mut index: usize) -> Vec<usize> {
    let mut digits: Vec<usize> = dimensions
        .iter()
        .rev()
        .map(|dimension| {
            let digit = index % dimension.cardinality;
            index /= dimension.cardinality;
            digit
        })
        .collect();
    digits.reverse();
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_reads_back_as_the_labels_that_made_it() {
        let dimensions =
            [values::<bool>().named("a"), values::<Option<bool>>().named("b"), values::<bool>().named("c")];
        for a in [false, true] {
            for b in [None, Some(false), Some(true)] {
                for c in [false, true] {
                    let index =
                        LabelIndex::default().with(values(), &a).with(values(), &b).with(values(), &c);
                    assert_eq!(digits(&dimensions, index.0 as usize), [a.index(), b.index(), c.index()]);
                }
            }
        }
    }
}
