use super::*;

fn otlp(variables: &[(&str, &str)], choices: &Choices) -> Result<Targets, InitError> {
    let lookup =
        |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    Environment::new(&lookup).otlp(choices)
}

/// The targets, and the messages of the values that are not used.
fn messages(variables: &[(&str, &str)]) -> (Targets, Vec<String>) {
    let lookup =
        |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    let environment = Environment::new(&lookup);
    let targets = environment.otlp(&Choices::default()).expect("no variable stops the start");
    (targets, environment.messages())
}

/// The error of an endpoint that is set in code.
fn error_of(endpoint: &str) -> String {
    let choices = Choices { endpoint: Some(endpoint.to_owned()), ..Choices::default() };
    otlp(&[], &choices).expect_err(endpoint).to_string()
}

fn traces_url(variables: &[(&str, &str)]) -> Option<String> {
    let targets = otlp(variables, &Choices::default()).expect("valid");
    targets.traces.map(|target| target.url.to_string())
}

const ALL: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");

#[test]
fn endpoints_follow_the_exporter_specification() {
    let traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:1/as/given");
    assert_eq!(traces_url(&[]), None);
    assert_eq!(traces_url(&[ALL]).as_deref(), Some("http://collector:4318/v1/traces"));
    assert_eq!(traces_url(&[ALL, traces]).as_deref(), Some("http://traces:1/as/given"));
    assert_eq!(traces_url(&[ALL, ("OTEL_TRACES_EXPORTER", "none")]), None);
    assert_eq!(
        traces_url(&[("OTEL_TRACES_EXPORTER", "otlp")]).as_deref(),
        Some("http://localhost:4318/v1/traces"),
        "the usual place, if it is asked for"
    );
    for wrong in [
        "collector:4318",
        "ftp://collector:4318",
        "http://",
        "http:///x",
        "http://collector:99999",
        "http://[::1]:x",
        "http://collector:4318?key=1",
    ] {
        assert!(error_of(wrong).starts_with("otlp_endpoint is "), "{wrong}");
        let (targets, messages) = messages(&[("OTEL_EXPORTER_OTLP_ENDPOINT", wrong)]);
        assert!(targets.traces.is_none(), "{wrong}: nor do they go to the usual place");
        let expected = format!("ERROR OTEL_EXPORTER_OTLP_ENDPOINT is {wrong:?}; it takes ");
        assert!(messages.len() == 1 && messages[0].starts_with(&expected), "{messages:?}");
        assert!(messages[0].ends_with("; traces are not exported"), "{messages:?}");
    }
    let secret = "http://me:s3cret@collector:99999";
    let (_, messages) = messages(&[("OTEL_EXPORTER_OTLP_ENDPOINT", secret)]);
    for text in [error_of(secret), messages[0].clone()] {
        assert!(text.contains("http://***@collector:99999") && !text.contains("s3cret"), "{text}");
    }
}

#[test]
fn logs_and_metrics_are_sent_if_that_is_asked_for() {
    let targets = otlp(&[ALL], &Choices::default()).expect("valid");
    assert!(targets.logs.is_none() && targets.metrics.is_none());
    let asked = [ALL, ("OTEL_LOGS_EXPORTER", "otlp,console"), ("OTEL_METRICS_EXPORTER", "otlp")];
    let targets = otlp(&asked, &Choices::default()).expect("valid");
    assert_eq!(targets.logs.expect("asked for").url, "http://collector:4318/v1/logs");
    assert_eq!(targets.metrics.expect("asked for").url, "http://collector:4318/v1/metrics");
    let choices = Choices { logs: Some(false), metrics: Some(true), ..Choices::default() };
    let targets = otlp(&asked[..2], &choices).expect("valid");
    assert!(targets.logs.is_none() && targets.metrics.is_some(), "code goes before the environment");
}

#[test]
fn an_unknown_exporter_costs_itself_alone() {
    let traces = |value: &str| {
        let (targets, messages) = messages(&[ALL, ("OTEL_TRACES_EXPORTER", value)]);
        (targets.traces.is_some(), messages)
    };
    for (value, unknown) in [("console", "console"), ("OTLP,Zipkin", "Zipkin"), ("jaeger,otlp", "jaeger")] {
        let (sent, messages) = traces(value);
        assert!(sent, "{value}");
        let expected = format!("WARN OTEL_TRACES_EXPORTER is {unknown:?}; it takes `otlp` or `none`; ");
        assert!(messages.len() == 1 && messages[0].starts_with(&expected), "{messages:?}");
    }
    assert_eq!(traces("None"), (false, Vec::new()));
    let (targets, found) =
        messages(&[ALL, ("OTEL_LOGS_EXPORTER", "file"), ("OTEL_METRICS_EXPORTER", "statsd")]);
    assert!(targets.logs.is_none() && targets.metrics.is_none());
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn an_endpoint_of_one_signal_disables_that_signal_alone() {
    let logs = ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "nowhere");
    let (targets, messages) = messages(&[ALL, ("OTEL_LOGS_EXPORTER", "otlp"), logs]);
    assert!(targets.traces.is_some() && targets.logs.is_none());
    assert!(messages[0].starts_with("ERROR OTEL_EXPORTER_OTLP_LOGS_ENDPOINT is \"nowhere\""), "{messages:?}");
    assert!(messages[0].ends_with("; logs are not exported"), "{messages:?}");
}

#[test]
fn what_is_set_for_a_signal_goes_before_what_is_set_for_all() {
    let variables = [
        ALL,
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "5000"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "250"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20all,x-a=1"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "authorization=Bearer%20traces"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
    ];
    let choices = Choices { headers: vec![("X-B".to_owned(), "2".to_owned())], ..Choices::default() };
    let targets = otlp(&variables, &choices).expect("valid");
    let (traces, logs) = (targets.traces.expect("sent"), targets.logs.expect("sent"));
    assert_eq!((traces.timeout, logs.timeout), (Duration::from_millis(250), Duration::from_secs(5)));
    assert_eq!((traces.compression, logs.compression), (OtlpCompression::None, OtlpCompression::Gzip));
    let headers = |target: &Target| {
        let pair =
            |(name, value): &(HeaderName, HeaderValue)| format!("{name}={}", value.to_str().expect("text"));
        target.headers.iter().map(pair).collect::<Vec<_>>()
    };
    assert_eq!(headers(&traces), ["authorization=Bearer traces", "x-b=2"]);
    assert_eq!(headers(&logs), ["authorization=Bearer all", "x-a=1", "x-b=2"]);
    assert!(!format!("{traces:?}").contains("Bearer"), "headers may be secrets");
}

#[test]
fn a_wrong_value_counts_as_unset() {
    let default = |target: &Target| {
        (target.timeout, target.compression, target.protocol, target.headers.len())
            == (DEFAULT_TIMEOUT, OtlpCompression::None, OtlpProtocol::HttpProtobuf, 0)
    };
    for (name, value, expected) in [
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "`gzip` or `none`"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "brotli", "`gzip` or `none`"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "a number of milliseconds, 1 to 2147483647"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "a number of milliseconds"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1", "a number of milliseconds"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "18446744073709551615", "a number of milliseconds"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "`http/protobuf`"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "thrift", "`http/protobuf`"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "never", "a number of milliseconds"),
    ] {
        let (targets, messages) = messages(&[ALL, (name, value)]);
        assert!(default(&targets.traces.expect("sent")), "{name}={value}");
        assert_eq!(messages.len(), 1, "{messages:?}");
        let start = format!("WARN {name} is {value:?}; it takes {expected}");
        assert!(messages[0].starts_with(&start), "{messages:?}");
    }
    let own_is_wrong =
        [ALL, ("OTEL_EXPORTER_OTLP_TIMEOUT", "500"), ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "x")];
    let (targets, _) = messages(&own_is_wrong);
    assert_eq!(targets.traces.expect("sent").timeout, Duration::from_millis(500), "the one for all counts");
    let upper =
        [ALL, ("OTEL_EXPORTER_OTLP_PROTOCOL", "HTTP/Protobuf"), ("OTEL_EXPORTER_OTLP_COMPRESSION", "GZIP")];
    let (targets, messages) = messages(&upper);
    assert_eq!(targets.traces.expect("sent").compression, OtlpCompression::Gzip);
    assert!(messages.is_empty(), "{messages:?}");
}

#[test]
fn a_wrong_header_is_left_out_and_not_shown() {
    let headers = "authorization=Bearer s3cret%zz,x-a=1,no pair,b%C3%A4d name=2,x-b=two%20words,";
    let (targets, messages) = messages(&[ALL, ("OTEL_EXPORTER_OTLP_HEADERS", headers)]);
    let target = targets.traces.expect("sent");
    let names: Vec<&str> = target.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["x-a", "x-b"]);
    assert_eq!(messages.len(), 1, "one line for the variable: {messages:?}");
    assert!(messages[0].starts_with("WARN OTEL_EXPORTER_OTLP_HEADERS is \"***\"; it takes "), "{messages:?}");
    let choices = Choices {
        endpoint: Some("http://collector:4318".to_owned()),
        headers: vec![("bad name".to_owned(), "1".to_owned())],
        ..Choices::default()
    };
    let error = otlp(&[], &choices).expect_err("code is strict").to_string();
    assert!(error.starts_with("otlp_header is \"bad name\""), "{error}");
}

#[test]
#[cfg(all(feature = "otlp-grpc", feature = "otlp-tls"))]
fn each_setting_has_a_variable_for_each_signal_and_one_for_all() {
    // Each is wrong, which is said where it is read.
    let settings = [
        ("ENDPOINT", "ftp://collector"),
        ("PROTOCOL", "smoke"),
        ("COMPRESSION", "zstd"),
        ("HEADERS", "no pair"),
        ("TIMEOUT", "soon"),
        ("INSECURE", "perhaps"),
        ("CERTIFICATE", "/no/such.pem"),
        ("CLIENT_CERTIFICATE", "/no/such.pem"),
        ("CLIENT_KEY", "/no/such.pem"),
    ];
    for signal in ["", "TRACES_", "LOGS_", "METRICS_"] {
        for (setting, wrong) in settings {
            let name = format!("OTEL_EXPORTER_OTLP_{signal}{setting}");
            let endpoint = if setting == "INSECURE" { "collector:4317" } else { "https://collector:4317" };
            let value = |asked: &str| match asked {
                _ if asked == name => Some(wrong),
                "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(endpoint),
                "OTEL_EXPORTER_OTLP_PROTOCOL" => Some("grpc"),
                "OTEL_LOGS_EXPORTER" | "OTEL_METRICS_EXPORTER" => Some("otlp"),
                _ => None,
            };
            let lookup = |asked: &str| value(asked).map(str::to_owned);
            let environment = Environment::new(&lookup);
            let targets = environment.otlp(&Choices::default()).expect("it starts");
            let messages = environment.messages();
            let said = messages.iter().all(|message| message.contains(&format!(" {name} is ")));
            assert!(said && !messages.is_empty(), "{name}: {messages:?}");
            let sent = [targets.traces, targets.logs, targets.metrics].into_iter().flatten().count();
            let disables =
                setting == "ENDPOINT" || setting.ends_with("CERTIFICATE") || setting.ends_with("KEY");
            let expected = if disables { if signal.is_empty() { 0 } else { 2 } } else { 3 };
            assert_eq!(sent, expected, "{name}");
            assert_eq!(messages[0].starts_with("ERROR "), disables, "{messages:?}");
        }
    }
}

#[test]
fn metrics_are_sent_in_the_one_form_that_there_is() {
    let metrics = ("OTEL_METRICS_EXPORTER", "otlp");
    for (name, right, wrong) in [
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Cumulative", "delta"),
        (
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
            "explicit_bucket_histogram",
            "base2_exponential_bucket_histogram",
        ),
    ] {
        assert!(messages(&[ALL, metrics, (name, right)]).1.is_empty(), "{right}");
        let (targets, found) = messages(&[ALL, metrics, (name, wrong)]);
        assert!(targets.metrics.is_some() && found[0].starts_with(&format!("WARN {name} is ")), "{found:?}");
        assert!(messages(&[ALL, (name, wrong)]).1.is_empty(), "of no matter where no metrics are sent");
    }
}

#[test]
fn batches_are_at_most_as_large_as_the_queue() {
    let default = crate::export::spans::BATCHING;
    let (queue, batch) = ("OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE");
    for (variables, expected, warns) in [
        (&[(queue, "256")][..], (256, 256), &[][..]),
        (&[(queue, "256"), (batch, "257")], (256, 256), &[batch]),
        (&[(queue, "100"), (batch, "10")], (100, 10), &[]),
        (&[(queue, "0")], (default.max_queue_size, default.max_export_batch_size), &[queue]),
        (
            &[(queue, "many"), (batch, "-1")],
            (default.max_queue_size, default.max_export_batch_size),
            &[queue, batch],
        ),
        (
            &[("OTEL_BSP_SCHEDULE_DELAY", "soon")],
            (default.max_queue_size, default.max_export_batch_size),
            &["OTEL_BSP_SCHEDULE_DELAY"],
        ),
    ] {
        let lookup =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let environment = Environment::new(&lookup);
        let batching = environment.span_batching();
        assert_eq!((batching.max_queue_size, batching.max_export_batch_size), expected, "{variables:?}");
        assert_eq!(batching.schedule_delay, default.schedule_delay);
        let messages = environment.messages();
        assert_eq!(messages.len(), warns.len(), "{messages:?}");
        for (message, name) in messages.iter().zip(warns) {
            assert!(message.starts_with(&format!("WARN {name} is ")), "{message}");
        }
    }
}

#[test]
#[cfg(not(feature = "otlp-tls"))]
fn without_tls_https_names_the_feature() {
    let https = [("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318")];
    let (targets, messages) = messages(&https);
    assert!(targets.traces.is_none() && messages[0].contains("`otlp-tls`"), "{messages:?}");
}

#[test]
#[cfg(not(feature = "otlp-grpc"))]
fn without_grpc_it_names_the_feature() {
    let grpc = [ALL, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
    let (targets, messages) = messages(&grpc);
    assert!(targets.traces.is_some() && messages[0].contains("`otlp-grpc`"), "{messages:?}");
}

#[test]
#[cfg(all(feature = "otlp-grpc", feature = "otlp-tls"))]
fn a_grpc_endpoint_without_a_scheme_is_tls_unless_said_otherwise() {
    let bare = [("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
    assert_eq!(traces_url(&bare).as_deref(), Some("https://collector:4317/"));
    let insecure = [bare[0], bare[1], ("OTEL_EXPORTER_OTLP_INSECURE", "true")];
    assert_eq!(traces_url(&insecure).as_deref(), Some("http://collector:4317/"));
}

#[test]
#[cfg(feature = "otlp-tls")]
fn files_for_tls_are_read_at_the_start() {
    let https = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318");
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/there/is/no/such.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/dev/null"),
    ] {
        let (targets, messages) = messages(&[https, (name, value)]);
        assert!(targets.traces.is_none() && messages[0].contains("PEM file"), "{messages:?}");
    }
}
