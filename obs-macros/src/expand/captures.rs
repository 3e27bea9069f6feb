//! Parameters on their way into the body's closure or future: dropped in the order of the plain function,
//! as often in memory, and unused where they were.
//!
//! A captured variable is dropped behind the body's own, in the order in which they were first mentioned;
//! what is not captured stays with the function around, and is dropped last. So the first statement of the
//! body mentions the parameters backwards:
//!
//! ```text
//! let _ = (&last, &first);
//! ```
//!
//! Only those that have something to drop are mentioned, and only if the user's body mentions them too:
//! others would seem to be used, and the compiler's lint on unused parameters would be lost. A parameter
//! that can't be captured as it is gets a binding of its own in the body, and then those behind it do, too.

use crate::function::{Function, bound};
use crate::model::Model;
use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use std::collections::HashSet;
use syn::ext::IdentExt;
use syn::visit_mut::VisitMut;
use syn::{Attribute, FnArg, Pat, PatIdent, ReceiverKind, Signature, Type};

/// The parameters of a function whose body runs in a closure or a future.
pub(super) struct Captures {
    /// The signature, whose patterns may differ from the user's.
    pub(super) sig: Signature,
    /// What comes before the user's body.
    pub(super) prologue: TokenStream,
}

impl Captures {
    pub(super) fn of(model: &Model) -> Self {
        let function = &model.function;
        let mut sig = function.sig.clone();
        let mentioned = Mentioned::of(&function.body);
        let mut recorded = Mentioned::default();
        let labels = model.labels.iter().map(|label| &label.value);
        let fields = model.fields.iter().map(|field| &field.value);
        labels.chain(fields).chain(&model.parent).chain(&model.follows_from).for_each(|value| {
            recorded.add(value.to_token_stream());
        });
        let (captured, bound) = (Vec::new(), TokenStream::new());
        let (cfg, lints) = (Vec::new(), Vec::new());
        let mut into = Into { mentioned, recorded, captured, cfg, lints, bound, bindings: 0, binds: false };
        for (place, input) in sig.inputs.iter_mut().enumerate() {
            match input {
                FnArg::Receiver(receiver) => {
                    let owned = match &receiver.kind {
                        ReceiverKind::Value => true,
                        ReceiverKind::Typed(_, ty) => may_drop(ty),
                        _ => false,
                    };
                    if owned && into.mentioned.has("self") {
                        into.capture(&receiver.self_token);
                    }
                }
                FnArg::Typed(typed) => {
                    into.cfg = of_these(&typed.attrs, &["cfg"]);
                    into.lints = of_these(&typed.attrs, &["allow", "expect", "warn", "deny", "cfg_attr"]);
                    let before = into.bindings;
                    into.parameter(place, &mut typed.pat, &typed.ty);
                    if into.bindings > before {
                        // It is expected of the new binding now.
                        typed.attrs.retain(|attribute| !attribute.path().is_ident("expect"));
                    }
                }
            }
        }
        let Into { captured, bound, .. } = into;
        let mut prologue = TokenStream::new();
        // A part of an expression can't be left out by `cfg`, but a statement can.
        if captured.iter().all(|(cfg, _)| cfg.is_empty()) {
            let backwards = captured.iter().rev().map(|(_, name)| name);
            if backwards.len() > 0 {
                prologue.extend(quote!(let _ = (#(&#backwards,)*);));
            }
        } else {
            let backwards = captured.iter().rev().map(|(cfg, name)| quote!(#(#cfg)* let _ = &#name;));
            prologue.extend(backwards);
        }
        prologue.extend(bound);
        Self { sig, prologue }
    }
}

/// A captured `mut self` that is assigned to before it is dropped: the compiler does not see that the drop reads it,
/// and would warn of an assignment that the plain function may have.
pub(super) fn allowance(function: &Function) -> Option<TokenStream> {
    function.sig.inputs.first().and_then(|first| match first {
        FnArg::Receiver(receiver) if receiver.mutability.is_some() => {
            Some(quote!(#[allow(unused_assignments)]))
        }
        _ => None,
    })
}

struct Into {
    /// In the body.
    mentioned: Mentioned,
    /// In the attribute's arguments, which are evaluated before the body and keep their names.
    recorded: Mentioned,
    /// What is captured as it is, in the order of the parameters, each with its `#[cfg(..)]`.
    captured: Vec<(Vec<Attribute>, TokenStream)>,
    /// The `#[cfg(..)]` of the parameter at hand.
    cfg: Vec<Attribute>,
    /// Its lint levels.
    lints: Vec<Attribute>,
    /// Bindings in the body.
    bound: TokenStream,
    bindings: usize,
    /// Something with a drop of its own is bound, so what comes behind it is bound, too.
    binds: bool,
}

impl Into {
    fn capture(&mut self, name: &impl ToTokens) {
        self.captured.push((self.cfg.clone(), name.to_token_stream()));
    }

    fn bind(&mut self, statement: &TokenStream) {
        let (cfg, lints) = (&self.cfg, &self.lints);
        self.bound.extend(quote!(#(#cfg)* #(#lints)* #statement));
        self.bindings += 1;
    }

    fn parameter(&mut self, place: usize, pat: &mut Pat, ty: &Type) {
        let drops = may_drop(ty);
        let ignored = match pat {
            Pat::Wild(_) => true,
            Pat::Ident(ident) if ident.subpat.is_none() && ident.by_ref.is_none() => {
                let name = ident.ident.to_string();
                let used = self.mentioned.has(&name) || self.recorded.has(&name);
                if used || !name.starts_with('_') {
                    return self.variable(ident, drops, ty);
                }
                true
            }
            _ => false,
        };
        if !drops {
            return;
        }
        // Behind what the body drops, it has to be dropped by the body as well.
        let behind = self.binds || !self.captured.is_empty();
        if ignored && behind {
            let name = argument(place);
            *pat = syn::parse_quote!(#name);
            if self.binds {
                self.bind(&quote!(let #name = #name;));
            } else {
                self.capture(&name);
            }
        } else if !ignored {
            self.pattern(place, pat, behind);
        }
    }

    /// A pattern whose parts are all captured, with nothing captured before it, may stay where it is.
    fn pattern(&mut self, place: usize, pat: &mut Pat, behind: bool) {
        let names = bound(pat);
        let text = |name: &Ident| name.unraw().to_string();
        let recorded = names.iter().any(|name| self.recorded.has(&text(name)));
        let all_captured = names.iter().all(|name| self.mentioned.has(&text(name)));
        let stays = all_captured
            && !self.binds
            && !behind
            && !has(pat, |part| part.by_ref.is_some() || part.mutability.is_some());
        if !stays && !recorded {
            return self.bind_pattern(place, pat);
        }
        for name in names {
            if self.mentioned.has(&text(&name)) {
                self.capture(&name);
            }
        }
    }

    fn variable(&mut self, pat: &mut PatIdent, drops: bool, ty: &Type) {
        let name = pat.ident.clone();
        let mentioned = self.mentioned.has(&name.unraw().to_string());
        let changes = mentioned && changes(pat, ty);
        let unused = drops && !mentioned && !name.to_string().starts_with('_');
        let behind = self.binds && drops && mentioned;
        if changes || behind || (unused && (self.binds || !self.captured.is_empty())) {
            let mutability = pat.mutability.take();
            // With `@ _` no lint takes it for a shadowing of the user's; but none takes it for unused, either.
            let anything = (mutability.is_none() && mentioned).then(|| quote!(@ _));
            self.bind(&quote!(let #mutability #name #anything = #name;));
            self.binds |= drops;
        } else if drops && mentioned {
            self.capture(&name);
        }
    }

    /// Takes the value in as a whole, and apart in the body.
    fn bind_pattern(&mut self, place: usize, pat: &mut Pat) {
        let name = argument(place);
        let taken_apart = std::mem::replace(pat, syn::parse_quote!(#name));
        let mutability = has(&taken_apart, |part| part.by_ref.is_some() && part.mutability.is_some());
        let mutability = mutability.then(|| quote!(mut));
        self.bind(&quote!(let #mutability #name = #name;));
        self.bind(&quote!(let #taken_apart = #name;));
        self.binds = true;
    }
}

/// Whether the body may change the parameter in a way that is not the same for a captured variable: a future's may
/// be assigned what lives no longer than the body; and of what is written through one, the compiler does not see that
/// somebody reads it, be it the caller or a destructor.
fn changes(pat: &PatIdent, ty: &Type) -> bool {
    let through = matches!(ty, Type::Reference(reference) if reference.mutability.is_some());
    through || pat.mutability.is_some()
}

fn of_these(attributes: &[Attribute], names: &[&str]) -> Vec<Attribute> {
    let is_one = |attribute: &&Attribute| names.iter().any(|name| attribute.path().is_ident(name));
    attributes.iter().filter(is_one).cloned().collect()
}

/// A parameter that the user has not given a name.
fn argument(place: usize) -> Ident {
    format_ident!("__obs_arg{}", place, span = Span::mixed_site())
}

/// The identifiers that a body mentions, in format strings too; those of fields and methods not counted.
#[derive(Default)]
struct Mentioned(HashSet<String>);

impl Mentioned {
    fn of(body: &TokenStream) -> Self {
        let mut mentioned = Self::default();
        mentioned.add(body.clone());
        mentioned
    }

    fn add(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let punct = |place: usize| match tokens.get(place) {
            Some(TokenTree::Punct(punct)) => punct.as_char(),
            _ => ' ',
        };
        for (place, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) => self.add(group.stream()),
                TokenTree::Ident(ident) => {
                    let before = |back: usize| place.checked_sub(back).map_or(' ', &punct);
                    // A field or method, and not the end of a range; a part of a path; the field of a struct.
                    let member = before(1) == '.' && before(2) != '.';
                    let in_path = before(1) == ':' && before(2) == ':';
                    let begins_path = punct(place + 1) == ':' && punct(place + 2) == ':';
                    let names_field = punct(place + 1) == ':' && punct(place + 2) != ':' && before(1) != '|';
                    if !(member || in_path || begins_path || names_field) {
                        self.0.insert(ident.unraw().to_string());
                    }
                }
                TokenTree::Literal(literal) => {
                    let text = literal.to_string();
                    // `{name}`, `{name:?}` and `{:name$}`.
                    for part in text.split('{').skip(1).filter_map(|part| part.split('}').next()) {
                        let names = part.split(|c: char| !c.is_alphanumeric() && c != '_');
                        self.0.extend(names.filter(|name| !name.is_empty()).map(str::to_owned));
                    }
                }
                TokenTree::Punct(_) => {}
            }
        }
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

/// Whether a part of a pattern is bound so.
fn has(pat: &Pat, so: fn(&PatIdent) -> bool) -> bool {
    struct Find(fn(&PatIdent) -> bool, bool);
    impl VisitMut for Find {
        fn visit_pat_ident_mut(&mut self, pat: &mut PatIdent) {
            self.1 |= (self.0)(pat);
            syn::visit_mut::visit_pat_ident_mut(self, pat);
        }
    }
    let mut find = Find(so, false);
    find.visit_pat_mut(&mut pat.clone());
    find.1
}

/// Whether a value of the type may have something to drop, as far as the type says.
fn may_drop(ty: &Type) -> bool {
    match ty {
        Type::Reference(_) => false,
        _ => !is_plain(ty),
    }
}

/// Whether the type shows at a glance that it holds nothing but numbers and pointers.
fn is_plain(ty: &Type) -> bool {
    const PLAIN: &[&str] = &[
        "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64",
        "u128", "usize",
    ];
    match ty {
        Type::Ptr(_) | Type::FnPtr(_) | Type::Never(_) => true,
        Type::Tuple(tuple) => tuple.elems.iter().all(is_plain),
        Type::Array(array) => is_plain(&array.elem),
        Type::Paren(inner) => is_plain(&inner.elem),
        Type::Group(inner) => is_plain(&inner.elem),
        Type::Path(path) => PLAIN.iter().any(|plain| path.path.is_ident(plain)),
        _ => false,
    }
}
