//! `context! { name = value, %other }`: fields in a scope, in the syntax of `fields(..)`.

use crate::args::FieldArg;
use crate::errors::Errors;
use crate::expand::field_values;
use crate::model::{self, Field};
use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Path, Token};

/// The runtime's path, which `macro_rules!` knows, then the fields.
struct Input {
    runtime: Path,
    fields: TokenStream,
}

impl Parse for Input {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let runtime = input.parse()?;
        input.parse::<Token![;]>()?;
        Ok(Self { runtime, fields: input.parse()? })
    }
}

/// The whole expansion: an expression that is a context, whatever is wrong with the fields.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let input: Input = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let mut errors = Errors::default();
    let fields = errors.keep(Punctuated::<FieldArg, Token![,]>::parse_terminated.parse2(input.fields));
    let fields = model::fields(fields.into_iter().flatten().collect(), &mut errors);
    let runtime = &input.runtime;
    if errors.len() > 0 {
        let errors = errors.into_tokens();
        return quote!({ #errors #runtime::Context::default() });
    }
    tokens(runtime, &fields)
}

fn tokens(runtime: &Path, fields: &[Field]) -> TokenStream {
    let names = fields.iter().map(|field| &field.name);
    let values = field_values(runtime, fields);
    // A statement of its own, so that borrows of the values end there, and not behind an `.await`.
    quote!({
        let context =
            #runtime::__private::context_of(#runtime::__private::names!([#(#names),*]), &[#(#values),*]);
        context
    })
}
