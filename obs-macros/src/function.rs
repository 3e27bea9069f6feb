//! The user's function: its signature parsed, its body left as the tokens it is.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{
    Attribute, FnArg, GenericArgument, Ident, Pat, PathArguments, PathSegment, ReturnType, Signature, Type,
    TypeParamBound, Visibility,
};

/// A function whose body is not parsed: it may be half typed, and still is handed on unchanged.
pub(crate) struct Function {
    /// Outer attributes, and the body's inner ones, which act on the function all the same.
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: TokenStream,
    pub(crate) brace: syn::token::Brace,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        if is_other_item(input) {
            return Err(input.error("`#[observe]` goes on a function or a method"));
        }
        let sig = input.parse()?;
        if input.peek(syn::Token![;]) {
            return Err(input.error("`#[observe]` needs a body to observe; put it on the implementation"));
        }
        let content;
        let brace = syn::braced!(content in input);
        for mut inner in content.call(Attribute::parse_inner)? {
            inner.style = syn::AttrStyle::Outer;
            attrs.push(inner);
        }
        Ok(Self { attrs, vis, sig, body: content.parse()?, brace })
    }
}

/// Whether an item begins here that is no function.
fn is_other_item(input: ParseStream<'_>) -> bool {
    let keywords =
        ["impl", "trait", "mod", "struct", "enum", "union", "type", "static", "use", "macro_rules"];
    input.fork().call(Ident::parse_any).is_ok_and(|ident| keywords.iter().any(|keyword| ident == keyword))
}

/// How a function runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Sync,
    Async,
    /// Not `async` itself, but what it returns is: such as what `#[async_trait]` makes of a method.
    Returns(Returned),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Returned {
    /// `impl Future<..>`
    Opaque,
    /// `Pin<Box<dyn Future<..>>>`, or an alias of that name that everybody knows.
    Boxed,
}

impl Function {
    pub(crate) fn shape(&self) -> Shape {
        if self.sig.asyncness.is_some() {
            return Shape::Async;
        }
        returned_future(&self.output()).map_or(Shape::Sync, |(returned, _)| Shape::Returns(returned))
    }

    /// What a call yields in the end: the return type, or the output of the future that is returned.
    pub(crate) fn result(&self) -> Type {
        let output = self.output();
        returned_future(&output).and_then(|(_, result)| result).unwrap_or(output)
    }

    /// The declared return type, `()` if there is none.
    pub(crate) fn output(&self) -> Type {
        match &self.sig.output {
            ReturnType::Default => syn::parse_quote!(()),
            ReturnType::Type(_, ty) => (**ty).clone(),
        }
    }

    /// The type of the parameter of that name.
    pub(crate) fn parameter(&self, name: &Ident) -> Option<&Type> {
        self.sig.inputs.iter().find_map(|input| match input {
            FnArg::Typed(typed) => match &*typed.pat {
                Pat::Ident(pat) if pat.ident == *name => Some(&*typed.ty),
                _ => None,
            },
            FnArg::Receiver(_) => None,
        })
    }

    /// The function with another body.
    pub(crate) fn with_body(&self, body: &TokenStream) -> TokenStream {
        let Self { attrs, vis, sig, brace, .. } = self;
        let mut tokens = quote!(#(#attrs)* #vis #sig);
        brace.surround(&mut tokens, |inner| body.to_tokens(inner));
        tokens
    }
}

impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(self.with_body(&self.body));
    }
}

/// Whether the type is a future, and of what, as far as it says.
fn returned_future(ty: &Type) -> Option<(Returned, Option<Type>)> {
    match ty {
        Type::ImplTrait(opaque) => {
            let output = future_bound(&opaque.bounds)?;
            // What stands in its place can be a future, and whatever its parts are, but nothing more.
            let others: Vec<String> = opaque.bounds.iter().filter_map(trait_name).collect();
            let unpin = others.iter().any(|name| name == "Unpin");
            let kept = others.iter().all(|name| ["Future", "Send", "Sync", "Unpin"].contains(&name.as_str()));
            kept.then_some((if unpin { Returned::Boxed } else { Returned::Opaque }, output))
        }
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            let mut arguments = type_arguments(last);
            let argument = arguments.next();
            if last.ident == "Pin" {
                let Type::Path(boxed) = argument? else { return None };
                let boxed = boxed.path.segments.last().filter(|last| last.ident == "Box")?;
                let Type::TraitObject(object) = type_arguments(boxed).next()? else { return None };
                return future_bound(&object.bounds).map(|output| (Returned::Boxed, output));
            }
            // As in `futures`: a lifetime, and what it yields.
            let known = (last.ident == "BoxFuture" || last.ident == "LocalBoxFuture") && has_lifetime(last);
            (known && arguments.next().is_none()).then(|| (Returned::Boxed, argument.cloned()))
        }
        _ => None,
    }
}

fn trait_name(bound: &TypeParamBound) -> Option<String> {
    match bound {
        TypeParamBound::Trait(bound) => Some(bound.path.segments.last()?.ident.to_string()),
        _ => None,
    }
}

fn has_lifetime(segment: &PathSegment) -> bool {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return false };
    arguments.args.iter().any(|argument| matches!(argument, GenericArgument::Lifetime(_)))
}

fn type_arguments(segment: &PathSegment) -> impl Iterator<Item = &Type> {
    let arguments = match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => Some(&arguments.args),
        _ => None,
    };
    arguments.into_iter().flatten().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// The `Output` of a bound `Future<Output = ..>`.
#[allow(clippy::option_option, reason = "no future, a future of something, a future of what it does not say")]
fn future_bound<P>(bounds: &Punctuated<TypeParamBound, P>) -> Option<Option<Type>> {
    bounds.iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else { return None };
        let last = bound.path.segments.last().filter(|last| last.ident == "Future")?;
        let PathArguments::AngleBracketed(arguments) = &last.arguments else { return Some(None) };
        Some(arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(output) if output.ident == "Output" => Some(output.ty.clone()),
            _ => None,
        }))
    })
}
