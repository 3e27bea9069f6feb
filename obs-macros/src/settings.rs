//! What every attribute of ours is made of: `key`, `key = value` and `key(..)`, separated by commas.

use crate::errors::Errors;
use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Path, Token};

/// Reads `key…, key…` and hands each key to `one`, which parses the rest of its setting.
///
/// A mistake in one setting does not hide the next: it is noted, and reading goes on after the comma.
pub(crate) fn each(
    tokens: TokenStream,
    errors: &mut Errors,
    mut one: impl FnMut(&Ident, ParseStream<'_>, &mut Errors) -> syn::Result<()>,
) {
    let read = |input: ParseStream<'_>| {
        while !input.is_empty() {
            let setting = Ident::parse_any(input).and_then(|key| {
                one(&key, input, errors)?;
                if input.is_empty() || input.peek(Token![,]) {
                    Ok(())
                } else {
                    Err(input.error(format!("expected `,` after `{key}`")))
                }
            });
            errors.keep(setting);
            skip_to_comma(input);
        }
        Ok(())
    };
    // Each mistake is a note by now, so the parser itself does not fail.
    let read_all = read.parse2(tokens);
    debug_assert!(read_all.is_ok());
}

fn skip_to_comma(input: ParseStream<'_>) {
    while !input.is_empty() {
        if input.parse::<Option<Token![,]>>().is_ok_and(|comma| comma.is_some()) {
            return;
        }
        if input.parse::<TokenTree>().is_err() {
            return;
        }
    }
}

/// Fills a setting that may be given once.
pub(crate) fn set_once<T>(slot: &mut Option<T>, key: &Ident, value: T) -> syn::Result<()> {
    if slot.is_some() {
        return Err(syn::Error::new(key.span(), format!("`{key}` is given twice; keep one")));
    }
    *slot = Some(value);
    Ok(())
}

/// Parses `= value`, with a message that shows how to write it.
pub(crate) fn value<T: syn::parse::Parse>(
    key: &Ident,
    input: ParseStream<'_>,
    example: &str,
) -> syn::Result<T> {
    let taught = |at: proc_macro2::Span| {
        syn::Error::new(at, format!("`{key}` takes a value: write `{key} = {example}`"))
    };
    if !input.peek(Token![=]) {
        return Err(taught(key.span()));
    }
    input.parse::<Token![=]>()?;
    if input.is_empty() || input.peek(Token![,]) {
        return Err(taught(key.span()));
    }
    let at = input.span();
    input.parse().map_err(|_| taught(at))
}

/// The tokens inside `key( .. )`.
pub(crate) fn list(key: &Ident, input: ParseStream<'_>, example: &str) -> syn::Result<TokenStream> {
    if !input.peek(syn::token::Paren) {
        return Err(syn::Error::new(key.span(), format!("`{key}` takes a list: write `{key}({example})`")));
    }
    let content;
    syn::parenthesized!(content in input);
    content.parse()
}

/// Parses the path of `crate = path`, which must mean the same wherever the expansion stands.
pub(crate) fn crate_path(key: &Ident, input: ParseStream<'_>) -> syn::Result<Path> {
    input
        .parse::<Token![=]>()
        .map_err(|_| syn::Error::new(key.span(), "`crate` takes a path: write `crate = ::obs_runtime`"))?;
    let path = Path::parse_mod_style(input)?;
    let absolute =
        path.leading_colon.is_some() || path.segments.first().is_some_and(|first| first.ident == "crate");
    if absolute {
        return Ok(path);
    }
    let written = path.segments.iter().map(|s| s.ident.to_string()).collect::<Vec<_>>().join("::");
    Err(syn::Error::new_spanned(
        &path,
        format!(
            "a relative path could mean something else inside the function: write `::{written}` or `crate::{written}`"
        ),
    ))
}

/// An unknown key: names the nearest valid one, and lists all.
pub(crate) fn unknown(key: &Ident, valid: &[&str]) -> syn::Error {
    let written = key.to_string();
    let nearest = valid
        .iter()
        .map(|candidate| (distance(&written, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= candidate.len() / 2)
        .map_or_else(|| ".".to_owned(), |(_, candidate)| format!("; did you mean `{candidate}`?"));
    let all = valid.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    syn::Error::new(key.span(), format!("unknown argument `{written}`{nearest} Valid: {all}"))
}

/// A key of another macro: says what to write instead. What comes with it is passed over.
pub(crate) fn foreign(key: &Ident, input: ParseStream<'_>, instead: &str) -> syn::Error {
    while !input.is_empty() && !input.peek(Token![,]) {
        if input.parse::<TokenTree>().is_err() {
            break;
        }
    }
    syn::Error::new(key.span(), format!("`{key}` is not an argument of `observe`: {instead}"))
}

/// Levenshtein distance.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, r) in right.bytes().enumerate() {
            let substituted = diagonal + usize::from(l != r);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}
