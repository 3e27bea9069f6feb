//! The expansion is a pure function, so it is tested as one: `examples/expanded/` holds, beside each
//! source, exactly what the macros make of it. `BLESS=1 cargo test -p obs-macros` refreshes them.

use crate::{expand, health, label};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use std::path::{Path, PathBuf};
use std::{env, fs};
use syn::{Attribute, Item, Meta};

#[test]
fn expansions_are_as_documented() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/expanded");
    let mut sources: Vec<PathBuf> = fs::read_dir(directory)
        .expect("the examples")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter(|path| path.file_stem().is_some_and(|stem| !stem.to_string_lossy().contains('.')))
        .filter(|path| path.file_name().is_some_and(|name| name != "main.rs"))
        .collect();
    sources.sort();
    assert!(!sources.is_empty());
    for source in sources {
        let expanded = expand_file(&fs::read_to_string(&source).expect("readable"));
        let golden = source.with_extension("expanded.rs");
        if env::var_os("BLESS").is_some() {
            fs::write(&golden, &expanded).expect("writable");
        }
        let documented = fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(documented, expanded, "{} is not the expansion", golden.display());
    }
}

#[test]
fn a_small_function_stays_small() {
    let sync = expand_file("#[observe] fn add(left: u32, right: u32) -> u32 { left + right }");
    assert!(sync.lines().count() <= 15, "{sync}");
    let future = expand_file(
        "#[observe(labels(method, retry: bool = attempt > 1), fields(%order), err(kind = PaymentError))]
         async fn charge(order: &str, method: Method, attempt: u32) -> Result<u64, PaymentError> { Ok(1) }",
    );
    assert!(future.lines().count() <= 45, "{future}");
}

#[test]
fn with_a_mistake_the_function_is_still_there() {
    for (arguments, item) in [
        (
            quote!(nonsense),
            quote!(
                fn kept(x: u32) -> u32 {
                    x
                }
            ),
        ),
        (quote!(), quote!(fn kept(x: u32) -> u32 { x. })),
        (
            quote!(),
            quote!(
                const fn kept() {}
            ),
        ),
        (
            quote!(),
            quote!(
                struct Kept;
            ),
        ),
    ] {
        let expanded = expand::observe(&arguments, &item).to_string();
        let kept = item.to_string();
        let name = if kept.contains("Kept") { "struct Kept" } else { "fn kept" };
        assert!(expanded.contains(name), "{expanded}");
    }
}

#[test]
fn what_is_off_is_still_named() {
    let off = |arguments, item: &TokenStream| expand::plain(arguments, item.clone()).to_string();
    let item = quote!(
        fn charge(order: &Order, method: Method) -> Option<u32> {
            None
        }
    );
    assert_eq!(off(quote!(slow = "1s"), &item), item.to_string());
    assert_eq!(off(quote!(nonsense), &item), item.to_string());
    let arguments = quote!(
        level = Level::INFO,
        fields(id = order.id, kind = "card"),
        labels(method, found: bool = ret => ret.is_some()),
    );
    let named = quote!(
        fn charge(order: &Order, method: Method) -> Option<u32> {
            if false {
                let _ = &Level::INFO;
                let _ = &order.id;
                let _: &Method = &method;
                {
                    let ret = ::obs_runtime::__private::never::<&Option<u32>>();
                    let _: &bool = &ret.is_some();
                }
            }
            { None }
        }
    );
    // Whether `>>` is one token depends on the version of `proc-macro2`.
    assert_eq!(off(arguments, &item).replace(' ', ""), named.to_string().replace(' ', ""));
}

/// Expands our macros in a file, and leaves the rest as it is.
fn expand_file(source: &str) -> String {
    let file = syn::parse_file(source).expect("Rust");
    let mut tokens = TokenStream::new();
    for attribute in &file.attrs {
        attribute.to_tokens(&mut tokens);
    }
    for item in file.items {
        tokens.extend(expand_item(item));
    }
    prettyplease::unparse(&syn::parse2(tokens).expect("Rust"))
}

fn expand_item(item: Item) -> TokenStream {
    match item {
        Item::Fn(mut function) => match take(&mut function.attrs, "observe") {
            Some(arguments) => expand::observe(&arguments, &function.into_token_stream()),
            None if function.attrs.iter().any(|attribute| attribute.path().is_ident("health_check")) => {
                let arguments = take(&mut function.attrs, "health_check").unwrap_or_default();
                health::expand(arguments, &function.into_token_stream())
            }
            None => function.into_token_stream(),
        },
        Item::Impl(mut block) => match take(&mut block.attrs, "observe") {
            Some(arguments) => expand::observe(&arguments, &block.into_token_stream()),
            None => block.into_token_stream(),
        },
        Item::Trait(mut block) => match take(&mut block.attrs, "observe") {
            Some(arguments) => expand::observe(&arguments, &block.into_token_stream()),
            None => block.into_token_stream(),
        },
        Item::Enum(mut item) => {
            let derives_label = item.attrs.iter_mut().any(remove_label_derive);
            let expanded = derives_label.then(|| label::derive(item.to_token_stream()));
            item.attrs.retain(|attribute| !is_label(attribute));
            for variant in &mut item.variants {
                variant.attrs.retain(|attribute| !is_label(attribute));
            }
            quote!(#item #expanded)
        }
        // The macros are no longer used once they are expanded.
        Item::Use(item) if item.to_token_stream().to_string().contains("obs_runtime") => TokenStream::new(),
        other => other.into_token_stream(),
    }
}

fn take(attributes: &mut Vec<Attribute>, name: &str) -> Option<TokenStream> {
    let at = attributes.iter().position(|attribute| attribute.path().is_ident(name))?;
    Some(match attributes.remove(at).meta {
        Meta::List(list) => list.tokens,
        _ => TokenStream::new(),
    })
}

fn is_label(attribute: &Attribute) -> bool {
    attribute.path().is_ident("label")
}

fn remove_label_derive(attribute: &mut Attribute) -> bool {
    let Meta::List(list) = &mut attribute.meta else { return false };
    let derives = list.tokens.to_string();
    let kept: Vec<&str> = derives.split(',').map(str::trim).filter(|derive| *derive != "Label").collect();
    let found = attribute.path().is_ident("derive") && kept.len() < derives.split(',').count();
    if let (true, Meta::List(list)) = (found, &mut attribute.meta) {
        list.tokens = kept.join(", ").parse().expect("tokens");
    }
    found
}
