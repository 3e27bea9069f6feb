//! Labels: where their values come from, and types that a static can name.

use crate::args::{LabelArg, LabelValue};
use crate::errors::Errors;
use crate::function::Function;
use crate::model::Label;
use crate::values::is_metric_identifier;
use proc_macro2::{Ident, Span};
use quote::quote;
use syn::ext::IdentExt;
use syn::visit_mut::VisitMut;
use syn::{Lifetime, Path, Type};

/// Labels that the metric families write themselves.
const RESERVED_LABELS: &[&str] = &["function", "outcome", "error", "le", "quantile"];

/// The labels as the arguments have them, each checked.
pub(crate) fn labels(args: Option<Vec<LabelArg>>, function: &Function, errors: &mut Errors) -> Vec<Label> {
    let mut labels: Vec<Label> = Vec::new();
    for arg in args.unwrap_or_default() {
        let name = arg.name.unraw().to_string();
        let span = arg.name.span();
        check_label_name(&name, span, errors);
        if labels.iter().any(|label| label.name == name) {
            errors.at(span, format!("the label `{name}` is given twice; keep one"));
        }
        let Some(ty) = label_type(&arg, function, errors) else { continue };
        let ident = &arg.name;
        let (value, ret) = match arg.value {
            None => (syn::parse_quote!(#ident), None),
            Some(LabelValue::Expr(expr)) => (expr, None),
            Some(LabelValue::Result { ret, expr }) => (expr, Some(ret)),
        };
        labels.push(Label { name, span, ty, value, ret });
    }
    // Labels of the result are known last, so their place in a series' index is last too.
    labels.sort_by_key(|label| label.ret.is_some());
    labels
}

fn check_label_name(name: &str, span: Span, errors: &mut Errors) {
    if RESERVED_LABELS.contains(&name) {
        errors.at(span, format!("the label `{name}` is written by the metric itself; choose another name"));
    } else if !is_metric_identifier(name) || name.starts_with("__") {
        errors.at(
            span,
            format!("`{name}` is no Prometheus label name: ASCII letters, digits and `_`, not starting with a digit or `__`"),
        );
    }
}

/// The type of a label as a static can name it: no references, no borrowed lifetimes.
fn label_type(arg: &LabelArg, function: &Function, errors: &mut Errors) -> Option<Type> {
    let name = &arg.name;
    let mut ty = match (&arg.ty, &arg.value) {
        (Some(ty), _) => ty.clone(),
        (None, Some(_)) => {
            errors.at(
                name.span(),
                format!("the type of this label is not in the signature: write `{name}: Type = ..`"),
            );
            return None;
        }
        (None, None) => {
            let Some(ty) = function.parameter(name) else {
                errors.at(
                    name.span(),
                    format!(
                        "no parameter is called `{name}`: name one, or write `{name}: Type = expression`"
                    ),
                );
                return None;
            };
            ty.clone()
        }
    };
    while let Type::Reference(reference) = ty {
        ty = *reference.elem;
    }
    if let Some(parameter) = names_generic(&ty, function) {
        errors.at(
            name.span(),
            format!("the label's type depends on `{parameter}`, so its values can't be counted here; use a concrete type"),
        );
        return None;
    }
    StaticLifetimes.visit_type_mut(&mut ty);
    if arg.ty.is_none() {
        // Written in the signature, but wrong only as a label: say so where the label is.
        ty = respan(&ty, name.span());
    }
    Some(ty)
}

/// The generic parameter (or `Self`) that the type mentions, which a static inside the function can't.
pub(crate) fn names_generic(ty: &Type, function: &Function) -> Option<String> {
    struct Find<'a>(&'a Function, Option<String>);
    impl VisitMut for Find<'_> {
        fn visit_path_mut(&mut self, path: &mut Path) {
            if let Some(first) = path.segments.first() {
                let generic = self.0.is_generic(&first.ident);
                if generic || first.ident == "Self" {
                    self.1 = Some(first.ident.to_string());
                }
            }
            syn::visit_mut::visit_path_mut(self, path);
        }
        fn visit_type_impl_trait_mut(&mut self, node: &mut syn::TypeImplTrait) {
            self.1 = Some(quote!(#node).to_string());
        }
    }
    let mut find = Find(function, None);
    find.visit_type_mut(&mut ty.clone());
    find.1
}

struct StaticLifetimes;

impl VisitMut for StaticLifetimes {
    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        lifetime.ident = Ident::new("static", lifetime.ident.span());
    }
}

fn respan(ty: &Type, span: Span) -> Type {
    fn spanned(tokens: proc_macro2::TokenStream, span: Span) -> proc_macro2::TokenStream {
        tokens
            .into_iter()
            .map(|mut token| {
                if let proc_macro2::TokenTree::Group(group) = &token {
                    let inner = spanned(group.stream(), span);
                    token = proc_macro2::Group::new(group.delimiter(), inner).into();
                }
                // Names keep resolving where the user wrote them.
                token.set_span(span.resolved_at(token.span()));
                token
            })
            .collect()
    }
    syn::parse2(spanned(quote!(#ty), span)).unwrap_or_else(|_| ty.clone())
}
