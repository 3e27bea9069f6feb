//! `#[derive(Label)]`: attributes, model and tokens of an enum that labels metrics.

mod rename;

use crate::errors::Errors;
use crate::settings::{crate_path, each, set_once, unknown, value};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;
use rename::Rename;
use syn::ext::IdentExt;
use syn::{Attribute, Data, DeriveInput, Generics, LitStr, Path};

/// Expands `#[derive(Label)]`.
pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let model = errors.keep(syn::parse2(item)).and_then(|input| Model::build(input, &mut errors));
    match model {
        Some(model) => expand(&model),
        None => errors.into_tokens(),
    }
}

struct Model {
    name: Ident,
    generics: Generics,
    runtime: Path,
    /// Each variant with its label value.
    variants: Vec<(Ident, String)>,
}

/// What `#[label(..)]` on the enum says.
#[derive(Default)]
struct EnumAttrs {
    rename_all: Option<Rename>,
    runtime: Option<Path>,
}

impl Model {
    fn build(input: DeriveInput, errors: &mut Errors) -> Option<Self> {
        let attrs = enum_attrs(&input.attrs, errors);
        let Data::Enum(data) = input.data else {
            errors.on(
                &input.ident,
                "`Label` needs a type whose values can be counted: an enum (or `bool`, `Option`, `Bounded<Tag, N>`)",
            );
            return None;
        };
        if data.variants.is_empty() {
            errors.on(&input.ident, "a label needs at least one value: add a variant");
        }
        let rename = attrs.rename_all.unwrap_or_default();
        let mut variants: Vec<(Ident, String)> = Vec::new();
        for variant in data.variants {
            let given = variant_value(&variant.attrs, errors);
            let value = given.unwrap_or_else(|| rename.apply(&variant.ident.unraw().to_string()));
            if let Some((first, _)) = variants.iter().find(|(_, taken)| *taken == value) {
                errors.on(
                    &variant.ident,
                    format!("`{first}` has the label value \"{value}\" already; give this one another with `#[label(\"…\")]`"),
                );
            }
            variants.push((variant.ident, value));
        }
        let runtime = attrs.runtime.unwrap_or_else(|| syn::parse_quote!(::obs_runtime));
        let model = Self { name: input.ident, generics: input.generics, runtime, variants };
        (errors.len() == 0).then_some(model)
    }
}

fn enum_attrs(attrs: &[Attribute], errors: &mut Errors) -> EnumAttrs {
    let mut found = EnumAttrs::default();
    for tokens in label_lists(attrs, errors) {
        each(tokens, errors, |key, input, _| match key.to_string().as_str() {
            "rename_all" => {
                let style: LitStr = value(key, input, "\"kebab-case\"")?;
                set_once(&mut found.rename_all, key, Rename::parse(&style)?)
            }
            "crate" => set_once(&mut found.runtime, key, crate_path(key, input)?),
            _ => Err(unknown(key, &["rename_all", "crate"])),
        });
    }
    found
}

fn variant_value(attrs: &[Attribute], errors: &mut Errors) -> Option<String> {
    let mut found = None;
    for tokens in label_lists(attrs, errors) {
        let Some(literal) = errors.keep(syn::parse2::<LitStr>(tokens.clone()).map_err(|_| {
            syn::Error::new_spanned(&tokens, "a variant's label value is a string: write `#[label(\"…\")]`")
        })) else {
            continue;
        };
        if literal.value().is_empty() {
            errors.on(&literal, "an empty label value means \"no label\" to Prometheus; choose a word");
        }
        if found.replace(literal.value()).is_some() {
            errors.on(&literal, "this variant has a label value already; keep one");
        }
    }
    found
}

/// The tokens inside each `#[label(..)]`.
fn label_lists(attrs: &[Attribute], errors: &mut Errors) -> Vec<TokenStream> {
    attrs
        .iter()
        .filter(|attr| attr.path().is_ident("label"))
        .filter_map(|attr| errors.keep(attr.meta.require_list().map(|list| list.tokens.clone())))
        .collect()
}

// Input:
//     enum Method { Card, Bank(u32) }
// Output:
//     impl ::obs_runtime::Label for Method {
//         const CARDINALITY: usize = 2;
//         fn index(&self) -> usize {
//             match self {
//                 Self::Card { .. } => 0,
//                 Self::Bank { .. } => 1,
//             }
//         }
//         fn value(index: usize) -> ::obs_runtime::__private::LabelText {
//             ::obs_runtime::__private::nth(&["card", "bank"], index)
//         }
//     }
fn expand(model: &Model) -> TokenStream {
    let Model { name, generics, runtime, variants } = model;
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    let cardinality = Literal::usize_unsuffixed(variants.len());
    let idents = variants.iter().map(|(ident, _)| ident);
    let values = variants.iter().map(|(_, value)| value);
    let indices = (0..variants.len()).map(Literal::usize_unsuffixed);
    quote! {
        #[automatically_derived]
        impl #impl_generics #runtime::Label for #name #ty_generics #where_clause {
            const CARDINALITY: #runtime::__private::usize = #cardinality;
            fn index(&self) -> #runtime::__private::usize {
                match self {
                    #(Self::#idents { .. } => #indices,)*
                }
            }
            fn value(index: #runtime::__private::usize) -> #runtime::__private::LabelText {
                #runtime::__private::nth(&[#(#values),*], index)
            }
        }
    }
}
