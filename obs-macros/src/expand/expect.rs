//! A future that yields a closure, `async fn .. -> impl Fn(&T) -> u64`: the compiler infers the closure's parameters
//! from that type, which a body inside a future of ours does not see. It is said again around the body.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::punctuated::Punctuated;
use syn::visit_mut::VisitMut;
use syn::{
    BoundLifetimes, Lifetime, ParenthesizedGenericArguments, Path, PathArguments, ReturnType, Token, Type,
    TypeParamBound,
};

// Input:
//     -> (impl Fn(&T) -> u64 + 'a, u8)
// Output:
//     {
//         fn __expect<A0: ?Sized, A1, R2: Fn(&A0) -> A1, A3>(value: (R2, A3)) -> (R2, A3) { value }
//         __expect::<T, u64, _, u8>({ body })
//     }
/// The body, evaluated where a value of the declared type is expected. `None` if nothing can be inferred
/// from that type.
pub(super) fn expecting(runtime: &Path, output: &Type, body: &TokenStream) -> Option<TokenStream> {
    let mut expect = Expect::new(runtime);
    let shape = expect.value(output);
    if !expect.closures || expect.unknown {
        return None;
    }
    let Expect { parameters, arguments, .. } = expect;
    Some(quote!({
        fn __expect<#(#parameters),*>(value: #shape) -> #shape {
            value
        }
        __expect::<#(#arguments),*>({ #body })
    }))
}

/// A generic function in the making: it can name neither `Self` nor the generics around it, so every type
/// in the signature becomes a parameter of its own.
struct Expect<'a> {
    runtime: &'a Path,
    parameters: Vec<TokenStream>,
    arguments: Vec<TokenStream>,
    /// Lifetimes of `for<..>`, which are the bound's own.
    own: Vec<Lifetime>,
    closures: bool,
    /// Something in the signature can't be said again.
    unknown: bool,
}

impl<'a> Expect<'a> {
    fn new(runtime: &'a Path) -> Self {
        Self {
            runtime,
            parameters: Vec::new(),
            arguments: Vec::new(),
            own: Vec::new(),
            closures: false,
            unknown: false,
        }
    }

    /// A type whose `impl Trait`s become parameters.
    fn value(&mut self, ty: &Type) -> TokenStream {
        match ty {
            Type::ImplTrait(opaque) => self.opaque(&opaque.bounds),
            Type::Paren(inner) => self.value(&inner.elem),
            Type::Group(inner) => self.value(&inner.elem),
            Type::Tuple(tuple) => {
                let parts: Vec<TokenStream> = tuple.elems.iter().map(|part| self.value(part)).collect();
                quote!((#(#parts,)*))
            }
            other => self.named(other, true),
        }
    }

    fn opaque(&mut self, bounds: &Punctuated<TypeParamBound, Token![+]>) -> TokenStream {
        let callable = bounds.iter().find_map(|bound| {
            let TypeParamBound::Trait(bound) = bound else { return None };
            let last = bound.path.segments.last()?;
            let PathArguments::Parenthesized(arguments) = &last.arguments else { return None };
            Some((bound, arguments))
        });
        let bound = callable.map(|(bound, arguments)| {
            self.closures = true;
            let own = bound.lifetimes.as_ref();
            let arguments = self.callable(own, arguments);
            let mut path = bound.path.clone();
            if let Some(last) = path.segments.last_mut() {
                last.arguments = PathArguments::None;
            }
            quote!(: #own #path #arguments)
        });
        let name = format_ident!("R{}", self.parameters.len());
        self.parameters.push(quote!(#name #bound));
        self.arguments.push(quote!(_));
        quote!(#name)
    }

    /// `(A, &B) -> C`
    fn callable(
        &mut self,
        own: Option<&BoundLifetimes>,
        arguments: &ParenthesizedGenericArguments,
    ) -> TokenStream {
        let before = self.own.len();
        let lifetimes = own.into_iter().flat_map(|own| &own.lifetimes);
        self.own.extend(lifetimes.filter_map(|parameter| match parameter {
            syn::GenericParam::Lifetime(lifetime) => Some(lifetime.lifetime.clone()),
            _ => None,
        }));
        let inputs: Vec<TokenStream> =
            arguments.inputs.iter().map(|input| self.borrowed(&input.ty, true)).collect();
        let output = match &arguments.output {
            ReturnType::Default => None,
            ReturnType::Type(arrow, ty) => {
                let ty = self.borrowed(ty, true);
                Some(quote!(#arrow #ty))
            }
        };
        self.own.truncate(before);
        quote!((#(#inputs),*) #output)
    }

    /// A type in the signature of a closure, where references without a lifetime have one each time anew.
    fn borrowed(&mut self, ty: &Type, sized: bool) -> TokenStream {
        match ty {
            Type::Reference(reference) if self.is_anew(reference.lifetime.as_ref()) => {
                let (and, lifetime, mutability) =
                    (&reference.and_token, &reference.lifetime, &reference.mutability);
                let inner = self.borrowed(&reference.elem, false);
                quote!(#and #lifetime #mutability #inner)
            }
            Type::Paren(inner) => self.borrowed(&inner.elem, sized),
            Type::Group(inner) => self.borrowed(&inner.elem, sized),
            Type::Tuple(tuple) => {
                let parts: Vec<TokenStream> =
                    tuple.elems.iter().map(|part| self.borrowed(part, true)).collect();
                quote!((#(#parts,)*))
            }
            other => {
                // What is borrowed further inside has a lifetime that a parameter can't stand for.
                self.unknown |= has_lifetimes(other);
                self.named(other, sized)
            }
        }
    }

    fn is_anew(&self, lifetime: Option<&Lifetime>) -> bool {
        lifetime.is_none_or(|lifetime| lifetime.ident == "_" || self.own.contains(lifetime))
    }

    /// A type that is given when the function is called.
    fn named(&mut self, ty: &Type, sized: bool) -> TokenStream {
        let name = format_ident!("A{}", self.parameters.len());
        let runtime = self.runtime;
        let unsized_too = (!sized).then(|| quote!(: ?#runtime::__private::Sized));
        self.parameters.push(quote!(#name #unsized_too));
        self.arguments.push(quote!(#ty));
        quote!(#name)
    }
}

/// Whether a type has lifetimes, said or not.
fn has_lifetimes(ty: &Type) -> bool {
    struct Find(bool);
    impl VisitMut for Find {
        fn visit_lifetime_mut(&mut self, _: &mut Lifetime) {
            self.0 = true;
        }
        fn visit_type_reference_mut(&mut self, _: &mut syn::TypeReference) {
            self.0 = true;
        }
        fn visit_type_trait_object_mut(&mut self, _: &mut syn::TypeTraitObject) {
            self.0 = true;
        }
        fn visit_qself_mut(&mut self, _: &mut syn::QSelf) {
            self.0 = true;
        }
    }
    let mut find = Find(false);
    find.visit_type_mut(&mut ty.clone());
    find.0
}
