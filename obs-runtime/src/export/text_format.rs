//! `OpenMetrics` text as the older Prometheus text format 0.0.4.
//!
//! They differ little: the older one names a counter with its `_total`, has no units, no exemplars
//! and no end mark, and knows fewer types.

/// Converts what `prometheus-client` writes, and appends it.
pub(super) fn to_prometheus_text(openmetrics: &str, out: &mut String) {
    let mut help: Option<(&str, &str)> = None;
    for line in openmetrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            // Which name it belongs to depends on the type, which comes next.
            help = rest.split_once(' ').or(Some((rest, "")));
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                "gaugehistogram" | "stateset" => ("", "gauge"),
                kind => ("", kind),
            };
            if let Some((_, text)) = help.take().filter(|(helped, _)| *helped == name) {
                out.extend(["# HELP ", name, suffix, " ", text, "\n"]);
            }
            out.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
        } else if !line.starts_with('#') {
            out.extend([without_exemplar(line), "\n"]);
        }
    }
}

/// A sample up to the ` # ` of its exemplar, which may also stand inside a quoted label value.
fn without_exemplar(line: &str) -> &str {
    let (mut quoted, mut escaped) = (false, false);
    for (i, byte) in line.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'#' if !quoted => return line[..i].trim_end(),
            _ => {}
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_types_and_exemplars_follow_the_older_format() {
        let openmetrics = "\
# HELP calls Calls by \"kind\".
# TYPE calls counter
calls_total{kind=\"a # {b=\\\"c\\\"}\"} 3
# HELP took_seconds Time.
# TYPE took_seconds histogram
# UNIT took_seconds seconds
took_seconds_bucket{le=\"+Inf\"} 1 # {trace_id=\"1\"} 0.5
# TYPE build info
build_info{version=\"1\"} 1
# EOF
";
        let expected = "\
# HELP calls_total Calls by \"kind\".
# TYPE calls_total counter
calls_total{kind=\"a # {b=\\\"c\\\"}\"} 3
# HELP took_seconds Time.
# TYPE took_seconds histogram
took_seconds_bucket{le=\"+Inf\"} 1
# TYPE build_info gauge
build_info{version=\"1\"} 1
";
        let mut converted = String::new();
        to_prometheus_text(openmetrics, &mut converted);
        assert_eq!(converted, expected);
    }
}
