//! Attribute macros that rewrite the function we were to observe: they go first.

use crate::args::Args;
use proc_macro2::TokenStream;
use quote::quote;
use syn::Attribute;
use syn::parse::{Parse, ParseStream, Parser};

/// Attributes that are no macros, or macros that take a function as we leave it.
const PASSIVE: &[&str] = &[
    "allow",
    "async_recursion",
    "async_trait",
    "automatically_derived",
    "bench",
    "cfg",
    "cfg_attr",
    "cold",
    "coverage",
    "debug_handler",
    "deny",
    "deprecated",
    "derive",
    "doc",
    "expect",
    "export_name",
    "forbid",
    "ignore",
    "inline",
    "instruction_set",
    "link_section",
    "macro_export",
    "macro_use",
    "main",
    "must_use",
    "naked",
    "no_mangle",
    "observe",
    "panic_handler",
    "path",
    "proc_macro",
    "proc_macro_attribute",
    "proc_macro_derive",
    "should_panic",
    "target_feature",
    "test",
    "track_caller",
    "unsafe",
    "warn",
];

/// Tools whose attributes are not macros.
const TOOLS: &[&str] = &["clippy", "diagnostic", "miri", "rust_analyzer", "rustdoc", "rustfmt"];

/// If another macro stands below our attribute, the item with ours moved behind it, as the last.
pub(super) fn after_other_macros(
    args: &Args,
    arguments: &TokenStream,
    item: &TokenStream,
) -> Option<TokenStream> {
    if args.last {
        return None;
    }
    let split =
        |input: ParseStream<'_>| Ok((input.call(Attribute::parse_outer)?, TokenStream::parse(input)?));
    let (attributes, rest) = split.parse2(item.clone()).ok()?;
    if attributes.iter().all(is_passive) {
        return None;
    }
    let observe = args.runtime.as_ref().map_or_else(|| quote!(::obs_runtime), |runtime| quote!(#runtime));
    Some(quote!(#(#attributes)* #[#observe::observe(__last, #arguments)] #rest))
}

fn is_passive(attribute: &Attribute) -> bool {
    let segments = &attribute.path().segments;
    let named = |segment: Option<&syn::PathSegment>, names: &[&str]| {
        segment.is_some_and(|segment| names.iter().any(|name| segment.ident == name))
    };
    named(segments.last(), PASSIVE) || (segments.len() > 1 && named(segments.first(), TOOLS))
}
