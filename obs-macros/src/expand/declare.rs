//! The site of a function, and the calls before and after its body.

use super::{local, reference, with_inferred_lifetimes};
use crate::args::{Recorded, TextArg};
use crate::function::Function;
use crate::model::{Body, Failures, Field, Label, Model, Name};
use crate::values::Slo;
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit_mut::VisitMut;
use syn::{Expr, GenericArgument, Path, PathArguments, Type};

/// `let __site = ..; let mut __call = ..; ..`, with labels and fields evaluated only if somebody listens.
pub(super) fn enter(model: &Model) -> TokenStream {
    let Model { runtime, labels, fields, parent, follows_from, .. } = model;
    let (site, call) = (local("__site"), local("__call"));
    let declaration = declaration(model);
    let parameters = labels.iter().filter(|label| label.ret.is_none());
    let bare = fields.is_empty() && labels.iter().all(|label| label.ret.is_some());
    if bare && parent.is_none() && follows_from.is_none() {
        return quote! {
            let #site = { #declaration };
            let mut #call = #runtime::__private::Call::silent();
            (&mut #call).enter(#site);
        };
    }
    let labels = parameters.map(|Label { span, ty, value, .. }| {
        let (ty, value) = (with_inferred_lifetimes(ty), reference(value));
        quote_spanned!(*span=> .with(#runtime::__private::values::<#ty>(), #value))
    });
    let values = field_values(runtime, fields);
    // Left when the call has begun, or, of one that stays on this thread's stack, when it has ended.
    let within = parent.as_ref().map(|parent| match parent {
        Expr::Path(path) if path.path.is_ident("None") => quote!(#runtime::__private::within_nothing()),
        parent => quote_spanned!(parent.span()=> #runtime::__private::within(#parent)),
    });
    let guard = local("__within");
    let stays = matches!(model.body, Body::Stays | Body::StaysFallible | Body::Closure);
    let (around, inside) = match within {
        Some(within) if stays => {
            let lazily = quote!(if #runtime::__private::listening() { #within } else { #runtime::__private::nowhere() });
            (Some(quote!(let #guard = #lazily;)), None)
        }
        within => (None, within.map(|within| quote!(let #guard = #within;))),
    };
    // What the call is within is left before the body runs, so it has to have it along.
    let lift = inside.is_some().then(|| quote!((&mut #call).lift();));
    let labels = quote!(#runtime::__private::labels() #(#labels)*);
    let begin = if fields.is_empty() {
        quote!((&mut #call).begin(#site, #labels);)
    } else {
        quote!((&mut #call).begin_recorded(#site, #labels, &[#(#values),*]);)
    };
    // Found out first, as it may take awaiting; and what it borrows lives until it is said.
    let causes = local("__causes");
    let begin = match follows_from {
        None => begin,
        Some(expr) => {
            let follows = quote_spanned!(expr.span()=> (&mut #call).follows_from(#causes););
            quote!(match #expr { #causes => { #begin #follows } })
        }
    };
    quote! {
        let #site = { #declaration };
        #around
        let mut #call = #runtime::__private::Call::silent();
        if (&*#site).on() {
            #inside
            #begin
            #lift
        }
    }
}

/// The values of fields, as `tracing` takes them.
pub(crate) fn field_values<'a>(
    runtime: &'a impl ToTokens,
    fields: &'a [Field],
) -> impl Iterator<Item = TokenStream> + 'a {
    fields.iter().map(move |field| {
        let value = reference(&field.value);
        let span = field.value.span();
        match field.how {
            Recorded::Value => quote_spanned!(span=> #runtime::__private::value(#value)),
            Recorded::Display => quote_spanned!(span=> &#runtime::__private::display(#value)),
            Recorded::Debug => quote_spanned!(span=> &#runtime::__private::debug(#value)),
        }
    })
}

/// The static that describes the function, in a block of its own so that no name meets a user's.
fn declaration(model: &Model) -> TokenStream {
    let Model { runtime, level, .. } = model;
    let name = match &model.name {
        Name::InModule(ident) => {
            let tail = format!("::{ident}");
            quote!(__obs::concat!(__obs::module_path!(), #tail))
        }
        Name::Given(name) => quote!(#name),
        Name::Constant(constant) => quote!(#constant),
    };
    let target = model.target.as_ref().map(|target| match target {
        TextArg::Literal(target) => quote!(, #target),
        TextArg::Constant(constant) => quote!(, #constant),
    });
    let fields = model.fields.iter().map(|field| &field.name);
    let spec = spec(model);
    // Without labels, kinds or a budget of its own, a function is far below the default.
    let multiplies = !model.labels.is_empty() || matches!(model.failures, Failures::Kinds(_));
    if !multiplies && model.budget.is_none() {
        return quote! {
            use #runtime::__private as __obs;
            __obs::site!(#name, #spec, #level, [#(#fields),*] #target)
        };
    }
    // Reported at the labels, or at the budget.
    let budget = model.budget.as_ref().map_or_else(Span::mixed_site, syn::LitInt::span);
    let span = model.labels.first().map_or(budget, |label| label.span);
    let check = quote_spanned!(span=> const _: () = (&__SPEC).check_budget(__NAME););
    quote! {
        use #runtime::__private as __obs;
        const __NAME: __obs::Name = #name;
        const __SPEC: __obs::Spec = #spec;
        #check
        __obs::site!(__NAME, __SPEC, #level, [#(#fields),*] #target)
    }
}

/// `__obs::Spec::new()` and one call for each thing that is not the default.
fn spec(model: &Model) -> TokenStream {
    let mut spec = quote!(__obs::Spec::new());
    let mut with = |call: TokenStream| spec.extend(quote!(.#call));
    match model.body {
        Body::Closure => {}
        Body::Stays => with(quote!(stays())),
        Body::StaysFallible => {
            with(quote!(stays()));
            // What leaves a body early is a failure where the type says so, and otherwise perhaps none.
            let is_result = matches!(&model.function.output(), Type::Path(path)
                if path.path.segments.last().is_some_and(|last| last.ident.to_string().ends_with("Result")));
            if !is_result {
                with(quote!(early_is_ok()));
            }
        }
        Body::Future | Body::Makes(_) => with(quote!(future())),
    }
    if let Some(metric) = &model.metric {
        with(quote!(metric(#metric)));
    }
    let (results, parameters): (Vec<_>, Vec<_>) = model.labels.iter().partition(|label| label.ret.is_some());
    for (method, labels) in [("labels", parameters), ("result_labels", results)] {
        if !labels.is_empty() {
            let (method, dimensions) = (format_ident!("{method}"), labels.into_iter().map(dimension));
            with(quote!(#method(&[#(#dimensions),*])));
        }
    }
    match &model.failures {
        Failures::Never => with(quote!(infallible())),
        Failures::Unnamed | Failures::OfNone(_) => {}
        Failures::Kinds(kind) => with(quote!(errors::<#kind>())),
    }
    if let Some(buckets) = &model.buckets {
        with(quote!(buckets(&[#(#buckets),*])));
    }
    if let Some(Slo { latency_nanos, objective }) = &model.slo {
        let (latency, objective) =
            (Literal::u64_unsuffixed(latency_nanos.unwrap_or(0)), Literal::f64_unsuffixed(*objective));
        with(quote!(slo(__obs::Slo { latency_nanos: #latency, objective: #objective })));
    }
    if let Some(budget) = &model.budget {
        with(quote!(budget(#budget)));
    }
    if let Some(kind) = &model.kind {
        with(quote!(kind(__obs::SpanKind::#kind)));
    }
    for (method, level) in [("err_level", &model.err_level), ("ok_level", &model.ok_level)] {
        if let Some(level) = level {
            let method = format_ident!("{method}");
            with(quote!(#method(#level)));
        }
    }
    if let Some(nanos) = model.slow_nanos {
        let nanos = Literal::u64_unsuffixed(nanos);
        with(quote!(slow_nanos(#nanos)));
    }
    if let Some(nanos) = model.stuck_nanos {
        let nanos = Literal::u64_unsuffixed(nanos);
        with(quote!(stuck_nanos(#nanos)));
    }
    for (on, off) in [(model.span, "no_span"), (model.metrics, "no_metrics"), (model.log, "no_log")] {
        if !on {
            let off = format_ident!("{off}");
            with(quote!(#off()));
        }
    }
    spec
}

fn dimension(label: &Label) -> TokenStream {
    let Label { name, span, ty, .. } = label;
    quote_spanned!(*span=> __obs::values::<#ty>().named(#name))
}

/// The macro that finds out what knows how a call ended. Look-up of methods does not see lifetimes, and an error type that has them, or
/// that is generic, may be an `Error` for `'static` alone: such a one is shown by its `Display`.
pub(super) fn judge_macro(model: &Model) -> Ident {
    let plain = is_concrete(&model.function.result(), &model.function);
    format_ident!("{}", if plain { "judge" } else { "shown_judge" })
}

/// Whether the error of a type is sure to have no lifetimes and no generic parts.
fn is_concrete(result: &Type, function: &Function) -> bool {
    let Type::Path(path) = result else { return false };
    let Some(last) = path.path.segments.last().filter(|_| path.qself.is_none()) else { return false };
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        // `io::Result` and the like; of `Self::Output` nobody knows.
        return path.path.segments.first().is_some_and(|first| !may_be_generic(&first.ident, function));
    };
    let types: Vec<&Type> = arguments
        .args
        .iter()
        .filter_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty),
            _ => None,
        })
        .collect();
    match types[..] {
        // An error type that is a parameter is what its bounds say, and those are known.
        [_, Type::Path(error)] if last.ident == "Result" && error.path.get_ident().is_some() => true,
        [_, error] if last.ident == "Result" => is_known(error, function),
        _ => types.iter().all(|ty| is_known(ty, function)) && arguments.args.len() == types.len(),
    }
}

/// Whether a type has no lifetimes, and no names that may be generic.
fn is_known(ty: &Type, function: &Function) -> bool {
    struct Find<'a>(&'a Function, bool);
    impl VisitMut for Find<'_> {
        fn visit_path_mut(&mut self, path: &mut Path) {
            let bare = path.segments.len() == 1 && path.segments[0].arguments.is_none();
            if let Some(first) = path.segments.first() {
                self.1 |= may_be_generic(&first.ident, self.0) && (bare || path.segments.len() > 1);
            }
            syn::visit_mut::visit_path_mut(self, path);
        }
        fn visit_lifetime_mut(&mut self, lifetime: &mut syn::Lifetime) {
            self.1 |= lifetime.ident != "static";
        }
        fn visit_type_reference_mut(&mut self, reference: &mut syn::TypeReference) {
            self.1 |= reference.lifetime.is_none();
            syn::visit_mut::visit_type_reference_mut(self, reference);
        }
        fn visit_qself_mut(&mut self, _: &mut syn::QSelf) {
            self.1 = true;
        }
        // What bounds there are, are those of a type that is given.
        fn visit_type_param_bound_mut(&mut self, bound: &mut syn::TypeParamBound) {
            if let syn::TypeParamBound::Lifetime(lifetime) = bound {
                self.1 |= lifetime.ident != "static";
            }
        }
    }
    let mut find = Find(function, false);
    find.visit_type_mut(&mut ty.clone());
    !find.1
}

/// Whether a name may be that of a generic parameter: those of an `impl` are not known here.
fn may_be_generic(name: &Ident, function: &Function) -> bool {
    const KNOWN: &[&str] = &[
        "bool",
        "char",
        "f32",
        "f64",
        "i8",
        "i16",
        "i32",
        "i64",
        "i128",
        "isize",
        "u8",
        "u16",
        "u32",
        "u64",
        "u128",
        "usize",
        "str",
        "String",
        "Infallible",
        "Error",
        "crate",
        "self",
        "super",
        "std",
        "core",
        "alloc",
    ];
    let text = name.to_string();
    let is_module = text.starts_with(char::is_lowercase);
    function.is_generic(name) || text == "Self" || !(is_module || KNOWN.contains(&text.as_str()))
}

/// What comes after the body: statements, and then the result, with which the call has ended.
pub(super) struct Leave {
    pub(super) before: TokenStream,
    pub(super) result: TokenStream,
}

/// Labels of the result, and the outcome.
pub(super) fn leave(model: &Model) -> Leave {
    let (call, ret) = (local("__call"), local("__ret"));
    let before = result_labels(model, &quote!((&mut #call)), &quote!(&#ret));
    match judge(model, &quote!(&#ret)) {
        None => Leave { before: quote!(#before (&mut #call).leave_ok();), result: quote!(#ret) },
        Some(judge) => Leave { before, result: quote!((&mut #call).leave(#judge, #ret)) },
    }
}

/// The same for a future that was made, which keeps its call and its result.
pub(super) fn conclude(model: &Model) -> TokenStream {
    let (call, ret) = (local("__call"), local("__ret").to_token_stream());
    let labels = result_labels(model, &quote!((&mut *#call)), &ret);
    let runtime = &model.runtime;
    let judge = judge(model, &ret).unwrap_or_else(|| quote!(#runtime::__private::Never));
    quote!(#labels (&mut *#call).conclude(#judge, #ret);)
}

fn result_labels(model: &Model, call: &TokenStream, ret: &TokenStream) -> TokenStream {
    let Model { runtime, labels, .. } = model;
    let results = labels.iter().filter_map(|label| {
        let (Label { span, ty, value, .. }, bound) = (label, label.ret.as_ref()?);
        let values = quote_spanned!(*span=> #runtime::__private::values::<#ty>());
        Some(quote_spanned!(*span=> #call.result_label(#values, &{ let #bound = #ret; #value });))
    });
    quote!(#(#results)*)
}

/// What knows how the call ended, by a reference to its result; `None` of one that can't fail.
fn judge(model: &Model, ret: &TokenStream) -> Option<TokenStream> {
    let runtime = &model.runtime;
    // Where the user wrote what it is passed to.
    let at = |span: Span| -> TokenStream {
        let located = |token: proc_macro2::TokenTree| {
            let mut token = token;
            token.set_span(token.span().located_at(span));
            token
        };
        ret.clone().into_iter().map(located).collect()
    };
    let judge = judge_macro(model);
    Some(match &model.failures {
        Failures::Never => return None,
        Failures::Unnamed => quote!(#runtime::__private::#judge!(#ret)),
        Failures::OfNone(span) => {
            let here = at(*span);
            let value = Ident::new("__ret", Span::mixed_site().located_at(*span));
            let is_none = quote_spanned!(*span=> |#value| #runtime::__private::is_none(#value));
            quote_spanned!(*span=> #runtime::__private::none_fails(#here, #is_none))
        }
        Failures::Kinds(kind) => {
            // A mismatch of the two types is the kind's fault.
            let here = at(kind.span());
            let judge = quote!(#runtime::__private::judge!(#ret));
            quote_spanned!(kind.span()=> #runtime::__private::kinds_of::<#kind, _, _>(#here, #judge))
        }
    })
}
