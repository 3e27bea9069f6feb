//! The limits on what a span holds: the `OTEL_*_LIMIT` variables.

use super::environment::Environment;
use crate::trace::Limits;

/// The limits that the environment sets. Those of spans go before those of everything.
pub(super) fn from(environment: &Environment<'_>) -> Limits {
    let limit = |name| {
        let instead = "the limit for everything, or else the default, is used";
        environment.standard(name, "a whole number", instead, |value| value.parse::<usize>().ok())
    };
    let default = Limits::DEFAULT;
    let all_attributes = limit("OTEL_ATTRIBUTE_COUNT_LIMIT");
    let all_lengths = limit("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT");
    let attributes = limit("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT").or(all_attributes);
    let value_length = limit("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT").or(all_lengths);
    let event_attributes = limit("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT").or(all_attributes);
    let log_attributes = limit("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT").or(all_attributes);
    let log_value_length = limit("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT").or(all_lengths);
    // Links of ours have no attributes; a value that is none is wrong all the same.
    limit("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT");
    Limits {
        attributes: attributes.unwrap_or(default.attributes),
        value_length: value_length.unwrap_or(default.value_length),
        events: limit("OTEL_SPAN_EVENT_COUNT_LIMIT").unwrap_or(default.events),
        links: limit("OTEL_SPAN_LINK_COUNT_LIMIT").unwrap_or(default.links),
        event_attributes: event_attributes.unwrap_or(default.event_attributes),
        log_attributes: log_attributes.unwrap_or(default.log_attributes),
        log_value_length: log_value_length.unwrap_or(default.log_value_length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_spans_go_before_those_of_everything() {
        let lookup = |name: &str| match name {
            "OTEL_ATTRIBUTE_COUNT_LIMIT" => Some("10".to_owned()),
            "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT" => Some("5".to_owned()),
            "OTEL_SPAN_EVENT_COUNT_LIMIT" => Some("0".to_owned()),
            _ => None,
        };
        let limits = from(&Environment::new(&lookup));
        let expected =
            Limits { attributes: 5, event_attributes: 10, log_attributes: 10, events: 0, ..Limits::DEFAULT };
        assert_eq!(limits, expected);
    }

    #[test]
    fn each_limit_has_a_variable() {
        let default = Limits::DEFAULT;
        for (variable, expected) in [
            ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", Limits { attributes: 7, ..default }),
            ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", Limits { value_length: 7, ..default }),
            ("OTEL_SPAN_EVENT_COUNT_LIMIT", Limits { events: 7, ..default }),
            ("OTEL_SPAN_LINK_COUNT_LIMIT", Limits { links: 7, ..default }),
            ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", Limits { event_attributes: 7, ..default }),
            ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", default),
            ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", Limits { log_attributes: 7, ..default }),
            ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", Limits { log_value_length: 7, ..default }),
            ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", Limits { value_length: 7, log_value_length: 7, ..default }),
        ] {
            let lookup = |name: &str| (name == variable).then(|| "7".to_owned());
            assert_eq!(from(&Environment::new(&lookup)), expected, "{variable}");
            for wrong in ["-1", "many", "1.5", "99999999999999999999999"] {
                let lookup = |name: &str| (name == variable).then(|| wrong.to_owned());
                let environment = Environment::new(&lookup);
                assert_eq!(from(&environment), default, "{variable}={wrong}");
                let messages = environment.messages();
                let expected = format!("WARN {variable} is {wrong:?}; it takes a whole number");
                assert!(messages.len() == 1 && messages[0].starts_with(&expected), "{messages:?}");
            }
        }
    }
}
