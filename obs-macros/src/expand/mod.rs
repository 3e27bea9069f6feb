//! Last stage: the model as tokens. Nothing here can fail.

mod captures;
mod declare;
mod expect;
mod in_place;
mod off;
mod order;

pub(crate) use declare::field_values;

use crate::args::Args;
use crate::block::Item;
use crate::errors::Errors;
use crate::function::{Function, Lasting, Returned};
use crate::model::{Body, Model};
use captures::Captures;
use declare::{Leave, conclude, enter, judge_macro, leave};
use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit_mut::VisitMut;
use syn::{Expr, ExprReference, Lifetime, Type};

/// Expands `#[observe(arguments)] item`.
pub(crate) fn observe(arguments: &TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let args = Args::parse(arguments.clone(), &mut errors);
    if let Some(later) = order::after_other_macros(&args, arguments, item) {
        return later;
    }
    let expanded = match errors.keep(Item::parse(item.clone())) {
        Some(Item::Function(function)) => observed(args, *function, None, &mut errors),
        Some(Item::Block(block)) => block.observed(&args, &mut errors),
        None => item.clone(),
    };
    let errors = errors.into_tokens();
    quote!(#errors #expanded)
}

/// Expands the attribute to the item as it was, as nearly as lints allow.
#[cfg_attr(not(obs_off), allow(dead_code, reason = "what `OBS_OFF` is for"))]
pub(crate) fn plain(arguments: TokenStream, item: TokenStream) -> TokenStream {
    // Mistakes are for those who have it on.
    let mut errors = Errors::default();
    let args = Args { off: true, ..Args::parse(arguments, &mut errors) };
    match Item::parse(item.clone()) {
        Ok(Item::Function(function)) => observed(args, *function, None, &mut errors),
        // Attributes in it are for its own to read.
        Ok(Item::Block(block)) => block.observed(&args, &mut errors),
        Err(_) => item,
    }
}

/// A function with its body observed, or as it was if there is a mistake.
pub(crate) fn observed(
    args: Args,
    function: Function,
    owner: Option<&str>,
    errors: &mut Errors,
) -> TokenStream {
    let plain = function.to_token_stream();
    let off = args.off.then(|| off::levels(&args));
    let Some(model) = Model::build(args, function, owner, errors) else { return plain };
    match off {
        Some(levels) => off::plain(&model, &levels),
        None => expand(&model),
    }
}

fn expand(model: &Model) -> TokenStream {
    match model.body {
        Body::Stays => body_that_stays(model),
        Body::StaysFallible => fallible_body_that_stays(model),
        Body::Closure => body_in_closure(model),
        Body::Future => body_in_future(model),
        Body::Makes(returned) => body_that_makes(model, returned),
    }
}

// Input:
//     fn add(left: u32, right: u32) -> u32 { left + right }
// Output:
//     fn add(left: u32, right: u32) -> u32 {
//         let __site = { .. };
//         let mut __call = ::obs_runtime::__private::Call::silent();
//         (&mut __call).enter(__site);
//         { left + right }
//     }
fn body_that_stays(model: &Model) -> TokenStream {
    let function = &model.function;
    // In braces of their own, items come before statements. They stand where the user's do, and no lint takes them
    // for those.
    let mut block = Group::new(Delimiter::Brace, function.body.clone());
    block.set_span(Span::mixed_site().located_at(function.brace.span.join()));
    let enter = enter(model);
    function.with(&function.sig, &quote!(#enter #block))
}

// Input:
//     fn parse(text: &str) -> Result<u32, ParseIntError> { text.parse() }
// Output:
//     fn parse(text: &str) -> Result<u32, ParseIntError> {
//         let __site = { .. };
//         let mut __call = ::obs_runtime::__private::Call::silent();
//         (&mut __call).enter(__site);
//         let __ret = ::obs_runtime::__private::body(move || -> Result<u32, ParseIntError> { text.parse() });
//         return (&mut __call).leave(::obs_runtime::__private::judge!(&__ret), __ret);
//     }
fn body_in_closure(model: &Model) -> TokenStream {
    let Model { function, runtime, .. } = model;
    let ret = local("__ret");
    let Captures { sig, prologue } = Captures::of(model);
    let (enter, run) = (enter(model), closure(model, &prologue));
    let Leave { before, result } = leave(model);
    let allow = captures::allowance(function);
    function.with(
        &sig,
        &quote! {
            #enter
            #allow
            let #ret = #runtime::__private::body(#run);
            #before
            return #result;
        },
    )
}

/// The user's body as a closure of the declared type.
fn closure(model: &Model, prologue: &TokenStream) -> TokenStream {
    let function = &model.function;
    let declared = match &function.sig.output {
        syn::ReturnType::Default => None,
        syn::ReturnType::Type(arrow, _) => {
            let output = without_impl_trait(function.output());
            Some(quote!(#arrow #output))
        }
    };
    let body = &function.body;
    let block = braced(function, &quote!(#prologue #body));
    quote_spanned!(function.brace.span.join()=> move || #declared #block)
}

// Input:
//     #[track_caller]
//     fn parse(text: &str) -> Result<u32, ParseIntError> { text.parse() }
// Output:
//     #[track_caller]
//     fn parse(text: &str) -> Result<u32, ParseIntError> {
//         let __site = { .. };
//         let mut __call = ::obs_runtime::__private::Call::silent();
//         (&mut __call).enter(__site);
//         let __ret: Result<u32, ParseIntError> = { text.parse() };
//         #[allow(unreachable_code)]
//         { return (&mut __call).leave(::obs_runtime::__private::judge!(&__ret), __ret); };
//     }
/// A closure would be the caller that the body sees. What leaves the body early drops `__call`.
fn fallible_body_that_stays(model: &Model) -> TokenStream {
    let function = &model.function;
    let (enter, ret, leave) = (enter(model), local("__ret"), leave(model));
    let block = braced(function, &in_place::with_early_returns(model, &leave));
    let Leave { before, result } = leave;
    let output = without_impl_trait(function.output());
    function.with(
        &function.sig,
        &quote! {
            #enter
            let #ret: #output = #block;
            #[allow(unreachable_code)]
            {
                #before
                return #result;
            };
        },
    )
}

// Input:
//     async fn add(left: u32, right: u32) -> u32 { left + right }
// Output:
//     async fn add(left: u32, right: u32) -> u32 {
//         let __site = { .. };
//         let mut __call = ::obs_runtime::__private::Call::silent();
//         (&mut __call).enter(__site);
//         let __ret = (&mut __call).run(async move {
//             if false { return ::obs_runtime::__private::never::<u32>(); }
//             left + right
//         }).await;
//         return (&mut __call).leave(::obs_runtime::__private::judge!(&__ret), __ret);
//     }
fn body_in_future(model: &Model) -> TokenStream {
    let Model { function, runtime, .. } = model;
    let (call, ret) = (local("__call"), local("__ret"));
    let Captures { sig, prologue } = Captures::of(model);
    let (enter, Leave { before, result }) = (enter(model), leave(model));
    let output = function.output();
    if matches!(output, Type::Never(_)) {
        let body = &function.body;
        let block = braced(function, &quote!(#prologue #body));
        return function.with(&sig, &quote!(#enter (&mut #call).run(async move #block).await));
    }
    // The first `return` fixes the type that every later one, and the last expression, coerce to.
    let pinned = matches!(function.sig.output, syn::ReturnType::Type(..)).then(|| {
        let output = without_impl_trait(output.clone());
        quote! {
            if false {
                return #runtime::__private::never::<#output>();
            }
        }
    });
    let body = expect::expecting(runtime, &output, &function.body);
    let body = body.as_ref().unwrap_or(&function.body);
    let block = braced(function, &quote!(#pinned #prologue #body));
    let allow = captures::allowance(function);
    function.with(
        &sig,
        &quote! {
            #enter
            #allow
            let #ret = (&mut #call).run(async move #block).await;
            #before
            return #result;
        },
    )
}

// Input:
//     fn add(left: u32, right: u32) -> Pin<Box<dyn Future<Output = u32>>> {
//         Box::pin(async move { left + right })
//     }
// Output:
//     fn add(left: u32, right: u32) -> Pin<Box<dyn Future<Output = u32>>> {
//         let __site = { .. };
//         let mut __call = ::obs_runtime::__private::Call::silent();
//         (&mut __call).enter(__site);
//         let __made = (&mut __call).make(move || -> Pin<Box<..>> { Box::pin(..) });
//         return ::obs_runtime::__private::Box::pin(__call.future(__made, move |__call, __ret: &u32| {
//             (&mut *__call).conclude(::obs_runtime::__private::judge!(__ret), __ret);
//         }));
//     }
// and where it is a stream:
//         __call.stream(__made, |__ret: &u32| ::obs_runtime::__private::verdict(judge!(__ret), __ret))
fn body_that_makes(model: &Model, returned: Returned) -> TokenStream {
    let Model { function, runtime, .. } = model;
    let (call, ret, made) = (local("__call"), local("__ret"), local("__made"));
    let Captures { sig, prologue } = Captures::of(model);
    let (enter, run) = (enter(model), closure(model, &prologue));
    // What the declared type says of it, its parts need not say.
    let yields = function.yields().map(without_impl_trait).map(|ty| quote!(: &#ty));
    let whole = match returned.kind {
        Lasting::Future => {
            let conclude = conclude(model);
            quote!(#call.future(#made, move |#call, #ret #yields| { #conclude }))
        }
        Lasting::Stream => {
            let judge = judge_macro(model);
            let judge = quote!(#runtime::__private::#judge!(#ret));
            quote!(#call.stream(#made, |#ret #yields| #runtime::__private::verdict(#judge, #ret)))
        }
    };
    let whole = if returned.boxed { quote!(#runtime::__private::Box::pin(#whole)) } else { whole };
    function.with(
        &sig,
        &quote! {
            #enter
            let #made = (&mut #call).make(#run);
            return #whole;
        },
    )
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
