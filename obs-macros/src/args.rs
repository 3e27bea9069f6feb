//! First stage: the tokens of `#[observe(..)]` as arguments that keep their spans.

use crate::errors::Errors;
use crate::settings::{self, crate_path, foreign, list, set_once, unknown, value};
use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprArray, Ident, Lit, LitInt, LitStr, Path, Token, Type};

/// Every argument that `#[observe]` takes, in the order of its reference.
const VALID: &[&str] = &[
    "name",
    "metric",
    "labels",
    "fields",
    "err",
    "ok",
    "slow",
    "stuck",
    "level",
    "target",
    "parent",
    "follows_from",
    "kind",
    "buckets",
    "slo",
    "budget",
    "no_span",
    "no_metrics",
    "no_log",
    "skip",
    "skip_all",
    "crate",
];

/// Arguments of other macros, and what to write here.
const FOREIGN: &[(&str, &str)] = &[
    (
        "ret",
        "return values are not recorded: count by them with `labels(name: Type = ret => expr)`, and see successes with `ok(level = \"info\")`",
    ),
    ("objective", "write `slo(latency = \"250ms\", objective = 99.9)`"),
    ("track_concurrency", "every function has its `function_calls_in_flight`; drop it"),
    ("ok_if", "implement `obs_runtime::Outcome` for the type that is returned, or return a `Result`"),
    ("error_if", "implement `obs_runtime::Outcome` for the type that is returned, or return a `Result`"),
    ("short_name", "names are paths; write `name = \"..\"` for a short one"),
    ("enter_on_poll", "a span is entered with each poll, and is one span; drop it"),
    ("properties", "write `fields(key = value)`"),
];

/// The arguments as written: nothing is checked but their form.
#[derive(Clone, Default)]
pub(crate) struct Args {
    pub(crate) name: Option<TextArg>,
    pub(crate) metric: Option<LitStr>,
    pub(crate) labels: Option<Vec<LabelArg>>,
    pub(crate) fields: Option<Vec<FieldArg>>,
    pub(crate) err: Option<ErrArg>,
    pub(crate) ok: Option<OkArg>,
    pub(crate) slow: Option<LitStr>,
    pub(crate) stuck: Option<LitStr>,
    pub(crate) level: Option<LevelArg>,
    pub(crate) target: Option<TextArg>,
    pub(crate) parent: Option<Expr>,
    pub(crate) follows_from: Option<Expr>,
    pub(crate) kind: Option<LitStr>,
    pub(crate) buckets: Option<ExprArray>,
    pub(crate) slo: Option<SloArg>,
    pub(crate) budget: Option<LitInt>,
    pub(crate) no_span: Option<Span>,
    pub(crate) no_metrics: Option<Span>,
    pub(crate) no_log: Option<Span>,
    /// Parameters that another macro would not record. Here none are that are not named.
    pub(crate) skip: Option<Vec<Ident>>,
    pub(crate) skip_all: Option<Span>,
    pub(crate) runtime: Option<Path>,
    /// What a block says goes before the names of its functions.
    pub(crate) prefix: Option<TextArg>,
    /// Other macros have rewritten the item by now.
    pub(crate) last: bool,
    /// Nothing is to be observed.
    pub(crate) off: bool,
}

/// A text, as a literal or as a constant.
#[derive(Clone)]
pub(crate) enum TextArg {
    Literal(LitStr),
    Constant(Path),
}

/// A level: `"info"`, `Level::INFO`, or a number as `tracing` takes it.
#[derive(Clone)]
pub(crate) enum LevelArg {
    Word(LitStr),
    Number(LitInt),
    Path(Path),
}

/// One entry of `labels(..)`.
#[derive(Clone)]
pub(crate) struct LabelArg {
    pub(crate) name: Ident,
    pub(crate) ty: Option<Type>,
    pub(crate) value: Option<LabelValue>,
}

/// Where a label's value comes from, if not from the parameter of its name.
#[derive(Clone)]
pub(crate) enum LabelValue {
    /// `= expr`
    Expr(Expr),
    /// `= ret => expr`, evaluated over a reference to the return value.
    Result { ret: Ident, expr: Expr },
}

/// One entry of `fields(..)`.
#[derive(Clone)]
pub(crate) struct FieldArg {
    pub(crate) name: FieldName,
    pub(crate) span: Span,
    pub(crate) how: Recorded,
    pub(crate) value: Expr,
}

/// A field's name.
#[derive(Clone)]
pub(crate) enum FieldName {
    Known(String),
    /// `{CONSTANT} = value`
    Constant(TokenStream),
}

impl FieldName {
    /// The name, unless it is a constant.
    pub(crate) fn known(&self) -> Option<&str> {
        match self {
            Self::Known(name) => Some(name),
            Self::Constant(_) => None,
        }
    }
}

impl ToTokens for FieldName {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Known(name) => name.to_tokens(tokens),
            Self::Constant(constant) => constant.to_tokens(tokens),
        }
    }
}

/// How a field's value is written, by `tracing`'s sigils.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recorded {
    Value,
    Display,
    Debug,
}

/// `err(kind = T, none, level = "…")`.
#[derive(Clone, Default)]
pub(crate) struct ErrArg {
    pub(crate) kind: Option<Type>,
    /// `None` is a failure.
    pub(crate) none: Option<Span>,
    pub(crate) level: Option<LevelArg>,
}

/// `ok(level = "…")`.
#[derive(Clone, Default)]
pub(crate) struct OkArg {
    pub(crate) level: Option<LevelArg>,
}

/// `slo(latency = "…", objective = 99.9)`.
#[derive(Clone, Default)]
pub(crate) struct SloArg {
    pub(crate) span: Option<Span>,
    pub(crate) latency: Option<LitStr>,
    pub(crate) objective: Option<Lit>,
}

impl Args {
    /// Reads all arguments, noting every mistake.
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut args = Self::default();
        settings::each(tokens, errors, |key, input, errors| args.one(key, input, errors));
        args
    }

    /// The same, with what is not given taken from those of the block around.
    pub(crate) fn or(self, block: &Self) -> Self {
        macro_rules! given_or_of_block {
            ($($setting:ident),* $(,)?) => {
                Self { $($setting: self.$setting.or_else(|| block.$setting.clone()),)* last: true, off: block.off }
            };
        }
        given_or_of_block!(
            name,
            metric,
            labels,
            fields,
            err,
            ok,
            slow,
            stuck,
            level,
            target,
            parent,
            follows_from,
            kind,
            buckets,
            slo,
            budget,
            no_span,
            no_metrics,
            no_log,
            skip,
            skip_all,
            runtime,
            prefix,
        )
    }

    fn one(&mut self, key: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<()> {
        match key.to_string().as_str() {
            "name" => set_once(&mut self.name, key, value(key, input, "\"shop::charge\"")?),
            "metric" => set_once(&mut self.metric, key, value(key, input, "\"payments\"")?),
            "labels" => {
                let tokens = list(key, input, "method, retry: bool = attempt > 1")?;
                let labels = Punctuated::<LabelArg, Token![,]>::parse_terminated.parse2(tokens)?;
                set_once(&mut self.labels, key, labels.into_iter().collect())
            }
            "fields" => {
                let tokens = list(key, input, "order_id = %order.id, amount")?;
                let fields = Punctuated::<FieldArg, Token![,]>::parse_terminated.parse2(tokens)?;
                set_once(&mut self.fields, key, fields.into_iter().collect())
            }
            "err" => set_once(&mut self.err, key, ErrArg::parse(key, input, errors)?),
            "ok" => set_once(&mut self.ok, key, OkArg::parse(key, input, errors)?),
            "slow" => set_once(&mut self.slow, key, value(key, input, "\"500ms\"")?),
            "stuck" => set_once(&mut self.stuck, key, value(key, input, "\"30s\"")?),
            "level" => set_once(&mut self.level, key, value(key, input, "\"info\"")?),
            "parent" => set_once(&mut self.parent, key, value(key, input, "&span")?),
            "follows_from" => set_once(&mut self.follows_from, key, value(key, input, "[&span]")?),
            "target" => set_once(&mut self.target, key, value(key, input, "\"shop::payments\"")?),
            "kind" => set_once(&mut self.kind, key, value(key, input, "\"server\"")?),
            "buckets" => set_once(&mut self.buckets, key, value(key, input, "[0.01, 0.1, 1.0]")?),
            "slo" => set_once(&mut self.slo, key, SloArg::parse(key, input, errors)?),
            "budget" => set_once(&mut self.budget, key, value(key, input, "600")?),
            "no_span" => set_once(&mut self.no_span, key, key.span()),
            "no_metrics" => set_once(&mut self.no_metrics, key, key.span()),
            "no_log" => set_once(&mut self.no_log, key, key.span()),
            "skip" => {
                let tokens = list(key, input, "password")?;
                let names = Punctuated::<Ident, Token![,]>::parse_terminated_with;
                let names = (|input: ParseStream<'_>| names(input, Ident::parse_any)).parse2(tokens)?;
                set_once(&mut self.skip, key, names.into_iter().collect())
            }
            "skip_all" => set_once(&mut self.skip_all, key, key.span()),
            "crate" => set_once(&mut self.runtime, key, crate_path(key, input)?),
            "__last" => {
                self.last = true;
                Ok(())
            }
            word => Err(FOREIGN
                .iter()
                .find(|(foreign, _)| *foreign == word)
                .map_or_else(|| unknown(key, VALID), |(_, instead)| foreign(key, input, instead))),
        }
    }
}

impl ErrArg {
    fn parse(key: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Self> {
        let mut arg = Self::default();
        if input.peek(syn::token::Paren) {
            let tokens = list(key, input, "kind = PaymentError")?;
            settings::each(tokens, errors, |key, input, _| match key.to_string().as_str() {
                "kind" => set_once(&mut arg.kind, key, value(key, input, "PaymentError")?),
                "none" => set_once(&mut arg.none, key, key.span()),
                "level" => set_once(&mut arg.level, key, value(key, input, "\"error\"")?),
                // What `tracing` calls what we do anyway.
                "Display" => Ok(()),
                "Debug" => Err(foreign(
                    key,
                    input,
                    "an error is shown by its `Display`, with its sources, or by its `Debug` if it has no other; drop it",
                )),
                _ => Err(unknown(key, &["kind", "none", "level"])),
            });
        }
        Ok(arg)
    }
}

impl OkArg {
    fn parse(key: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Self> {
        let mut arg = Self::default();
        let tokens = list(key, input, "level = \"info\"")?;
        settings::each(tokens, errors, |key, input, _| match key.to_string().as_str() {
            "level" => set_once(&mut arg.level, key, value(key, input, "\"info\"")?),
            _ => Err(unknown(key, &["level"])),
        });
        Ok(arg)
    }
}

impl SloArg {
    fn parse(key: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Self> {
        let mut arg = Self { span: Some(key.span()), ..Self::default() };
        let tokens = list(key, input, "latency = \"250ms\", objective = 99.9")?;
        settings::each(tokens, errors, |key, input, _| match key.to_string().as_str() {
            "latency" => set_once(&mut arg.latency, key, value(key, input, "\"250ms\"")?),
            "objective" => set_once(&mut arg.objective, key, value(key, input, "99.9")?),
            _ => Err(unknown(key, &["latency", "objective"])),
        });
        Ok(arg)
    }
}

impl Parse for TextArg {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(LitStr) { input.parse().map(Self::Literal) } else { input.parse().map(Self::Constant) }
    }
}

impl Parse for LevelArg {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(LitStr) {
            input.parse().map(Self::Word)
        } else if input.peek(LitInt) {
            input.parse().map(Self::Number)
        } else {
            Path::parse_mod_style(input).map(Self::Path)
        }
    }
}

impl Parse for LabelArg {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name = Ident::parse_any(input)?;
        let ty = input.parse::<Option<Token![:]>>()?.map(|_| input.parse()).transpose()?;
        let value = input.parse::<Option<Token![=]>>()?.map(|_| LabelValue::parse(input)).transpose()?;
        Ok(Self { name, ty, value })
    }
}

impl LabelValue {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(Ident) && input.peek2(Token![=>]) {
            let ret = input.parse()?;
            input.parse::<Token![=>]>()?;
            return Ok(Self::Result { ret, expr: input.parse()? });
        }
        Ok(Self::Expr(input.parse()?))
    }
}

impl Parse for FieldArg {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let shorthand = Recorded::parse(input)?;
        let span = input.span();
        if shorthand == Recorded::Value && input.peek(LitStr) {
            let name: LitStr = input.parse()?;
            input.parse::<Token![=]>()?;
            return Ok(Self {
                name: FieldName::Known(name.value()),
                span,
                how: Recorded::parse(input)?,
                value: input.parse()?,
            });
        }
        if shorthand == Recorded::Value && names_its_value(input) {
            let name =
                Punctuated::<Ident, Token![.]>::parse_separated_nonempty_with(input, Ident::parse_any)?;
            let name = name.iter().map(|part| part.unraw().to_string()).collect::<Vec<_>>().join(".");
            input.parse::<Token![=]>()?;
            let name = FieldName::Known(name);
            return Ok(Self { name, span, how: Recorded::parse(input)?, value: input.parse()? });
        }
        if shorthand == Recorded::Value && input.peek(syn::token::Brace) && input.peek2(Token![=]) {
            let content;
            syn::braced!(content in input);
            let name = FieldName::Constant(content.parse()?);
            input.parse::<Token![=]>()?;
            return Ok(Self { name, span, how: Recorded::parse(input)?, value: input.parse()? });
        }
        // `x`, `%x`, `?self.y` and `x.0` stand for their own value.
        let value: Expr = input.parse()?;
        let name = value.to_token_stream().to_string().replace([' ', '\n'], "").replace("r#", "");
        if !matches!(value, Expr::Path(_) | Expr::Field(_)) {
            return Err(syn::Error::new_spanned(
                value,
                "an expression needs a name: write `name = expression`",
            ));
        }
        Ok(Self { name: FieldName::Known(name), span, how: shorthand, value })
    }
}

/// Whether `name =` comes next, and not a value that names itself.
fn names_its_value(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    Punctuated::<Ident, Token![.]>::parse_separated_nonempty_with(&ahead, Ident::parse_any).is_ok()
        && ahead.peek(Token![=])
}

impl Recorded {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.parse::<Option<Token![%]>>()?.is_some() {
            return Ok(Self::Display);
        }
        if input.parse::<Option<Token![?]>>()?.is_some() {
            return Ok(Self::Debug);
        }
        Ok(Self::Value)
    }
}
