//! Checks of single values: each mistake is reported at its literal.

use crate::args::{LevelArg, SloArg};
use crate::errors::Errors;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use syn::{Expr, ExprArray, Lit, LitStr};

/// Metric names by the Prometheus data model, less the colon, which is for recording rules.
pub(crate) fn metric_name(given: &LitStr, errors: &mut Errors) -> Option<String> {
    let name = given.value();
    let problem = if !is_metric_identifier(&name) {
        "`metric` is a Prometheus name: ASCII letters, digits and `_`, not starting with a digit, such as \"payments\""
    } else if ["_total", "_seconds", "_calls"].iter().any(|suffix| name.ends_with(suffix)) {
        "`metric` is the stem of a name: `_calls_total` and `_duration_seconds` are added to it"
    } else {
        return Some(name);
    };
    errors.on(given, problem);
    None
}

pub(crate) fn is_metric_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// One of a few words, as the variant it stands for.
pub(crate) fn choice(
    given: Option<&LitStr>,
    key: &str,
    words: &[(&str, &str)],
    errors: &mut Errors,
) -> Option<Ident> {
    let given = given?;
    let written = given.value().to_ascii_lowercase();
    if let Some((_, variant)) = words.iter().find(|(word, _)| *word == written) {
        return Some(format_ident!("{variant}"));
    }
    let valid = words.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    errors.on(given, format!("`{key}` is one of {valid}"));
    None
}

const LEVELS: &[(&str, &str)] =
    &[("trace", "TRACE"), ("debug", "DEBUG"), ("info", "INFO"), ("warn", "WARN"), ("error", "ERROR")];

/// A level in any of its forms, as the constant of `tracing`'s `Level` that it stands for.
pub(crate) fn level(given: Option<&LevelArg>, errors: &mut Errors) -> Option<TokenStream> {
    let named = |name: Ident| quote!(__obs::Level::#name);
    match given? {
        LevelArg::Word(word) => choice(Some(word), "level", LEVELS, errors).map(named),
        LevelArg::Number(number) => {
            let place = number.base10_parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            let level = place.and_then(|place| LEVELS.get(place));
            if level.is_none() {
                errors.on(number, "`level` is 1 for trace to 5 for error, or a word such as \"info\"");
            }
            level.map(|(_, constant)| named(format_ident!("{constant}")))
        }
        LevelArg::Path(path) => Some(quote!(#path)),
    }
}

/// A service-level objective.
pub(crate) struct Slo {
    pub(crate) latency_nanos: Option<u64>,
    /// The share of calls that are to be good.
    pub(crate) objective: f64,
}

/// The bounds that a function has unless it says otherwise, in seconds.
const DEFAULT_BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// An objective, whose latency has to be a bucket: only then is it known how many calls were within.
pub(crate) fn slo(given: &SloArg, buckets: Option<&ExprArray>, errors: &mut Errors) -> Option<Slo> {
    let own = buckets.map(|array| array.elems.iter().filter_map(number).collect::<Vec<f64>>());
    let bounds = own.as_deref().unwrap_or(DEFAULT_BUCKETS);
    let latency = given.latency.as_ref().and_then(|latency| Some((latency, duration(latency, errors)?)));
    if let Some((latency, nanos)) = latency {
        #[allow(clippy::cast_precision_loss, reason = "compared with room to spare")]
        let seconds = nanos as f64 / 1e9;
        if !bounds.iter().any(|bound| (bound - seconds).abs() <= bound * 1e-9) {
            let bounds = bounds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            errors.on(
                latency,
                format!("the latency of an objective is a bucket's bound, so that calls within it are counted: one of {bounds} seconds, or add it to `buckets`"),
            );
        }
    }
    let Some(objective) = &given.objective else {
        errors.at(
            given.span.unwrap_or_else(Span::call_site),
            "`slo` needs the share of good calls in per cent: write `slo(latency = \"250ms\", objective = 99.9)`",
        );
        return None;
    };
    let percent = literal_number(objective).filter(|percent| *percent > 0.0 && *percent < 100.0);
    if percent.is_none() {
        errors.on(objective, "an objective is a share in per cent, above 0 and below 100, such as `99.9`");
    }
    // Of 99.9 per cent, 0.999, and not what floats make of that.
    let objective = (percent? * 1e6).round() / 1e8;
    Some(Slo { latency_nanos: latency.map(|(_, nanos)| nanos), objective })
}

/// The number that an expression is.
fn number(value: &Expr) -> Option<f64> {
    match value {
        Expr::Lit(literal) => literal_number(&literal.lit),
        _ => None,
    }
}

fn literal_number(literal: &Lit) -> Option<f64> {
    match literal {
        Lit::Float(float) => float.base10_parse().ok(),
        Lit::Int(int) => int.base10_parse().ok(),
        _ => None,
    }
}

/// `"500ms"` in nanoseconds.
pub(crate) fn duration(given: &LitStr, errors: &mut Errors) -> Option<u64> {
    const UNITS: &[(&str, f64)] = &[("ns", 1.0), ("us", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9)];
    let text = given.value();
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number = text[..text.len() - unit.len()].parse::<f64>();
    let scale = UNITS.iter().find(|(name, _)| *name == unit.trim());
    if let (Ok(number), Some((_, scale))) = (number, scale) {
        let nanos = number * scale;
        if (1.0..1e18).contains(&nanos) {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
            return Some(nanos as u64);
        }
    }
    errors.on(
        given,
        "a duration above zero is a number and a unit of `ns`, `us`, `ms`, `s` or `m`, such as \"500ms\"",
    );
    None
}

/// A duration, or `off`, which is the longest there is.
pub(crate) fn duration_or_off(given: &LitStr, errors: &mut Errors) -> Option<u64> {
    if given.value() == "off" { Some(u64::MAX) } else { duration(given, errors) }
}

/// Histogram bounds: finite, above zero, ascending, each checked at its own literal.
pub(crate) fn buckets(bounds: Vec<Expr>, errors: &mut Errors) -> Vec<Expr> {
    if bounds.is_empty() {
        errors.at(
            Span::call_site(),
            "`buckets` needs at least one bound, such as `buckets = [0.01, 0.1, 1.0]`",
        );
    }
    let mut last = 0.0;
    let mut checked = Vec::new();
    for bound in bounds {
        match number(&bound) {
            None => errors.on(&bound, "a bucket bound is a number of seconds, such as `0.25`"),
            Some(number) if !number.is_finite() || number <= 0.0 => {
                errors.on(&bound, "a bucket bound is a finite number of seconds above zero");
            }
            Some(number) if number <= last => {
                errors.on(&bound, format!("bucket bounds ascend: {number} comes after {last}"));
            }
            Some(number) => {
                last = number;
                let literal = proc_macro2::Literal::f64_unsuffixed(number);
                checked.push(syn::parse_quote!(#literal));
            }
        }
    }
    checked
}
