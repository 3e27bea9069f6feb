//! The plain function, for `OBS_OFF`. A parameter, an import or a constant that the attribute alone uses would be an unused
//! one, so its values are still named.

use super::{reference, with_inferred_lifetimes};
use crate::args::{Args, FieldName, LevelArg, TextArg};
use crate::model::{Body, Failures, Label, Model, Name};
use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::visit_mut::VisitMut;
use syn::{Expr, Path, Type, TypeImplTrait};

/// The constants of the arguments that are levels.
pub(super) fn levels(args: &Args) -> Vec<Path> {
    let err = args.err.as_ref().and_then(|err| err.level.as_ref());
    let ok = args.ok.as_ref().and_then(|ok| ok.level.as_ref());
    [args.level.as_ref(), err, ok]
        .into_iter()
        .flatten()
        .filter_map(|level| match level {
            LevelArg::Path(path) => Some(path.clone()),
            LevelArg::Word(_) | LevelArg::Number(_) => None,
        })
        .collect()
}

// Input:
//     #[observe(fields(order_id))]
//     fn charge(order_id: u64) { pay() }
// Output:
//     fn charge(order_id: u64) {
//         if false { let _ = &order_id; }
//         { pay() }
//     }
/// The function with the attribute's values named before its body. None of them is evaluated.
pub(super) fn plain(model: &Model, levels: &[Path]) -> TokenStream {
    let function = &model.function;
    let named = named(model, levels);
    if named.is_empty() {
        return function.to_token_stream();
    }
    let mut block = Group::new(Delimiter::Brace, function.body.clone());
    block.set_span(Span::mixed_site().located_at(function.brace.span.join()));
    function.with(&function.sig, &quote!(if false { #named } #block))
}

fn named(model: &Model, levels: &[Path]) -> TokenStream {
    let Model { labels, fields, parent, follows_from, .. } = model;
    let mut named = TokenStream::new();
    let name = match &model.name {
        Name::Constant(name) => Some(name),
        Name::InModule(_) | Name::Given(_) => None,
    };
    let target = match &model.target {
        Some(TextArg::Constant(target)) => Some(target),
        Some(TextArg::Literal(_)) | None => None,
    };
    for constant in name.into_iter().chain(target).chain(levels) {
        named.extend(quote!(let _ = &#constant;));
    }
    for field in fields {
        if let FieldName::Constant(name) = &field.name {
            named.extend(quote!(let _ = &#name;));
        }
    }
    let values = fields.iter().map(|field| &field.value);
    let causes = parent
        .iter()
        .filter(|parent| !matches!(parent, Expr::Path(path) if path.path.is_ident("None")))
        .chain(follows_from);
    for value in values.chain(causes).filter(|value| !matches!(value, Expr::Lit(_))) {
        let value = reference(value);
        named.extend(quote!(let _ = #value;));
    }
    for label in labels {
        named.extend(named_by(label, model));
    }
    if let Failures::Kinds(kind) = &model.failures {
        named.extend(quote!(let _ = ::core::option::Option::None::<#kind>;));
    }
    named
}

/// A label's type and its value, which may look at the result.
fn named_by(label: &Label, model: &Model) -> TokenStream {
    let Label { ty, value, ret, .. } = label;
    let (ty, value) = (with_inferred_lifetimes(ty), reference(value));
    let named = quote!(let _: &#ty = #value;);
    let Some(ret) = ret else { return named };
    let function = &model.function;
    let result = match model.body {
        Body::Makes(_) => function.yields(),
        _ => Some(function.output()),
    };
    // A type that only the body tells can't be written here.
    let Some(result) = result.filter(|result| !names_impl_trait(result)) else { return TokenStream::new() };
    let runtime = &model.runtime;
    quote!({ let #ret = #runtime::__private::never::<&#result>(); #named })
}

fn names_impl_trait(ty: &Type) -> bool {
    struct Find(bool);
    impl VisitMut for Find {
        fn visit_type_impl_trait_mut(&mut self, _: &mut TypeImplTrait) {
            self.0 = true;
        }
    }
    let mut find = Find(false);
    find.visit_type_mut(&mut ty.clone());
    find.0
}
