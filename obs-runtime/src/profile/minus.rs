//! What happened between two profiles.

use super::Profile;

impl Profile {
    /// What came on top of an earlier profile of the same kind: the difference of each value. Of what only grows, such as
    /// waits, it is what happened meanwhile; of what is there, such as memory in use, it may be negative. What is the same
    /// in both is left out.
    ///
    /// ```
    /// use obs_runtime::profile;
    ///
    /// let before = profile::block();
    /// // .. and some time later:
    /// let meanwhile = profile::block().minus(&before);
    /// ```
    #[must_use]
    pub fn minus(&self, earlier: &Self) -> Self {
        let mut difference = Self {
            types: self.types,
            period: self.period,
            taken: earlier.taken,
            duration: self.taken.duration_since(earlier.taken).unwrap_or_default(),
            samples: self.samples.clone(),
        };
        // A column that the earlier one does not have was zero there.
        let places: Vec<_> =
            self.types.iter().map(|of| earlier.types.iter().position(|column| column == of)).collect();
        for ((stack, labels), values) in &earlier.samples {
            let negated: Vec<_> = places
                .iter()
                .map(|place| {
                    place.and_then(|place| values.get(place)).map_or(0, |value| value.saturating_neg())
                })
                .collect();
            difference.add(stack.clone(), labels.clone(), &negated);
        }
        difference.samples.retain(|_, values| values.iter().any(|value| *value != 0));
        difference
    }
}

#[cfg(test)]
mod tests {
    use crate::profile::Profile;
    use crate::profile::model::{Frame, ValueType};
    use std::time::{Duration, SystemTime};

    const TYPES: &[ValueType] = &[("alloc", "count"), ("inuse", "count")];

    fn profile(types: &'static [ValueType], after: u64, rows: &[(&'static str, &[i64])]) -> Profile {
        let mut profile = Profile::new(types, SystemTime::UNIX_EPOCH + Duration::from_secs(after));
        for (function, values) in rows {
            let frame = Frame { function: (*function).into(), file: "".into(), line: 0, address: 0 };
            profile.add(vec![frame], Vec::new(), values);
        }
        profile
    }

    fn rows(profile: &Profile) -> Vec<(&str, &[i64])> {
        profile.samples.iter().map(|((stack, _), values)| (stack[0].function.as_str(), &values[..])).collect()
    }

    #[test]
    fn each_value_is_what_came_on_top() {
        let earlier = profile(TYPES, 10, &[("gone", &[5, 5]), ("less", &[4, 4]), ("same", &[1, 1])]);
        let later = profile(TYPES, 13, &[("less", &[6, 1]), ("new", &[7, 7]), ("same", &[1, 1])]);
        let meanwhile = later.minus(&earlier);
        assert_eq!(rows(&meanwhile), [("gone", &[-5, -5][..]), ("less", &[2, -3]), ("new", &[7, 7])]);
        assert_eq!(meanwhile.duration, Duration::from_secs(3));
        assert_eq!(rows(&later.minus(&later)), []);
    }

    #[test]
    fn columns_are_compared_by_name() {
        const OTHER: &[ValueType] = &[("inuse", "count"), ("delay", "nanoseconds")];
        let earlier = profile(OTHER, 10, &[("f", &[2, 99])]);
        let later = profile(TYPES, 10, &[("f", &[5, 5])]);
        assert_eq!(rows(&later.minus(&earlier)), [("f", &[5, 3][..])]);
        let extreme = profile(TYPES, 0, &[("f", &[i64::MIN, i64::MAX])]);
        assert_eq!(rows(&later.minus(&extreme)), [("f", &[i64::MAX, 5 - i64::MAX][..])]);
    }
}
