use super::*;

fn with<R>(variables: &[(&str, &str)], run: impl FnOnce(&Environment<'_>) -> R) -> R {
    let lookup =
        |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    run(&Environment::new(&lookup))
}

#[test]
fn empty_variables_count_as_unset() {
    with(&[("OTEL_SERVICE_NAME", " "), ("OTEL_TRACES_SAMPLER", "")], |environment| {
        assert_eq!(environment.service_name(), None);
        assert_eq!(environment.sampler(), None);
        assert!(environment.messages().is_empty());
    });
}

#[test]
fn wrong_values_of_our_own_variables_are_errors() {
    let message = with(&[("OBS_CLOCK", "sundial")], |environment| {
        environment.clock().expect_err("invalid").to_string()
    });
    assert_eq!(message, "OBS_CLOCK is \"sundial\"; it takes `counter` or `system`");
}

/// A failed mount of a secret, or a template that was not filled in.
#[test]
fn empty_variables_of_ours_are_wrong() {
    for empty in ["", " ", "\t\r\n"] {
        let error = |name, read: &dyn Fn(&Environment<'_>) -> Option<InitError>| {
            let error = with(&[(name, empty)], read).unwrap_or_else(|| panic!("{name} is {empty:?}"));
            let error = error.to_string();
            assert!(error.starts_with(&format!("{name} is ")) && error.contains("; it takes "), "{error}");
        };
        error("OBS_CLOCK", &|environment| environment.clock().err());
        #[cfg(feature = "admin")]
        {
            error("OBS_ADMIN_TOKEN", &|environment| environment.admin_token().err());
            error("OBS_ADMIN_ALLOW_REMOTE", &|environment| environment.admin_allow_remote().err());
        }
        #[cfg(feature = "profile-cpu")]
        error("OBS_CPU_PROFILING", &|environment| environment.cpu_profiling().err());
    }
}

#[test]
fn a_directive_with_a_mistake_is_left_out() {
    let (filter, remarks) =
        with(&[("RUST_LOG", "warn,shop=loud")], |environment| environment.log_filter().expect("it is set"));
    assert_eq!((filter.directives(), remarks.len()), ("warn", 1), "{remarks:?}");
}

/// Checks the one message of a variable.
fn assert_warns(environment: &Environment<'_>, name: &str, value: &str, instead: &str) {
    let messages = environment.messages();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0].starts_with(&format!("WARN {name} is {value:?}; it takes ")), "{messages:?}");
    assert!(messages[0].ends_with(instead), "{messages:?}");
}

#[test]
fn a_boolean_is_true_if_it_says_true() {
    let name = "OTEL_SDK_DISABLED";
    for (value, disabled) in [("true", true), ("TRUE", true), ("False", false), ("", false)] {
        with(&[(name, value)], |environment| {
            assert_eq!(environment.sdk_disabled(), disabled, "{value}");
            assert!(environment.messages().is_empty());
        });
    }
    for wrong in ["1", "0", "yes", "on", "t"] {
        with(&[(name, wrong)], |environment| {
            assert!(!environment.sdk_disabled(), "{wrong}");
            assert_warns(environment, name, wrong, "it counts as `false`");
        });
    }
}

#[test]
fn an_unknown_sampler_counts_as_unset() {
    for wrong in ["maybe", "parentbased_jaeger_remote", "jaeger_remote", "xray"] {
        with(&[("OTEL_TRACES_SAMPLER", wrong), ("OTEL_TRACES_SAMPLER_ARG", "2")], |environment| {
            assert_eq!(environment.sampler(), None);
            assert_warns(environment, "OTEL_TRACES_SAMPLER", wrong, "`parentbased_always_on` is used");
        });
    }
    with(&[("OTEL_TRACES_SAMPLER", "ParentBased_Always_OFF")], |environment| {
        assert_eq!(environment.sampler(), Some(Sampler::ParentBasedAlwaysOff));
    });
}

#[test]
fn an_unknown_propagator_costs_itself_alone() {
    for (value, chosen, unknown) in [
        ("tracecontext,baggage,b3", Some((true, true)), &["b3"][..]),
        ("B3multi, TraceContext,,jaeger", Some((true, false)), &["B3multi", "jaeger"]),
        ("none", Some((false, false)), &[]),
        ("xray", None, &["xray"]),
        ("baggage", Some((false, true)), &[]),
    ] {
        with(&[("OTEL_PROPAGATORS", value)], |environment| {
            assert_eq!(environment.propagators(), chosen, "{value}");
            let messages = environment.messages();
            assert_eq!(messages.len(), unknown.len(), "{messages:?}");
            for (message, unknown) in messages.iter().zip(unknown) {
                assert!(message.starts_with(&format!("WARN OTEL_PROPAGATORS is {unknown:?}")), "{message}");
            }
        });
    }
}

#[cfg(feature = "admin")]
#[test]
fn a_wrong_place_of_the_scrape_counts_as_unset() {
    for wrong in ["-1", "65536", "http"] {
        with(&[("OTEL_EXPORTER_PROMETHEUS_PORT", wrong)], |environment| {
            assert_eq!(environment.admin_port(), None);
            assert_warns(environment, "OTEL_EXPORTER_PROMETHEUS_PORT", wrong, "9464 is used");
        });
    }
    with(&[("OTEL_EXPORTER_PROMETHEUS_HOST", "my host")], |environment| {
        assert_eq!(environment.admin_host(), None);
        assert_warns(environment, "OTEL_EXPORTER_PROMETHEUS_HOST", "my host", "127.0.0.1 is used");
    });
}

#[test]
fn a_long_value_is_shown_in_part() {
    let long = "é".repeat(1000);
    with(&[("OTEL_TRACES_SAMPLER", &long)], |environment| {
        assert_eq!(environment.sampler(), None);
        let shown = format!("{}…", "é".repeat(64));
        assert_warns(environment, "OTEL_TRACES_SAMPLER", &shown, "`parentbased_always_on` is used");
    });
}

#[cfg(feature = "profile-cpu")]
#[test]
fn cpu_profiling_is_on_or_off() {
    let enabled = |value| {
        with(&[("OBS_CPU_PROFILING", value)], |environment| {
            environment.cpu_profiling().map_err(|error| error.to_string())
        })
    };
    for (value, is) in [("true", Some(true)), ("False", Some(false))] {
        assert_eq!(enabled(value).expect("valid"), is, "{value}");
    }
    let message = enabled("99").expect_err("invalid");
    assert_eq!(message, "OBS_CPU_PROFILING is \"99\"; it takes `true` or `false`");
}

#[test]
fn the_clock_is_the_counter_or_the_systems() {
    for (value, source) in [("counter", Some(Source::Counter)), ("system", Some(Source::System))] {
        let clock = with(&[("OBS_CLOCK", value)], |environment| environment.clock().expect("valid"));
        assert_eq!(clock, source, "{value}");
    }
}

#[test]
fn a_ratio_belongs_to_the_samplers_that_take_one() {
    for (name, arg, sampler, warns) in [
        ("traceidratio", "0.25", Sampler::TraceIdRatio(0.25), false),
        ("parentbased_traceidratio", "0", Sampler::ParentBasedTraceIdRatio(0.0), false),
        ("always_on", "ignored", Sampler::AlwaysOn, false),
        ("traceidratio", "2", Sampler::TraceIdRatio(1.0), true),
        ("traceidratio", "-0.1", Sampler::TraceIdRatio(1.0), true),
        ("parentbased_traceidratio", "NaN", Sampler::ParentBasedTraceIdRatio(1.0), true),
        ("traceidratio", "half", Sampler::TraceIdRatio(1.0), true),
    ] {
        with(&[("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", arg)], |environment| {
            assert_eq!(environment.sampler(), Some(sampler), "{name} {arg}");
            if warns {
                assert_warns(environment, "OTEL_TRACES_SAMPLER_ARG", arg, "1.0 is used");
            } else {
                assert!(environment.messages().is_empty());
            }
        });
    }
}

#[test]
fn resource_attributes_are_percent_decoded() {
    with(&[("OTEL_RESOURCE_ATTRIBUTES", "a=1, b = x%2Cy%C3%A9 ,c%3D=")], |environment| {
        let expected = [("a", "1"), ("b", "x,yé"), ("c=", "")];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(environment.resource_attributes(), expected);
    });
}

#[test]
fn one_wrong_resource_attribute_discards_all() {
    for wrong in ["a", "=b", "a=%4", "a=%ff", "commit=100%", "team=payments,commit=100%"] {
        with(&[("OTEL_RESOURCE_ATTRIBUTES", wrong)], |environment| {
            assert_eq!(environment.resource_attributes(), [], "{wrong}");
            assert_warns(environment, "OTEL_RESOURCE_ATTRIBUTES", wrong, "none of it is used");
        });
    }
}
