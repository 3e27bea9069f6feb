//! What the attribute stands on: a function, or a block of them.

use crate::args::Args;
use crate::errors::Errors;
use crate::expand;
use crate::function::{Declared, Function};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Attribute, Ident, Meta, Token, Type, Visibility};

/// An item to observe.
pub(crate) enum Item {
    Function(Box<Function>),
    Block(Block),
}

/// `impl`, `trait` or `mod`: its functions are observed one by one, each by the block's arguments.
pub(crate) struct Block {
    /// All before the braces.
    header: TokenStream,
    brace: syn::token::Brace,
    /// What is in them, inner attributes first.
    body: TokenStream,
    /// What goes before the names of its functions.
    owner: Option<String>,
    within: Within,
}

/// What may stand between the braces.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Items,
    /// Functions with `self`, types and constants.
    Members,
}

impl Item {
    /// Reads a function, without its body, or a block, without what is in it.
    pub(crate) fn parse(item: TokenStream) -> syn::Result<Self> {
        match keyword.parse2(item.clone())? {
            Keyword::Block => Ok(Self::Block(syn::parse2(item)?)),
            Keyword::Other => Ok(Self::Function(Box::new(syn::parse2(item)?))),
        }
    }
}

enum Keyword {
    Block,
    Other,
}

/// Which kind of item begins here.
fn keyword(input: ParseStream<'_>) -> syn::Result<Keyword> {
    input.call(Attribute::parse_outer)?;
    input.parse::<Visibility>()?;
    let mut keyword = Keyword::Other;
    if input.peek(Token![unsafe]) && !input.peek2(Token![fn]) && !input.peek2(Token![extern]) {
        input.parse::<Token![unsafe]>()?;
    }
    if input.peek(Token![impl]) || input.peek(Token![trait]) || input.peek(Token![mod]) {
        keyword = Keyword::Block;
    }
    input.parse::<TokenStream>()?;
    Ok(keyword)
}

impl Parse for Block {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut header = TokenStream::new();
        while !input.is_empty() && !input.peek(syn::token::Brace) {
            input.parse::<proc_macro2::TokenTree>()?.to_tokens(&mut header);
        }
        if input.is_empty() {
            return Err(input.error("`#[observe]` needs functions to observe: a block with braces"));
        }
        let content;
        let brace = syn::braced!(content in input);
        let body = content.parse()?;
        // The header alone is an item, too.
        let (owner, within) = match syn::parse2(quote!(#header {}))? {
            syn::Item::Impl(item) => (type_name(&item.self_ty), Within::Members),
            syn::Item::Trait(item) => (Some(item.ident.unraw().to_string()), Within::Members),
            syn::Item::Mod(_) => (None, Within::Items),
            other => {
                return Err(syn::Error::new_spanned(other, "`#[observe]` goes on `impl`, `trait` or `mod`"));
            }
        };
        Ok(Self { header, brace, body, owner, within })
    }
}

/// The last name of a type: of `&mut list::List<T>` it is `List`.
fn type_name(ty: &Type) -> Option<String> {
    match ty {
        Type::Path(path) => Some(path.path.segments.last()?.ident.unraw().to_string()),
        Type::Reference(reference) => type_name(&reference.elem),
        Type::Paren(inner) => type_name(&inner.elem),
        Type::Group(inner) => type_name(&inner.elem),
        Type::TraitObject(object) => object.bounds.iter().find_map(|bound| match bound {
            syn::TypeParamBound::Trait(bound) => Some(bound.path.segments.last()?.ident.unraw().to_string()),
            _ => None,
        }),
        _ => None,
    }
}

impl Block {
    /// The block with its functions observed.
    pub(crate) fn observed(self, args: &Args, errors: &mut Errors) -> TokenStream {
        // The block's name is not that of each of its functions.
        let args =
            &Args { prefix: args.name.clone().or_else(|| args.prefix.clone()), name: None, ..args.clone() };
        let mut observed = TokenStream::new();
        let items = |input: ParseStream<'_>| {
            for attribute in input.call(Attribute::parse_inner)? {
                attribute.to_tokens(&mut observed);
            }
            while !input.is_empty() {
                observed.extend(self.item(input, args, errors)?);
            }
            Ok(())
        };
        let mut tokens = self.header.clone();
        if let Err(error) = items.parse2(self.body.clone()) {
            // Half typed, perhaps: the rest is handed on, and the compiler says what it thinks.
            errors.push(error);
            observed = self.body.clone();
        }
        self.brace.surround(&mut tokens, |inner| inner.extend(observed));
        tokens
    }

    /// One item, observed if it is a function, or if functions are in it.
    fn item(&self, input: ParseStream<'_>, args: &Args, errors: &mut Errors) -> syn::Result<TokenStream> {
        let ahead = input.fork();
        let attributes = ahead.call(Attribute::parse_outer)?;
        let mut own = attributes.iter().filter(|attribute| is_observe(attribute)).map(arguments);
        let own = own.next();
        ahead.parse::<Visibility>()?;
        if begins_function(&ahead) {
            let mut function = match Declared::parse(input)? {
                Declared::Function(function) => function,
                Declared::Bodiless(declaration) => return Ok(declaration),
            };
            function.attrs.retain(|attribute| !is_observe(attribute));
            if function.sig.constness.is_some() || function.is_naked() {
                return Ok(function.into_token_stream());
            }
            return Ok(match own {
                Some(own) if is_skip(&own) => function.into_token_stream(),
                Some(own) => {
                    let own = Args::parse(own, errors).or(args);
                    expand::observed(own, *function, self.owner.as_deref(), errors)
                }
                None => expand::observed(args.clone(), *function, self.owner.as_deref(), errors),
            });
        }
        if self.within == Within::Members {
            return Ok(input.parse::<syn::ImplItem>()?.into_token_stream());
        }
        let item: syn::Item = input.parse()?;
        let nested = matches!(item, syn::Item::Impl(_) | syn::Item::Trait(_))
            || matches!(&item, syn::Item::Mod(module) if module.content.is_some());
        if !nested {
            return Ok(item.into_token_stream());
        }
        let item = without_observe(item);
        Ok(match own {
            Some(own) if is_skip(&own) => item,
            Some(own) => {
                let own = Args::parse(own, errors).or(args);
                syn::parse2::<Self>(item)?.observed(&own, errors)
            }
            None => syn::parse2::<Self>(item)?.observed(args, errors),
        })
    }
}

/// What stands in the attribute's parentheses.
fn arguments(attribute: &Attribute) -> TokenStream {
    match &attribute.meta {
        Meta::List(list) => list.tokens.clone(),
        _ => TokenStream::new(),
    }
}

fn without_observe(item: syn::Item) -> TokenStream {
    let strip = |attributes: &mut Vec<Attribute>| attributes.retain(|attribute| !is_observe(attribute));
    let mut item = item;
    match &mut item {
        syn::Item::Impl(item) => strip(&mut item.attrs),
        syn::Item::Trait(item) => strip(&mut item.attrs),
        syn::Item::Mod(item) => strip(&mut item.attrs),
        _ => {}
    }
    item.into_token_stream()
}

/// `skip`, alone: the function is left out.
fn is_skip(arguments: &TokenStream) -> bool {
    syn::parse2::<Ident>(arguments.clone()).is_ok_and(|word| word == "skip")
}

fn is_observe(attribute: &Attribute) -> bool {
    attribute.path().segments.last().is_some_and(|last| last.ident == "observe")
}

/// Whether a function follows, behind its attributes and its visibility.
fn begins_function(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    while !ahead.peek(Token![fn]) {
        let qualifier = ahead.peek(Token![const])
            || ahead.peek(Token![async])
            || ahead.peek(Token![unsafe])
            || ahead.peek(Token![extern])
            || ahead.peek(syn::LitStr)
            || ahead.peek(Token![default]);
        // `const NAME: ..` and `unsafe impl ..` end here.
        if !qualifier || ahead.parse::<proc_macro2::TokenTree>().is_err() {
            return false;
        }
    }
    true
}
