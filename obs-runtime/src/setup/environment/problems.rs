//! Values of `OTEL_*` variables that are not used. Reading them comes before there is a logger, so they are kept until
//! the start can log them.

use std::cell::RefCell;

/// Characters of a value that a line shows.
const MAX_SHOWN: usize = 64;

/// Problems with variables, in the order of their reading.
#[derive(Debug, Default)]
pub(super) struct Problems(RefCell<Vec<Problem>>);

/// A variable whose value, or a part of it, is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    variable: &'static str,
    value: String,
    /// The values that the variable takes, or the reason why this one is not used.
    expected: String,
    /// The behaviour in the place of the one that was asked for.
    instead: String,
    /// Whether telemetry is lost by it.
    is_error: bool,
}

impl Problems {
    /// Keeps a value that is replaced by a default, or an entry that is left out.
    pub(super) fn warn(&self, variable: &'static str, value: &str, expected: &str, instead: &str) {
        self.push(variable, value, expected, instead, false);
    }

    /// Keeps a value that disables an exporter.
    #[cfg(feature = "otlp")]
    pub(super) fn error(&self, variable: &'static str, value: &str, expected: &str, instead: &str) {
        self.push(variable, value, expected, instead, true);
    }

    fn push(&self, variable: &'static str, value: &str, expected: &str, instead: &str, is_error: bool) {
        let problem = Problem {
            variable,
            value: shown(variable, value),
            expected: expected.to_owned(),
            instead: instead.to_owned(),
            is_error,
        };
        let mut all = self.0.borrow_mut();
        // Several signals read the same variable.
        if !all.contains(&problem) {
            all.push(problem);
        }
    }

    /// Writes one line for each problem, and forgets them.
    pub(super) fn log(&self) {
        for problem in self.0.take() {
            let Problem { variable, value, .. } = &problem;
            if problem.is_error {
                tracing::error!(target: "obs_runtime::setup", variable, value, "{}", problem.message());
            } else {
                tracing::warn!(target: "obs_runtime::setup", variable, value, "{}", problem.message());
            }
        }
    }

    /// The messages so far.
    #[cfg(test)]
    pub(super) fn messages(&self) -> Vec<String> {
        let level = |problem: &Problem| if problem.is_error { "ERROR" } else { "WARN" };
        self.0.borrow().iter().map(|problem| format!("{} {}", level(problem), problem.message())).collect()
    }
}

impl Problem {
    fn message(&self) -> String {
        let Self { variable, value, expected, instead, .. } = self;
        format!("{variable} is {value:?}; it takes {expected}; {instead}")
    }
}

/// A value as a line shows it: cut, and without secrets.
fn shown(variable: &str, value: &str) -> String {
    // Headers hold tokens.
    if variable.ends_with("_HEADERS") {
        return "***".to_owned();
    }
    match value.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}
