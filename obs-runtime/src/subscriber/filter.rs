//! Which log lines are written, and which spans are opened: directives in the syntax of `RUST_LOG`.

use super::directives::{Directive, Problem, in_quotes, split};
use super::span_directives::SpanDirective;
use crate::store::functions;
use std::fmt;
use tracing_core::{Level, LevelFilter, Metadata};
use tracing_subscriber::filter::Targets;

/// Levels by target, and inside of spans.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    targets: Targets,
    spans: Vec<SpanDirective>,
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
        Self::of(vec![DEFAULT])
    }
}

/// The directive where there is no other.
const DEFAULT: Directive =
    Directive { target: None, span: None, fields: Vec::new(), level: LevelFilter::INFO };

impl Filter {
    fn of(all: Vec<Directive>) -> Self {
        let directives = all.iter().map(Directive::to_string).collect::<Vec<_>>().join(",");
        let (spans, targets): (Vec<_>, Vec<_>) = all.into_iter().partition(Directive::is_for_spans);
        let targets = targets.into_iter().fold(Targets::new(), |targets, directive| match directive.target {
            None => targets.with_default(directive.level),
            // A crate with a dash in its name has an underscore in those of its modules.
            Some(target) if target.contains('-') => targets
                .with_target(target.replace('-', "_"), directive.level)
                .with_target(target, directive.level),
            Some(target) => targets.with_target(target, directive.level),
        });
        Self { targets, spans: spans.into_iter().map(SpanDirective::new).collect(), directives }
    }

    /// Reads directives such as `info,shop=debug,[charge{order_id=A-17}]=debug`.
    pub(crate) fn parse(directives: &str) -> Result<Self, InvalidDirectives> {
        let all: Result<Vec<_>, Problem> = split(directives).into_iter().map(Directive::parse).collect();
        match all {
            Ok(all) if all.is_empty() => Err(InvalidDirectives("there is none".to_owned())),
            Ok(all) => Ok(Self::of(all)),
            Err(problem) => Err(InvalidDirectives(problem.to_string())),
        }
    }

    /// Like [`parse`](Self::parse), for a running service, where a target has to have its level: a slip such as
    /// `payment` for `payments=info` would turn off all others.
    pub(crate) fn parse_change(directives: &str) -> Result<Self, InvalidDirectives> {
        let is_bare = |part: &&str| {
            !part.contains(['=', '['])
                && Directive::parse(part).is_ok_and(|directive| directive.target.is_some())
        };
        match split(directives).into_iter().find(is_bare) {
            Some(bare) => {
                Err(InvalidDirectives(format!("`{bare}` is no level, and as a target it is `{bare}=trace`")))
            }
            None => Self::parse(directives),
        }
    }

    /// Reads directives of which those with a mistake are left out: each is in the remarks, with its remedy.
    ///
    /// Where none is left, or none but those for targets and spans while a word was left out that may have been meant
    /// as the level of all others, that level is the default's.
    pub(crate) fn parse_lossy(directives: &str) -> (Self, Vec<String>) {
        let mut remarks = Vec::new();
        let mut list = directives.trim();
        // Quotes around all of it, unless each directive has its own.
        if let Some(inner) = in_quotes(list).filter(|_| !each_in_quotes(list)) {
            remarks.push("the quotes around the value are no part of it, and are left out".to_owned());
            list = inner;
        }
        let (mut all, mut word_left_out) = (Vec::new(), false);
        for part in split(list) {
            match Directive::parse(in_quotes(part).map_or(part, str::trim)) {
                Ok(directive) => all.push(directive),
                Err(problem) => {
                    word_left_out |= problem.is_word;
                    remarks.push(format!("{problem}; the directive is left out"));
                }
            }
        }
        let has_default = all.iter().any(|directive| directive.target.is_none() && !directive.is_for_spans());
        if all.is_empty() || (word_left_out && !has_default) {
            all.insert(0, DEFAULT);
        }
        (Self::of(all), remarks)
    }

    /// The directives, each with its level.
    pub(crate) fn directives(&self) -> &str {
        &self.directives
    }

    /// Whether a log line of that level is written.
    pub(crate) fn logs(&self, metadata: &Metadata<'_>) -> bool {
        self.enables(metadata.target(), *metadata.level())
            || self.spans.iter().any(|directive| directive.logs(metadata))
    }

    /// The directives for spans.
    pub(super) fn for_spans(&self) -> &[SpanDirective] {
        &self.spans
    }

    /// The most verbose level that there is inside of any span.
    pub(super) fn most_verbose_in_spans(&self) -> LevelFilter {
        self.spans.iter().map(SpanDirective::level).max().unwrap_or(LevelFilter::OFF)
    }

    /// Whether log lines of that target and level are written.
    pub(crate) fn enables(&self, target: &str, level: Level) -> bool {
        self.targets.would_enable(target, &level)
    }

    /// Whether a span is opened: at INFO and above always. Spans carry the request id to the lines below
    /// them and are what a trace is made of, so a filter makes lines fewer, and not poorer.
    pub(crate) fn spans(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.verbosity(metadata.target()).max(LevelFilter::INFO)
            || self.spans.iter().any(|directive| directive.opens(metadata))
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
            let compared = self.spans.iter().any(|directive| directive.may_match(&site.metadata));
            if site.set_filter(verbosity, asked, self.spans(&site.metadata), compared) {
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

/// Whether each directive of a list is in quotes of its own.
fn each_in_quotes(list: &str) -> bool {
    let parts = split(list);
    parts.len() > 1 && parts.into_iter().all(|part| in_quotes(part).is_some())
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

    #[test]
    fn a_dash_in_a_target_is_an_underscore_too() {
        let filter = Filter::parse("warn,my-crate::a-b=debug").expect("valid");
        assert_eq!(filter.verbosity("my_crate::a_b::c"), LevelFilter::DEBUG);
        assert_eq!(filter.verbosity("my-crate::a-b"), LevelFilter::DEBUG);
        assert_eq!(filter.verbosity("my_crate"), LevelFilter::WARN);
        assert_eq!(filter.directives(), "warn,my-crate::a-b=debug");
    }

    #[test]
    fn a_mistake_costs_its_directive_alone() {
        let table: [(&str, &str, &[&str]); 16] = [
            ("info", "info", &[]),
            ("shop", "shop=trace", &[]),
            ("\"info\"", "info", &["the quotes around the value"]),
            ("'info,shop=debug'", "info,shop=debug", &["the quotes around the value"]),
            ("\"info,[{a=\"b c\"}]=debug\"", "info,[{a=\"b c\"}]=debug", &["the quotes around the value"]),
            ("\"info\",\"shop=debug\"", "info,shop=debug", &[]),
            ("info,\"shop=debug\"", "info,shop=debug", &[]),
            ("info,shop=", "info", &["`shop=` has no level"]),
            ("warn,shop=loud,hyper=off", "warn,hyper=off", &["`shop=loud` has no level"]),
            ("warn,a=,b=", "warn", &["`a=`", "`b=`"]),
            // A level that is not understood is not the end of all lines.
            ("debgu", "info", &["`debgu` is no level"]),
            ("debgu,shop=debug", "info,shop=debug", &["`debgu` is no level"]),
            ("shop=debug,hyper=", "shop=debug", &["`hyper=` has no level"]),
            ("[charge=debug", "info", &["a bracket that is not closed"]),
            ("info;shop=debug", "info", &["separated by commas"]),
            (" , ", "info", &[]),
        ];
        for (text, directives, remarks) in table {
            let (filter, made) = Filter::parse_lossy(text);
            assert_eq!(filter.directives(), directives, "{text}");
            assert_eq!(made.len(), remarks.len(), "{text}: {made:?}");
            assert!(made.iter().zip(remarks).all(|(made, remark)| made.contains(remark)), "{made:?}");
            if !made.is_empty() {
                assert!(Filter::parse(text).is_err(), "{text} is an error where it is not RUST_LOG's");
                assert!(Filter::parse_change(text).is_err(), "{text}");
            }
        }
    }

    #[test]
    fn directives_for_spans_change_no_target() {
        let filter = Filter::parse("info,shop[charge{order_id=A-17}]=debug,[{job}]=trace").expect("valid");
        assert_eq!(filter.verbosity("shop"), LevelFilter::INFO);
        assert_eq!(filter.most_verbose(), LevelFilter::INFO);
        assert_eq!(filter.most_verbose_in_spans(), LevelFilter::TRACE);
        assert!(Filter::parse_change(filter.directives()).is_ok(), "what is shown can be set");
    }
}
