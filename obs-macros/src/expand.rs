//! Last stage: the model as tokens. Nothing here can fail.

use crate::args::{Args, Recorded};
use crate::errors::Errors;
use crate::function::{Function, Returned, Shape};
use crate::model::{Failures, Field, Label, Model, Name};
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit_mut::VisitMut;
use syn::{Expr, ExprReference, Lifetime, Type};

/// Expands `#[observe(arguments)] item`.
pub(crate) fn observe(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let args = Args::parse(arguments, &mut errors);
    let function = match syn::parse2::<Function>(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            errors.push(error);
            let errors = errors.into_tokens();
            return quote!(#errors #item);
        }
    };
    let plain = function.to_token_stream();
    if let Some(model) = Model::build(args, function, &mut errors) {
        return observed(&model);
    }
    let errors = errors.into_tokens();
    quote!(#errors #plain)
}

fn observed(model: &Model) -> TokenStream {
    let body = match model.function.shape() {
        Shape::Sync => sync_body(model),
        Shape::Async => future_body(model),
        Shape::Returns(future) => returned_future_body(model, future),
    };
    model.function.with_body(&body)
}

// Input:
//     fn add(left: u32, right: u32) -> u32 { left + right }
// Output:
//     fn add(left: u32, right: u32) -> u32 {
//         let __site = { .. };
//         let mut __call = ::obs_runtime::__private::Call::enter(__site);
//         let __ret = ::obs_runtime::__private::body(move || -> u32 { left + right });
//         __call.leave(::obs_runtime::__private::outcome!(&__ret));
//         __ret
//     }
fn sync_body(model: &Model) -> TokenStream {
    let Model { function, runtime, .. } = model;
    let body = &function.body;
    let enter = enter(model);
    let output = function.output();
    if matches!(output, Type::Never(_)) {
        // Nothing comes after the body: the call ends when `__call` is dropped.
        return quote!(#enter #body);
    }
    let ret = local("__ret");
    let declared = match &function.sig.output {
        syn::ReturnType::Default => None,
        syn::ReturnType::Type(arrow, _) => {
            let output = without_impl_trait(output);
            Some(quote!(#arrow #output))
        }
    };
    let block = braced(function, body);
    let leave = leave(model);
    let run = quote_spanned!(function.brace.span.join()=> move || #declared #block);
    quote! {
        #enter
        let #ret = #runtime::__private::body(#run);
        #leave
        #ret
    }
}

// Input:
//     async fn add(left: u32, right: u32) -> u32 { left + right }
// Output:
//     async fn add(left: u32, right: u32) -> u32 {
//         let __site = { .. };
//         let mut __call = ::obs_runtime::__private::Call::enter(__site);
//         let __ret = __call.run(async move {
//             if false { return ::obs_runtime::__private::never::<u32>(); }
//             left + right
//         }).await;
//         __call.leave(::obs_runtime::__private::outcome!(&__ret));
//         __ret
//     }
fn future_body(model: &Model) -> TokenStream {
    let Model { function, runtime, .. } = model;
    let body = &function.body;
    let enter = enter(model);
    let (call, ret) = (local("__call"), local("__ret"));
    let output = function.output();
    if matches!(output, Type::Never(_)) {
        return quote!(#enter #call.run(async move { #body }).await);
    }
    // The first `return` fixes the type that every later one, and the last expression, coerce to.
    let pinned = matches!(function.sig.output, syn::ReturnType::Type(..)).then(|| {
        let output = without_impl_trait(output);
        quote! {
            if false {
                return #runtime::__private::never::<#output>();
            }
        }
    });
    let block = braced(function, &quote!(#pinned #body));
    let leave = leave(model);
    quote! {
        #enter
        let #ret = #call.run(async move #block).await;
        #leave
        #ret
    }
}

// Input:
//     fn add(left: u32, right: u32) -> Pin<Box<dyn Future<Output = u32>>> {
//         Box::pin(async move { left + right })
//     }
// Output:
//     fn add(left: u32, right: u32) -> Pin<Box<dyn Future<Output = u32>>> {
//         let __site = { .. };
//         let mut __call = ::obs_runtime::__private::Call::enter(__site);
//         let __future = __call.make(move || -> Pin<Box<..>> { Box::pin(..) });
//         ::std::boxed::Box::pin(async move {
//             let __ret = __call.run(__future).await;
//             __call.leave(::obs_runtime::__private::outcome!(&__ret));
//             __ret
//         })
//     }
fn returned_future_body(model: &Model, returned: Returned) -> TokenStream {
    let function = &model.function;
    let (call, ret, future) = (local("__call"), local("__ret"), local("__future"));
    let enter = enter(model);
    let output = without_impl_trait(function.output());
    let block = braced(function, &function.body);
    let run = quote_spanned!(function.brace.span.join()=> move || -> #output #block);
    let leave = leave(model);
    let whole = quote! {
        async move {
            let #ret = #call.run(#future).await;
            #leave
            #ret
        }
    };
    let whole = match returned {
        Returned::Opaque => whole,
        Returned::Boxed => quote!(::std::boxed::Box::pin(#whole)),
    };
    quote! {
        #enter
        let #future = #call.make(#run);
        #whole
    }
}

/// `let __site = ..; let mut __call = ..;`, with labels and fields evaluated only if somebody listens.
fn enter(model: &Model) -> TokenStream {
    let Model { runtime, labels, fields, .. } = model;
    let (site, call) = (local("__site"), local("__call"));
    let declaration = declaration(model);
    let parameters = labels.iter().filter(|label| label.ret.is_none());
    if fields.is_empty() && labels.iter().all(|label| label.ret.is_some()) {
        return quote! {
            let #site = { #declaration };
            let mut #call = #runtime::__private::Call::enter(#site);
        };
    }
    let labels = parameters.map(|Label { span, ty, value, .. }| {
        let (ty, value) = (with_inferred_lifetimes(ty), reference(value));
        quote_spanned!(*span=> .with(#runtime::__private::values::<#ty>(), #value))
    });
    let values = field_values(runtime, fields);
    quote! {
        let #site = { #declaration };
        let mut #call = #runtime::__private::Call::new(#site);
        if #call.on() {
            #call.begin(#runtime::__private::labels() #(#labels)*, &[#(#values),*]);
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
            quote!(::core::concat!(::core::module_path!(), #tail))
        }
        Name::Given(name) => quote!(#name),
    };
    let target = model.target.as_ref().map(|target| quote!(, #target));
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
    if !matches!(model.function.shape(), Shape::Sync) {
        with(quote!(future()));
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
        Failures::Unnamed => {}
        Failures::Kinds(kind) => with(quote!(errors::<#kind>())),
    }
    if let Some(buckets) = &model.buckets {
        with(quote!(buckets(&[#(#buckets),*])));
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
            with(quote!(#method(__obs::Level::#level)));
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

/// What comes after the body: labels of the result, and the outcome.
fn leave(model: &Model) -> TokenStream {
    let Model { runtime, labels, failures, .. } = model;
    let (call, ret) = (local("__call"), local("__ret"));
    let results = labels.iter().filter_map(|label| {
        let (Label { span, ty, value, .. }, bound) = (label, label.ret.as_ref()?);
        let values = quote_spanned!(*span=> #runtime::__private::values::<#ty>());
        Some(quote_spanned!(*span=> #call.result_label(#values, &{ let #bound = &#ret; #value });))
    });
    let outcome = match failures {
        // Neither a tuple nor a reference has anything to ask.
        Failures::Never if !matches!(model.function.result(), Type::Path(_)) => {
            quote!(#runtime::__private::Outcome::Ok)
        }
        _ => quote!(#runtime::__private::outcome!(&#ret)),
    };
    let leave = if let Failures::Kinds(kind) = failures {
        // A mismatch of the two types is the kind's fault.
        let failed = local("__failed");
        let here = Ident::new("__ret", Span::mixed_site().located_at(kind.span()));
        let failed_is = quote_spanned!(kind.span()=> &::core::result::Result<_, #kind> = &#here);
        quote! {
            let #failed: #failed_is;
            #call.leave_with_kind(#outcome, #failed);
        }
    } else {
        quote!(#call.leave(#outcome);)
    };
    quote!(#(#results)* #leave)
}

/// The tokens between the function's own braces, so that errors and coverage see the user's lines.
fn braced(function: &Function, body: &TokenStream) -> TokenStream {
    let mut block = TokenStream::new();
    function.brace.surround(&mut block, |inner| body.to_tokens(inner));
    block
}

/// A closure can't name `impl Trait` as its return type; the compiler infers that part.
fn without_impl_trait(mut ty: Type) -> Type {
    struct Erase;
    impl VisitMut for Erase {
        fn visit_type_mut(&mut self, ty: &mut Type) {
            if matches!(ty, Type::ImplTrait(_)) {
                *ty = syn::parse_quote!(_);
            } else {
                syn::visit_mut::visit_type_mut(self, ty);
            }
        }
    }
    Erase.visit_type_mut(&mut ty);
    ty
}

/// Where the value is, its lifetimes are its own; only in the static are they `'static`.
fn with_inferred_lifetimes(ty: &Type) -> Type {
    struct Infer;
    impl VisitMut for Infer {
        fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
            lifetime.ident = Ident::new("_", lifetime.ident.span());
        }
    }
    let mut ty = ty.clone();
    Infer.visit_type_mut(&mut ty);
    ty
}

/// `&value`, with parentheses only where the value needs them.
fn reference(value: &Expr) -> Expr {
    Expr::Reference(ExprReference {
        attrs: Vec::new(),
        // Where the value is, for messages about its type.
        and_token: syn::token::And(value.span()),
        mutability: None,
        expr: Box::new(value.clone()),
    })
}

/// A local that no token of the user's can name.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}
