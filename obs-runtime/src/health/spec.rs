//! What a check is asked for, how often, and how its results are taken.

use std::borrow::Cow;
use std::time::Duration;

/// The question that a check helps to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Does the process work at all? One that does not is restarted.
    Liveness,
    /// Can it take traffic? One that can't gets none until it can.
    Readiness,
    /// Has it come up? Asked until it passes, and never again.
    Startup,
}

impl Probe {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Liveness => "liveness",
            Self::Readiness => "readiness",
            Self::Startup => "startup",
        }
    }
}

/// A check but for what it does.
#[derive(Clone, Debug)]
pub struct Spec {
    pub(crate) name: Cow<'static, str>,
    pub(crate) probe: Probe,
    pub(crate) critical: bool,
    pub(crate) every: Duration,
    pub(crate) timeout: Duration,
    pub(crate) failures: u32,
    pub(crate) successes: u32,
    stale_after: Option<Duration>,
}

impl Spec {
    /// A check with every setting at its default: see [`check`](super::check).
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self::named(Cow::Borrowed(name))
    }

    pub(super) const fn named(name: Cow<'static, str>) -> Self {
        Self {
            name,
            probe: Probe::Readiness,
            critical: true,
            every: Duration::from_secs(10),
            timeout: Duration::from_secs(1),
            failures: 2,
            successes: 1,
            stale_after: None,
        }
    }

    /// When a result is too old to mean anything: by default, when three runs in a row have not come to an end.
    pub(crate) fn stale_after(&self) -> Duration {
        self.stale_after.unwrap_or_else(|| self.every.saturating_mul(3).saturating_add(self.timeout))
    }

    /// What is wrong with it, if something is.
    pub(super) fn problem(&self) -> Option<(&'static str, String, &'static str)> {
        const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
        let name_fits = (1..=64).contains(&self.name.len())
            && self.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
        let span = "a time above zero, of a day at most";
        let fits = |time: Duration| !time.is_zero() && time <= LONGEST;
        if !name_fits {
            let takes = "1 to 64 letters, digits, `_`, `-` and `.`";
            return Some(("name", format!("{:?}", self.name), takes));
        }
        for (setting, time) in
            [("every", self.every), ("timeout", self.timeout), ("stale_after", self.stale_after())]
        {
            // The default of the last follows from those before.
            if !fits(time) && (setting != "stale_after" || self.stale_after.is_some()) {
                return Some((setting, format!("{time:?}"), span));
            }
        }
        // A tenth may be added to an interval, and a run may take its time.
        let least = self.every.mul_f64(1.1).saturating_add(self.timeout);
        if self.stale_after.is_some_and(|after| after < least) {
            let takes =
                "more than `every` and a tenth, and `timeout`: results would be too old before the next";
            return Some(("stale_after", format!("{:?}", self.stale_after()), takes));
        }
        for (setting, count) in [("failures", self.failures), ("successes", self.successes)] {
            if count == 0 {
                return Some((setting, "0".to_owned(), "a number of runs in a row, from 1"));
            }
        }
        None
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident($arg:ident: $ty:ty) = $value:expr;)*) => {
        /// For the code that the attribute writes.
        #[allow(missing_docs, reason = "documented at `CheckBuilder`")]
        impl Spec {
            $(
                #[must_use]
                pub const fn $name(mut self, $arg: $ty) -> Self {
                    self.$name = $value;
                    self
                }
            )*
        }

        impl super::CheckBuilder {
            $($(#[$doc])*
            pub fn $name(mut self, $arg: $ty) -> Self {
                self.spec.$name = $value;
                self
            })*
        }
    };
}

setters! {
    /// The question it helps to answer: readiness, unless this says otherwise.
    probe(probe: Probe) = probe;
    /// Whether its failure fails the probe, or only makes the report say `degraded`. It does, unless told not to.
    critical(critical: bool) = critical;
    /// The time from the beginning of one run to the next, to which up to a tenth is added by chance, so that the
    /// instances of a service do not ask all at once. 10 s by default.
    every(every: Duration) = every;
    /// How long a run may take: a longer one has failed, and is dropped. 1 s by default.
    timeout(timeout: Duration) = timeout;
    /// How many runs in a row have to fail before the check does. 2 by default; the first run of all is taken at its word.
    failures(failures: u32) = failures;
    /// How many runs in a row have to pass before a check that fails passes again. 1 by default.
    successes(successes: u32) = successes;
}

impl Spec {
    /// For the code that the attribute writes.
    #[must_use]
    pub const fn stale(mut self, after: Duration) -> Self {
        self.stale_after = Some(after);
        self
    }
}

impl super::CheckBuilder {
    /// When a result is too old to count, and the check fails for want of one: by default, three times
    /// [`every`](Self::every) and one [`timeout`](Self::timeout). At least `every` and a tenth, and `timeout`.
    pub fn stale_after(mut self, after: Duration) -> Self {
        self.spec.stale_after = Some(after);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_without_a_meaning_are_refused_by_name() {
        let good = Spec::new("users-db.primary_1");
        assert_eq!(good.problem(), None);
        let wrong = [
            (Spec::new(""), "name"),
            (Spec::new("user db"), "name"),
            (good.clone().every(Duration::ZERO), "every"),
            (good.clone().timeout(Duration::from_secs(25 * 60 * 60)), "timeout"),
            (good.clone().stale(Duration::ZERO), "stale_after"),
            (good.clone().stale(Duration::from_secs(11)), "stale_after"),
            (good.clone().failures(0), "failures"),
            (good.clone().successes(0), "successes"),
        ];
        for (spec, setting) in wrong {
            assert_eq!(spec.problem().map(|(setting, ..)| setting), Some(setting));
        }
        assert_eq!(good.every(Duration::from_secs(20 * 60 * 60)).problem(), None, "whatever follows from it");
    }
}
