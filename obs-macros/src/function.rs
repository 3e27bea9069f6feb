//! The user's function: its signature parsed, its body left as the tokens it is.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, FnArg, Ident, Pat, ReturnType, Signature, Type, Visibility};

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

impl Function {
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
