//! Medians and their spread.

/// The middle half of what was measured.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spread {
    pub(crate) lower: f64,
    pub(crate) median: f64,
    pub(crate) upper: f64,
}

impl Spread {
    /// Of at least one value; of none, zeros.
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        let at = |quarter: usize| values.get(values.len().saturating_sub(1) * quarter / 4).copied();
        let [lower, median, upper] = [1, 2, 3].map(|quarter| at(quarter).unwrap_or_default());
        Self { lower, median, upper }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_half_is_between_the_quartiles() {
        let spread = Spread::of(&[5.0, 1.0, 4.0, 2.0, 3.0]);
        assert_eq!((spread.lower, spread.median, spread.upper), (2.0, 3.0, 4.0));
        assert_eq!(Spread::of(&[]).median, 0.0);
    }
}
