use super::*;

fn otlp(variables: &[(&str, &str)], choices: &Choices) -> Result<Targets, InitError> {
    let lookup =
        |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    Environment::new(&lookup).otlp(choices)
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
        assert!(otlp(&[("OTEL_EXPORTER_OTLP_ENDPOINT", wrong)], &Choices::default()).is_err(), "{wrong}");
    }
    let secret = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:s3cret@collector:99999")];
    let error = otlp(&secret, &Choices::default()).expect_err("no port").to_string();
    assert!(error.contains("http://***@collector:99999") && !error.contains("s3cret"), "{error}");
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
    assert!(otlp(&[("OTEL_LOGS_EXPORTER", "file")], &Choices::default()).is_err());
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
fn wrong_settings_are_refused_by_name() {
    for (name, value, expected) in [
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "`gzip` or `none`"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "a number of milliseconds above zero"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "`http/protobuf`"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "no pair", "comma-separated `key=value`"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "never", "a number of milliseconds above zero"),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "authorization=Bearer s3cret%zz",
            "OTEL_EXPORTER_OTLP_HEADERS is \"***\"",
        ),
        ("OTEL_EXPORTER_OTLP_HEADERS", "b%C3%A4d name=1", "names and values that HTTP headers can have"),
    ] {
        let error = otlp(&[ALL, (name, value)], &Choices::default()).expect_err(value).to_string();
        assert!(error.starts_with(name) && error.contains(expected), "{error}");
    }
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
            let error = Environment::new(&lookup).otlp(&Choices::default()).expect_err(&name).to_string();
            assert!(error.starts_with(&format!("{name} is ")), "{error}");
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
        otlp(&[ALL, metrics, (name, right)], &Choices::default()).expect("valid");
        let error = otlp(&[ALL, metrics, (name, wrong)], &Choices::default()).expect_err(wrong).to_string();
        assert!(error.starts_with(name), "{error}");
        otlp(&[ALL, (name, wrong)], &Choices::default()).expect("of no matter where no metrics are sent");
    }
}

#[test]
fn a_smaller_queue_has_smaller_batches() {
    let lookup = |name: &str| (name == "OTEL_BSP_MAX_QUEUE_SIZE").then(|| "256".to_owned());
    let batching = Environment::new(&lookup).span_batching().expect("valid");
    assert_eq!((batching.max_queue_size, batching.max_export_batch_size), (256, 256));
    let lookup = |name: &str| match name {
        "OTEL_BSP_MAX_QUEUE_SIZE" => Some("256".to_owned()),
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE" => Some("257".to_owned()),
        _ => None,
    };
    assert!(Environment::new(&lookup).span_batching().is_err());
}

#[test]
#[cfg(not(feature = "otlp-tls"))]
fn without_tls_https_names_the_feature() {
    let https = [("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318")];
    let error = otlp(&https, &Choices::default()).expect_err("no TLS").to_string();
    assert!(error.contains("`otlp-tls`"), "{error}");
}

#[test]
#[cfg(not(feature = "otlp-grpc"))]
fn without_grpc_it_names_the_feature() {
    let grpc = [ALL, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
    let error = otlp(&grpc, &Choices::default()).expect_err("no gRPC").to_string();
    assert!(error.contains("`otlp-grpc`"), "{error}");
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
        let error = otlp(&[https, (name, value)], &Choices::default()).expect_err(name).to_string();
        assert!(error.contains("PEM file"), "{error}");
    }
}
