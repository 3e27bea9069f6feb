//! `#[health_check(..)]`: an async function that is registered as a check.

use crate::errors::Errors;
use crate::function::{Declared, Function};
use crate::settings::{crate_path, each, set_once, unknown, value};
use crate::values;
use proc_macro2::{Ident, Literal, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Attribute, LitBool, LitInt, LitStr, Path, ReturnType, Token};

/// The function, and beside it what registers it; or all that is wrong with that.
pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let function = match syn::parse2(item.clone()) {
        Ok(Declared::Function(function)) => Some(function),
        Ok(Declared::Bodiless(_)) | Err(_) => {
            errors.on(item, "`#[health_check]` goes on an async function: `async fn database() -> Result<(), Error> { .. }`");
            None
        }
    };
    let arguments = Arguments::parse(arguments, &mut errors);
    let model = function.map(|function| Model::build(&function, arguments, &mut errors));
    let registration = model.filter(|_| errors.len() == 0).as_ref().map(tokens);
    let errors = errors.into_tokens();
    quote!(#item #registration #errors)
}

/// What the attribute says.
#[derive(Default)]
struct Arguments {
    name: Option<LitStr>,
    probe: Option<Ident>,
    critical: Option<bool>,
    timeout: Option<LitStr>,
    every: Option<LitStr>,
    stale_after: Option<LitStr>,
    failures: Option<LitInt>,
    successes: Option<LitInt>,
    runtime: Option<Path>,
}

const KEYS: &[&str] = &[
    "readiness",
    "liveness",
    "startup",
    "name",
    "critical",
    "timeout",
    "every",
    "failures",
    "successes",
    "stale_after",
    "crate",
];

impl Arguments {
    fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut found = Self::default();
        each(tokens, errors, |key, input, _| match key.to_string().as_str() {
            "readiness" | "liveness" | "startup" => match &found.probe {
                None => {
                    found.probe = Some(key.clone());
                    Ok(())
                }
                Some(first) => Err(syn::Error::new(
                    key.span(),
                    format!(
                        "a check is for one probe, and this one is for `{first}` already: keep one, or write a second function"
                    ),
                )),
            },
            "name" => set_once(&mut found.name, key, value(key, input, "\"database\"")?),
            "critical" => set_once(&mut found.critical, key, flag(key, input)?),
            "timeout" => set_once(&mut found.timeout, key, value(key, input, "\"500ms\"")?),
            "every" => set_once(&mut found.every, key, value(key, input, "\"5s\"")?),
            "stale_after" => set_once(&mut found.stale_after, key, value(key, input, "\"30s\"")?),
            "failures" => set_once(&mut found.failures, key, value(key, input, "3")?),
            "successes" => set_once(&mut found.successes, key, value(key, input, "2")?),
            "crate" => set_once(&mut found.runtime, key, crate_path(key, input)?),
            _ => Err(unknown(key, KEYS)),
        });
        found
    }
}

/// `critical` or `critical = false`.
fn flag(key: &Ident, input: ParseStream<'_>) -> syn::Result<bool> {
    if !input.peek(Token![=]) {
        return Ok(true);
    }
    value::<LitBool>(key, input, "false").map(|given| given.value)
}

/// A check about which nothing is left to say.
struct Model {
    runtime: Path,
    /// A call of the function, where its return type stands: what is wrong with that is said there.
    call: TokenStream,
    /// Whether the function is there at all.
    cfgs: Vec<Attribute>,
    name: String,
    /// The method of the specification and its argument, for each setting that is given.
    settings: Vec<(Ident, TokenStream)>,
}

impl Model {
    fn build(function: &Function, arguments: Arguments, errors: &mut Errors) -> Self {
        let sig = &function.sig;
        if sig.asyncness.is_none() {
            errors.on(sig.fn_token, "a health check is an `async fn`: what it asks, it waits for");
        }
        if !sig.inputs.is_empty() {
            errors.on(
                &sig.inputs,
                "a health check takes nothing: one that needs state is a closure, registered at run time with \
                 `obs_runtime::health::check(\"name\").register(..)`",
            );
        }
        if !sig.generics.params.is_empty() {
            errors.on(&sig.generics, "a health check is one function, and has no generic parameters");
        }
        let called_otherwise = [sig.safety.to_token_stream(), sig.abi.to_token_stream()];
        for word in called_otherwise.into_iter().filter(|word| !word.is_empty()) {
            let message = format!("the runtime calls a health check, and calls no `{word}` function");
            errors.on(word, message);
        }
        let mut settings = Vec::new();
        if let Some(probe) = arguments.probe {
            let variant = match probe.to_string().as_str() {
                "liveness" => "Liveness",
                "startup" => "Startup",
                _ => "Readiness",
            };
            let variant = format_ident!("{variant}");
            settings.push(("probe", quote!(__obs::Probe::#variant)));
        }
        if arguments.critical == Some(false) {
            settings.push(("critical", quote!(false)));
        }
        for (method, given) in
            [("timeout", arguments.timeout), ("every", arguments.every), ("stale", arguments.stale_after)]
        {
            let nanos = given.and_then(|given| within_a_day(&given, errors)).map(Literal::u64_unsuffixed);
            settings.extend(nanos.map(|nanos| (method, quote!(__obs::Duration::from_nanos(#nanos)))));
        }
        for (method, given) in [("failures", arguments.failures), ("successes", arguments.successes)] {
            let count = given.and_then(|given| in_a_row(&given, errors)).map(Literal::u32_unsuffixed);
            settings.extend(count.map(|count| (method, quote!(#count))));
        }
        Self {
            runtime: arguments.runtime.unwrap_or_else(|| syn::parse_quote!(::obs_runtime)),
            call: called(function),
            cfgs: function
                .attrs
                .iter()
                .filter(|attribute| attribute.path().is_ident("cfg"))
                .cloned()
                .collect(),
            name: name(arguments.name.as_ref(), &sig.ident, errors),
            settings: settings
                .into_iter()
                .map(|(method, argument)| (format_ident!("{method}"), argument))
                .collect(),
        }
    }
}

fn called(function: &Function) -> TokenStream {
    let mut name = function.sig.ident.clone();
    let at = match &function.sig.output {
        ReturnType::Default => name.span(),
        ReturnType::Type(_, ty) => ty.span(),
    };
    name.set_span(name.span().located_at(at));
    quote_spanned!(at=> #name())
}

fn name(given: Option<&LitStr>, function: &Ident, errors: &mut Errors) -> String {
    let name = given.map_or_else(|| function.unraw().to_string(), LitStr::value);
    let fits = (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    if !fits {
        let message =
            "the name of a check is 1 to 64 ASCII letters, digits, `_`, `-` and `.`, such as \"users-db\"";
        match given {
            Some(given) => errors.on(given, message),
            None => errors.on(function, format!("{message}: give it one with `name = \"…\"`")),
        }
    }
    name
}

fn within_a_day(given: &LitStr, errors: &mut Errors) -> Option<u64> {
    const DAY: u64 = 86_400 * 1_000_000_000;
    let nanos = values::duration(given, errors)?;
    if nanos > DAY {
        errors.on(given, "this is longer than a day, and a check that is so slow tells nobody anything");
    }
    Some(nanos)
}

fn in_a_row(given: &LitInt, errors: &mut Errors) -> Option<u32> {
    let count = given.base10_parse().ok().filter(|count| *count > 0);
    if count.is_none() {
        errors.on(given, "so many runs in a row: a number from 1, such as `3`");
    }
    count
}

// Input:
//     #[health_check(liveness, every = "5s")]
//     async fn queue() -> Result<(), Error> { .. }
// Output, below the function as it was:
//     const _: () = {
//         use ::obs_runtime::__private as __obs;
//         const __SPEC: __obs::CheckSpec =
//             __obs::CheckSpec::new("queue").probe(__obs::Probe::Liveness).every(__obs::Duration::from_nanos(5000000000));
//         __obs::health_check!(__SPEC, queue());
//     };
fn tokens(model: &Model) -> TokenStream {
    let Model { runtime, call, cfgs, name, settings } = model;
    let settings = settings.iter().map(|(method, argument)| quote!(.#method(#argument)));
    quote! {
        #(#cfgs)*
        const _: () = {
            use #runtime::__private as __obs;
            const __SPEC: __obs::CheckSpec = __obs::CheckSpec::new(#name)#(#settings)*;
            __obs::health_check!(__SPEC, #call);
        };
    }
}
