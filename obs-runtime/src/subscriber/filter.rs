//! Which log lines are written, and which spans are opened: directives in the syntax of `RUST_LOG`.

use crate::store::functions;
use std::fmt;
use tracing_core::{Level, LevelFilter, Metadata};
use tracing_subscriber::filter::Targets;

/// Levels by target.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    targets: Targets,
    directives: String,
}

/// Directives that don't parse. Its text is what they take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InvalidDirectives(String);

impl fmt::Display for InvalidDirectives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(problem) = self;
        write!(
            f,
            "a level (off, error, warn, info, debug, trace) or comma-separated `target=level` directives ({problem})"
        )
    }
}

impl Default for Filter {
    fn default() -> Self {
        Self { targets: Targets::new().with_default(LevelFilter::INFO), directives: "info".to_owned() }
    }
}

/// The directives of a list, less what is empty.
fn parts(directives: &str) -> impl Iterator<Item = &str> {
    directives.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// Whether it is a target without a level, which has all levels.
fn is_bare_target(part: &str) -> bool {
    !part.contains('=') && part.parse::<LevelFilter>().is_err()
}

impl Filter {
    /// Reads directives such as `info,shop=debug,hyper=off`.
    pub(crate) fn parse(directives: &str) -> Result<Self, InvalidDirectives> {
        let written =
            |part: &str| if is_bare_target(part) { format!("{part}=trace") } else { part.to_owned() };
        let directives = parts(directives).map(written).collect::<Vec<_>>().join(",");
        if directives.is_empty() {
            return Err(InvalidDirectives("there is none".to_owned()));
        }
        match directives.parse() {
            Ok(targets) => Ok(Self { targets, directives }),
            Err(error) => Err(InvalidDirectives(error.to_string())),
        }
    }

    /// The same for a running service, where a target has to have its level: a slip such as `debgu` would be a
    /// target, and turn off all others.
    pub(crate) fn parse_change(directives: &str) -> Result<Self, InvalidDirectives> {
        let is_of_a_path = |byte: u8| byte.is_ascii_alphanumeric() || b"_:.-=".contains(&byte);
        if let Some(strange) = parts(directives)
            .find(|part| !part.trim().bytes().all(is_of_a_path) || part.trim().starts_with('='))
        {
            return Err(InvalidDirectives(format!(
                "{strange:?} is no `target=level`: a target is a module's path"
            )));
        }
        match parts(directives).find(|part| is_bare_target(part)) {
            Some(bare) => {
                Err(InvalidDirectives(format!("`{bare}` is no level, and as a target it is `{bare}=trace`")))
            }
            None => Self::parse(directives),
        }
    }

    /// The directives, each with its level.
    pub(crate) fn directives(&self) -> &str {
        &self.directives
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

    /// Tells every observed function what it may log, by the filter and up to the level that somebody has asked
    /// for, and so whether there is anything to observe.
    pub(super) fn apply(&self, asked: LevelFilter) {
        for site in functions() {
            let verbosity = self.verbosity(site.metadata.target());
            if site.set_filter(verbosity, asked, self.spans(&site.metadata)) {
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
        assert!(Filter::parse("a=b=info").is_err());
    }

    #[test]
    fn spaces_and_a_comma_too_many_change_nothing() {
        let filter = Filter::parse(" warn, shop=debug,,\n").expect("valid");
        assert_eq!(filter.directives(), "warn,shop=debug");
        assert_eq!(filter.verbosity("hyper"), LevelFilter::WARN);
        assert_eq!(filter.verbosity("shop"), LevelFilter::DEBUG);
        assert!(Filter::parse(" , ").is_err());
    }

    #[test]
    fn a_target_without_a_level_is_for_the_start_alone() {
        let filter = Filter::parse("info,shop").expect("valid");
        assert_eq!(filter.verbosity("shop"), LevelFilter::TRACE);
        assert_eq!(filter.directives(), "info,shop=trace");
        assert!(Filter::parse_change(filter.directives()).is_ok(), "what is shown can be set");
        let refused = Filter::parse_change("debgu").expect_err("a slip").to_string();
        assert!(refused.starts_with("a level (off, error, warn, info, debug, trace) or"), "{refused}");
        assert!(refused.ends_with("(`debgu` is no level, and as a target it is `debgu=trace`)"), "{refused}");
    }
}
