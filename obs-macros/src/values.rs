//! Checks of single values: each mistake is reported at its literal.

use crate::errors::Errors;
use proc_macro2::{Ident, Span};
use quote::format_ident;
use syn::{Expr, Lit, LitStr};

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
        let number = match &bound {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Float(float) => float.base10_parse::<f64>().ok(),
                Lit::Int(int) => int.base10_parse::<f64>().ok(),
                _ => None,
            },
            _ => None,
        };
        match number {
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
