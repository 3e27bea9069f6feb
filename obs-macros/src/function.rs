//! The user's function: its signature parsed, its body left as the tokens it is.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use std::collections::HashSet;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::visit_mut::VisitMut;
use syn::{
    Attribute, FnArg, GenericArgument, GenericParam, Ident, Pat, PatIdent, PathArguments, PathSegment,
    ReturnType, Signature, Token, Type, TypeParamBound, Visibility,
};

/// A function whose body is not parsed: it may be half typed, and still is handed on unchanged.
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    /// `#![..]` at the beginning of its body.
    pub(crate) inner: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: TokenStream,
    pub(crate) brace: syn::token::Brace,
}

/// A function as it may stand in a trait.
pub(crate) enum Declared {
    Function(Box<Function>),
    /// `fn name();`
    Bodiless(TokenStream),
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let ahead = input.fork();
        ahead.call(Attribute::parse_outer)?;
        ahead.parse::<Visibility>()?;
        if is_other_item(&ahead) {
            return Err(ahead.error(
                "`#[observe]` goes on a function, or on `impl`, `trait` or `mod` with functions in it",
            ));
        }
        let end = input.fork();
        match input.parse()? {
            Declared::Function(function) => Ok(*function),
            Declared::Bodiless(_) => {
                Err(end.error("`#[observe]` needs a body to observe; put it on the implementation"))
            }
        }
    }
}

impl Parse for Declared {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let sig: Signature = input.parse()?;
        if let Some(semicolon) = input.parse::<Option<Token![;]>>()? {
            return Ok(Self::Bodiless(quote!(#(#attrs)* #vis #sig #semicolon)));
        }
        let content;
        let brace = syn::braced!(content in input);
        let inner = content.call(Attribute::parse_inner)?;
        Ok(Self::Function(Box::new(Function { attrs, inner, vis, sig, body: content.parse()?, brace })))
    }
}

/// Whether an item begins here that is no function.
fn is_other_item(input: ParseStream<'_>) -> bool {
    let keywords = ["struct", "enum", "union", "type", "static", "use", "macro_rules"];
    input.fork().call(Ident::parse_any).is_ok_and(|ident| keywords.iter().any(|keyword| ident == keyword))
}

/// How a function runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runs {
    /// To its end, when it is called.
    Sync,
    /// When its future is polled.
    Async,
    /// Not `async` itself, but what it returns is: such as what `#[async_trait]` makes of a method.
    Returns(Returned),
}

/// What a function returns that goes on after it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Returned {
    pub(crate) kind: Lasting,
    /// `Pin<Box<dyn ..>>`, or an alias of that name that everybody knows; otherwise `impl ..`.
    pub(crate) boxed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lasting {
    Future,
    Stream,
}

impl Function {
    pub(crate) fn runs(&self) -> Runs {
        if self.sig.asyncness.is_some() {
            return Runs::Async;
        }
        let output = self.output();
        if self.tracks_caller() {
            // What is returned can't be made elsewhere.
            return Runs::Sync;
        }
        let lifetimes = lifetimes(&output);
        match returned(&output) {
            // Box in box: what is in the inner one would have to live as long as the outer one.
            Some(_) if lifetimes.contains("static") && lifetimes.len() > 1 => Runs::Sync,
            Some((returned, _)) => Runs::Returns(returned),
            None => Runs::Sync,
        }
    }

    /// Whether its body is not Rust.
    pub(crate) fn is_naked(&self) -> bool {
        self.attrs.iter().any(|attribute| {
            let unsafe_naked = match &attribute.meta {
                syn::Meta::List(list) => list.tokens.to_string() == "naked",
                _ => false,
            };
            attribute.path().is_ident("naked") || (attribute.path().is_ident("unsafe") && unsafe_naked)
        })
    }

    /// Whether its body asks who called it.
    pub(crate) fn tracks_caller(&self) -> bool {
        self.attrs.iter().any(|attribute| attribute.path().is_ident("track_caller"))
    }

    /// What a call yields in the end: the return type, or what the future or stream yields that is returned.
    pub(crate) fn result(&self) -> Type {
        let output = self.output();
        returned(&output).and_then(|(_, result)| result).unwrap_or(output)
    }

    /// What the future or stream yields that is returned, if that is said.
    pub(crate) fn yields(&self) -> Option<Type> {
        returned(&self.output())?.1
    }

    /// The declared return type, `()` if there is none.
    pub(crate) fn output(&self) -> Type {
        match &self.sig.output {
            ReturnType::Default => syn::parse_quote!(()),
            ReturnType::Type(_, ty) => peeled(ty).clone(),
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

    /// Whether a type or constant of that name is a generic parameter.
    pub(crate) fn is_generic(&self, name: &Ident) -> bool {
        self.sig.generics.params.iter().any(|parameter| match parameter {
            GenericParam::Type(parameter) => parameter.ident == *name,
            GenericParam::Const(parameter) => parameter.ident == *name,
            GenericParam::Lifetime(_) => false,
        })
    }

    /// Whether a parameter, or a part of one, is called so.
    pub(crate) fn binds(&self, name: &Ident) -> bool {
        self.sig.inputs.iter().any(|input| match input {
            FnArg::Typed(typed) => bound(&typed.pat).iter().any(|bound| bound == name),
            FnArg::Receiver(_) => false,
        })
    }

    /// The function with another signature and another body.
    pub(crate) fn with(&self, sig: &Signature, body: &TokenStream) -> TokenStream {
        let Self { attrs, inner, vis, brace, .. } = self;
        let mut tokens = quote!(#(#attrs)* #vis #sig);
        brace.surround(&mut tokens, |braced| braced.extend(quote!(#(#inner)* #body)));
        tokens
    }
}

impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(self.with(&self.sig, &self.body));
    }
}

/// The variables that a pattern binds.
pub(crate) fn bound(pat: &Pat) -> Vec<Ident> {
    struct Collect(Vec<Ident>);
    impl VisitMut for Collect {
        fn visit_pat_ident_mut(&mut self, pat: &mut PatIdent) {
            // What begins with a capital is a constant or a variant.
            if !pat.ident.to_string().starts_with(char::is_uppercase) {
                self.0.push(pat.ident.clone());
            }
            syn::visit_mut::visit_pat_ident_mut(self, pat);
        }
    }
    let mut collect = Collect(Vec::new());
    collect.visit_pat_mut(&mut pat.clone());
    collect.0
}

/// The lifetimes that a type names, and `_` if it has any without a name.
fn lifetimes(ty: &Type) -> HashSet<String> {
    struct Collect(HashSet<String>);
    impl VisitMut for Collect {
        fn visit_lifetime_mut(&mut self, lifetime: &mut syn::Lifetime) {
            self.0.insert(lifetime.ident.to_string());
        }
        fn visit_type_reference_mut(&mut self, reference: &mut syn::TypeReference) {
            if reference.lifetime.is_none() {
                self.0.insert("_".to_owned());
            }
            syn::visit_mut::visit_type_reference_mut(self, reference);
        }
    }
    let mut collect = Collect(HashSet::new());
    collect.visit_type_mut(&mut ty.clone());
    collect.0
}

/// The type without parentheses, and without what `macro_rules` puts around it.
fn peeled(ty: &Type) -> &Type {
    match ty {
        Type::Group(inner) => peeled(&inner.elem),
        Type::Paren(inner) => peeled(&inner.elem),
        other => other,
    }
}

/// Whether the type is a future or a stream, and of what, as far as it says.
fn returned(ty: &Type) -> Option<(Returned, Option<Type>)> {
    match peeled(ty) {
        Type::ImplTrait(opaque) => {
            let (kind, item) = lasting_bound(&opaque.bounds)?;
            // What stands in its place can be that, and whatever its parts are, but nothing more.
            let others: Vec<String> = opaque.bounds.iter().filter_map(trait_name).collect();
            let kept = ["Future", "Stream", "Send", "Sync", "Unpin"];
            let all_kept = others.iter().all(|name| kept.contains(&name.as_str()));
            all_kept.then_some((Returned { kind, boxed: false }, item))
        }
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            let mut arguments = type_arguments(last);
            let argument = arguments.next();
            if last.ident == "Pin" {
                let Type::Path(boxed) = peeled(argument?) else { return None };
                let boxed = boxed.path.segments.last().filter(|last| last.ident == "Box")?;
                let Type::TraitObject(object) = peeled(type_arguments(boxed).next()?) else { return None };
                // What stands in its place is sent where its parts are, but has no more to it.
                let kept = object
                    .bounds
                    .iter()
                    .filter_map(trait_name)
                    .all(|name| ["Future", "Stream", "Send", "Sync", "Unpin"].contains(&name.as_str()));
                let (kind, item) = lasting_bound(&object.bounds).filter(|_| kept)?;
                return Some((Returned { kind, boxed: true }, item));
            }
            // As in `futures`: a lifetime, and what it yields.
            let kind = match last.ident.to_string().as_str() {
                "BoxFuture" | "LocalBoxFuture" => Lasting::Future,
                "BoxStream" | "LocalBoxStream" => Lasting::Stream,
                _ => return None,
            };
            // An alias of that name may yield something else.
            let known = has_lifetime(last) && argument.is_some() && arguments.next().is_none();
            known.then_some((Returned { kind, boxed: true }, None))
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

/// A bound `Future<Output = ..>` or `Stream<Item = ..>`, and the type it names, if it does.
fn lasting_bound<P>(bounds: &Punctuated<TypeParamBound, P>) -> Option<(Lasting, Option<Type>)> {
    bounds.iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else { return None };
        let last = bound.path.segments.last()?;
        let (kind, yields) = match last.ident.to_string().as_str() {
            "Future" => (Lasting::Future, "Output"),
            "Stream" => (Lasting::Stream, "Item"),
            _ => return None,
        };
        // A trait of that name that says nothing of what it yields may be the user's own.
        let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
        let named = arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(yielded) if yielded.ident == yields => Some(yielded.ty.clone()),
            _ => None,
        });
        Some((kind, Some(named?)))
    })
}
