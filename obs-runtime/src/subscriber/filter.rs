//! Which log lines are written, and which spans are opened: directives in the syntax of `RUST_LOG`.

use crate::store::functions;
use tracing_core::{Level, LevelFilter, Metadata};
use tracing_subscriber::filter::{ParseError, Targets};

/// Levels by target.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    targets: Targets,
}

impl Default for Filter {
    fn default() -> Self {
        Self { targets: Targets::new().with_default(LevelFilter::INFO) }
    }
}

impl Filter {
    /// Reads directives such as `info,shop=debug,hyper=off`.
    pub(crate) fn parse(directives: &str) -> Result<Self, ParseError> {
        Ok(Self { targets: directives.parse()? })
    }

    /// Whether a log line of that level is written.
    pub(crate) fn logs(&self, metadata: &Metadata<'_>) -> bool {
        self.enables(metadata.target(), *metadata.level())
    }

    /// Whether log lines of that target and level are written.
    pub(crate) fn enables(&self, target: &str, level: Level) -> bool {
        self.targets.would_enable(target, &level)
    }

    /// Whether a span is opened: at INFO and above always. Spans carry the request id to the lines below
    /// them and are what a trace is made of, so a filter makes lines fewer, and not poorer.
    pub(crate) fn spans(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.verbosity(metadata.target()).max(LevelFilter::INFO)
    }

    /// The most verbose level that any target has, spans included.
    pub(crate) fn most_verbose(&self) -> LevelFilter {
        let targets = self.targets.iter().map(|(_, level)| level);
        targets.chain(self.targets.default_level()).max().unwrap_or(LevelFilter::OFF).max(LevelFilter::INFO)
    }

    /// Tells every observed function what it may log, and so whether there is anything to observe.
    pub(crate) fn apply(&self) {
        for site in functions() {
            site.set_filter(self.verbosity(site.metadata.target()), self.spans(&site.metadata));
            if !site.on() && !self.spans(&site.metadata) {
                // `tracing` says if some other subscriber of the process wants the span.
                tracing_core::callsite::register(*site);
            }
        }
    }

    fn verbosity(&self, target: &str) -> LevelFilter {
        [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR]
            .into_iter()
            .find(|level| self.enables(target, *level))
            .map_or(LevelFilter::OFF, LevelFilter::from_level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_choose_levels_by_target() {
        let filter = Filter::parse("warn,shop=debug,shop::noisy=off").expect("valid");
        assert_eq!(filter.verbosity("hyper"), LevelFilter::WARN);
        assert_eq!(filter.verbosity("shop::orders"), LevelFilter::DEBUG);
        assert_eq!(filter.verbosity("shop::noisy"), LevelFilter::OFF);
        assert_eq!(filter.most_verbose(), LevelFilter::DEBUG);
    }

    #[test]
    fn a_level_that_does_not_exist_is_refused() {
        assert!(Filter::parse("shop=loud").is_err());
    }
}
