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

/// `let __site = ..; let mut __call = ..;`, with labels and fields evaluated only if somebody listens.
pub(super) fn enter(model: &Model) -> TokenStream {
    let Model { runtime, labels, fields, parent, follows_from, .. } = model;
    let (site, call) = (local("__site"), local("__call"));
    let declaration = declaration(model);
    let parameters = labels.iter().filter(|label| label.ret.is_none());
    let bare = fields.is_empty() && labels.iter().all(|label| label.ret.is_some());
    if bare && parent.is_none() && follows_from.is_none() {
        let mutability = (model.body != Body::Stays).then(|| quote!(mut));
        return quote! {
            let #site = { #declaration };
            let #mutability #call = #runtime::__private::Call::enter(#site);
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
    let follows = follows_from
        .as_ref()
        .map(|causes| quote_spanned!(causes.span()=> (&mut #call).follows_from(#causes);));
    quote! {
        let #site = { #declaration };
        #around
        let mut #call = #runtime::__private::Call::new(#site);
        if #call.on() {
            #inside
            (&mut #call).begin(#runtime::__private::labels() #(#labels)*, &[#(#values),*]);
            #follows
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
    let check = (multiplies || model.budget.is_some()).then(|| {
        // Reported at the labels, or at the budget.
        let budget = model.budget.as_ref().map_or_else(Span::mixed_site, syn::LitInt::span);
        let span = model.labels.first().map_or(budget, |label| label.span);
        quote_spanned!(span=> const _: () = __SPEC.check_budget(__NAME);)
    });
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
        Body::Stays | Body::StaysFallible => with(quote!(stays())),
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

/// The macro that finds the outcome. An error type that is generic may be an `Error` for some of its parameters
/// alone, such as those that are `'static`, which can't be asked for.
pub(super) fn outcome(model: &Model) -> Ident {
    let result = model.function.result();
    let error = match &result {
        Type::Path(path) => path.path.segments.last().and_then(|last| match &last.arguments {
            PathArguments::AngleBracketed(arguments) => {
                arguments.args.iter().rev().find_map(|argument| match argument {
                    GenericArgument::Type(ty) => Some(ty),
                    _ => None,
                })
            }
            _ => None,
        }),
        _ => None,
    };
    let generic = error.is_some_and(|error| has_generic_parts(error, &model.function));
    format_ident!("{}", if generic { "shown_outcome" } else { "outcome" })
}

/// Whether a type, which is no parameter itself, has parts that are, or look as if they were: those of an `impl` are
/// not known here.
fn has_generic_parts(ty: &Type, function: &Function) -> bool {
    struct Find<'a>(&'a Function, bool);
    impl VisitMut for Find<'_> {
        fn visit_path_mut(&mut self, path: &mut Path) {
            if let Some(first) = path.segments.first() {
                let name = first.ident.to_string();
                let mut letters = name.chars();
                let looks_so = letters.next().is_some_and(char::is_uppercase)
                    && letters.all(|letter| letter.is_ascii_digit());
                self.1 |= looks_so || name == "Self" || self.0.is_generic(&first.ident);
            }
            syn::visit_mut::visit_path_mut(self, path);
        }
    }
    let Type::Path(path) = ty else { return false };
    let mut find = Find(function, false);
    for segment in &mut path.path.clone().segments {
        find.visit_path_arguments_mut(&mut segment.arguments);
    }
    find.1
}

/// What comes after the body: labels of the result, and the outcome.
pub(super) fn leave(model: &Model) -> TokenStream {
    let Model { runtime, labels, failures, .. } = model;
    let (call, ret) = (local("__call"), local("__ret"));
    let results = labels.iter().filter_map(|label| {
        let (Label { span, ty, value, .. }, bound) = (label, label.ret.as_ref()?);
        let values = quote_spanned!(*span=> #runtime::__private::values::<#ty>());
        Some(quote_spanned!(*span=> (&mut #call).result_label(#values, &{ let #bound = &#ret; #value });))
    });
    let leave = match failures {
        Failures::Never => quote!((&mut #call).leave(#runtime::__private::Verdict::Ok);),
        Failures::Unnamed => {
            let outcome = outcome(model);
            quote!((&mut #call).leave(#runtime::__private::#outcome!(&#ret));)
        }
        Failures::OfNone(at) => {
            let here = Ident::new("__ret", Span::mixed_site().located_at(*at));
            let none_fails = quote_spanned!(*at=> #runtime::__private::none_fails(&#here));
            let none = local("__none");
            quote! {
                let #none = #none_fails;
                (&mut #call).leave(#runtime::__private::outcome!(&#none));
            }
        }
        Failures::Kinds(kind) => {
            // A mismatch of the two types is the kind's fault.
            let here = Ident::new("__ret", Span::mixed_site().located_at(kind.span()));
            let kinds = quote_spanned!(kind.span()=> #runtime::__private::kind_of::<#kind, _>(&#here));
            let kind = local("__kind");
            quote! {
                let #kind = #kinds;
                (&mut #call).leave_with_kind(#runtime::__private::outcome!(&#ret), #kind);
            }
        }
    };
    quote!(#(#results)* #leave)
}
