//! Which filter is in force, and for how long. Time is told from outside.

use crate::subscriber::Filter;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Levels {
    /// Of the start.
    pub(super) configured: Arc<Filter>,
    /// The last without an end.
    pub(super) permanent: Arc<Filter>,
    /// The one in its place, and until when.
    temporary: Option<(Arc<Filter>, Instant)>,
    /// Whether a thread waits for that.
    pub(super) waiting: bool,
}

impl Levels {
    pub(super) fn new(configured: Arc<Filter>) -> Self {
        Self { permanent: Arc::clone(&configured), configured, temporary: None, waiting: false }
    }

    pub(super) fn in_force(&self) -> &Arc<Filter> {
        self.temporary.as_ref().map_or(&self.permanent, |(filter, _)| filter)
    }

    /// Puts a filter in the place of the one in force, for good or until then.
    pub(super) fn set(&mut self, filter: Arc<Filter>, until: Option<Instant>) {
        if let Some(until) = until {
            self.temporary = Some((filter, until));
        } else {
            self.permanent = filter;
            self.temporary = None;
        }
    }

    /// How long the temporary one has.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        self.temporary.as_ref().map(|(_, until)| until.saturating_duration_since(now))
    }

    /// Ends the temporary one, and hands it over.
    pub(super) fn end(&mut self) -> Option<Arc<Filter>> {
        self.temporary.take().map(|(filter, _)| filter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(directives: &str) -> Arc<Filter> {
        Arc::new(Filter::parse(directives).expect("valid"))
    }

    #[test]
    fn a_temporary_filter_gives_way_to_the_last_permanent_one() {
        let (start, minute) = (Instant::now(), Duration::from_secs(60));
        let mut levels = Levels::new(filter("info"));
        levels.set(filter("warn"), None);
        levels.set(filter("debug"), Some(start + minute));
        assert_eq!(levels.in_force().directives(), "debug");
        assert_eq!(levels.left(start), Some(minute));
        assert_eq!(levels.left(start + minute * 2), Some(Duration::ZERO), "over, and not ended yet");
        assert_eq!(levels.end().expect("a temporary one").directives(), "debug");
        assert_eq!((levels.in_force().directives(), levels.left(start)), ("warn", None));
        assert!(levels.end().is_none());
        assert_eq!(levels.configured.directives(), "info");
    }

    #[test]
    fn another_filter_replaces_a_temporary_one_and_its_time() {
        let (start, minute) = (Instant::now(), Duration::from_secs(60));
        let mut levels = Levels::new(filter("info"));
        levels.set(filter("debug"), Some(start + minute));
        levels.set(filter("trace"), Some(start + minute * 5));
        assert_eq!((levels.in_force().directives(), levels.left(start)), ("trace", Some(minute * 5)));
        assert_eq!(levels.permanent.directives(), "info");
        levels.set(filter("error"), None);
        assert_eq!((levels.in_force().directives(), levels.left(start)), ("error", None));
    }
}
