//! The limit of each thread's buffers.

use super::InitError;
use super::environment::Environment;

/// The values that the limit takes, in items.
const RANGE: std::ops::RangeInclusive<usize> = 512..=1_048_576;

const EXPECTED: &str = "a whole number from 512 to 1048576";

impl Environment<'_> {
    /// Code goes before the environment, whose value has to be right all the same.
    pub(super) fn thread_buffer(&self, in_code: Option<usize>) -> Result<Option<usize>, InitError> {
        let in_range = |items: &usize| RANGE.contains(items);
        let name = "OBS_THREAD_BUFFER";
        let variable = self.parsed(name, EXPECTED, |value| value.parse().ok().filter(in_range))?;
        match in_code {
            Some(items) if !in_range(&items) => Err(InitError::Invalid {
                setting: "thread_buffer",
                value: items.to_string(),
                expected: EXPECTED.to_owned(),
            }),
            _ => Ok(in_code.or(variable)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit<'a>(
        in_code: Option<usize>,
        variable: impl Into<Option<&'a str>>,
    ) -> Result<Option<usize>, String> {
        let variable = variable.into();
        let lookup = |name: &str| variable.filter(|_| name == "OBS_THREAD_BUFFER").map(str::to_owned);
        Environment::new(&lookup).thread_buffer(in_code).map_err(|error| error.to_string())
    }

    #[test]
    fn code_goes_before_the_environment() {
        assert_eq!(limit(None, None), Ok(None));
        assert_eq!(limit(None, "512"), Ok(Some(512)));
        assert_eq!(limit(Some(1_048_576), "600"), Ok(Some(1_048_576)));
    }

    #[test]
    fn values_out_of_range_are_errors_that_name_the_setting() {
        for variable in ["", "511", "1048577", "-1", "many", "1e4", "16_384"] {
            let error = limit(Some(600), variable).expect_err(variable);
            assert!(error.starts_with("OBS_THREAD_BUFFER") && error.contains(EXPECTED), "{error}");
        }
        for in_code in [0, 511, 1_048_577] {
            let error = limit(Some(in_code), None).expect_err("out of range");
            assert!(error.starts_with("thread_buffer"), "{error}");
        }
    }
}
