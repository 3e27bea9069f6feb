//! Second stage: arguments and function together, validated, with no default left open.

use crate::args::{Args, FieldArg, FieldName, Recorded, TextArg};
use crate::errors::Errors;
use crate::function::{Function, Returned, Runs};
use crate::labels::{labels, names_generic};
use crate::values::{Slo, buckets, choice, duration, duration_or_off, level, metric_name, slo};
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::{Expr, LitInt, Path, Type};

/// Everything the expansion needs to know, checked.
pub(crate) struct Model {
    pub(crate) function: Function,
    pub(crate) body: Body,
    pub(crate) runtime: Path,
    pub(crate) name: Name,
    pub(crate) target: Option<TextArg>,
    pub(crate) level: TokenStream,
    pub(crate) metric: Option<String>,
    pub(crate) labels: Vec<Label>,
    pub(crate) fields: Vec<Field>,
    pub(crate) failures: Failures,
    pub(crate) parent: Option<Expr>,
    pub(crate) follows_from: Option<Expr>,
    pub(crate) err_level: Option<TokenStream>,
    pub(crate) ok_level: Option<TokenStream>,
    pub(crate) slow_nanos: Option<u64>,
    /// The largest number for never.
    pub(crate) stuck_nanos: Option<u64>,
    /// A variant of the runtime's `SpanKind`, by name.
    pub(crate) kind: Option<Ident>,
    pub(crate) buckets: Option<Vec<Expr>>,
    pub(crate) slo: Option<Slo>,
    pub(crate) budget: Option<LitInt>,
    pub(crate) span: bool,
    pub(crate) metrics: bool,
    pub(crate) log: bool,
}

/// What becomes of the user's body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// It stays where it is: nobody asks what it returns, and the call ends when it is left, however that is.
    Stays,
    /// It stays where it is, as it asks who called it; what it returns is looked at where that is seen.
    StaysFallible,
    /// It moves into a closure, which tells what it returned.
    Closure,
    /// It moves into a future, likewise.
    Future,
    /// It moves into a closure, which makes what is observed.
    Makes(Returned),
}

/// The function's name as spans and metrics show it.
pub(crate) enum Name {
    /// `module_path!()` and this.
    InModule(String),
    Given(String),
    Constant(Path),
}

pub(crate) struct Label {
    pub(crate) name: String,
    /// Where the user wrote the label: errors about its type belong here.
    pub(crate) span: Span,
    pub(crate) ty: Type,
    pub(crate) value: Expr,
    /// The name that `value` gives to the return value, if it looks at that.
    pub(crate) ret: Option<Ident>,
}

pub(crate) struct Field {
    pub(crate) name: FieldName,
    pub(crate) how: Recorded,
    pub(crate) value: Expr,
}

/// Which `error` outcomes the function can have.
pub(crate) enum Failures {
    /// The return type shows that there are none.
    Never,
    /// One outcome for all failures.
    Unnamed,
    /// `None` is one; the span is where that is said.
    OfNone(Span),
    /// One outcome for each value of this `Label`.
    Kinds(Box<Type>),
}

const KINDS: &[(&str, &str)] = &[
    ("internal", "Internal"),
    ("server", "Server"),
    ("client", "Client"),
    ("producer", "Producer"),
    ("consumer", "Consumer"),
];

/// Keys that every log line writes itself.
const RESERVED_FIELDS: &[&str] = &[
    "time",
    "level",
    "msg",
    "message",
    "target",
    "function",
    "trace_id",
    "span_id",
    "outcome",
    "error",
    "error.kind",
    "duration_ms",
];

impl Model {
    /// Checks the arguments against the function. With a mistake noted there is no model.
    ///
    /// `owner` is the type or trait that the function belongs to, if that is known.
    pub(crate) fn build(
        args: Args,
        function: Function,
        owner: Option<&str>,
        errors: &mut Errors,
    ) -> Option<Self> {
        let before = errors.len();
        check_function(&function, errors);
        check_skipped(args.skip.unwrap_or_default(), &function, errors);
        let fields = args.fields.unwrap_or_default();
        check_field_names(&fields, &function, errors);
        let fields = self::fields(fields, errors);
        let labels = labels(args.labels, &function, errors);
        let err = args.err.unwrap_or_default();
        let ok = args.ok.unwrap_or_default();
        if let (Some(span), Some(first)) = (args.no_metrics, labels.first()) {
            errors
                .at(first.span, "`labels` have no metric to label beside `no_metrics`; drop one of the two");
            let _ = span;
        }
        if let (Some(_), Some(buckets)) = (args.no_metrics, &args.buckets) {
            errors.on(buckets, "`buckets` have no histogram beside `no_metrics`; drop one of the two");
        }
        let failures = failures(err.kind, err.none, &function, errors);
        let body = body(&function, &failures, &labels);
        if let (Body::StaysFallible, Failures::Kinds(kind)) = (body, &failures) {
            errors.on(
                kind,
                "with `#[track_caller]` an error that `?` returns is seen to be one, but not of which kind; drop one of the two",
            );
        }
        let model = Self {
            body,
            name: name(args.name, args.prefix, owner, &function, errors),
            runtime: args.runtime.unwrap_or_else(|| syn::parse_quote!(::obs_runtime)),
            target: args.target,
            level: level(args.level.as_ref(), errors).unwrap_or_else(|| quote!(__obs::Level::INFO)),
            metric: args.metric.and_then(|metric| metric_name(&metric, errors)),
            labels,
            fields,
            failures,
            parent: args.parent,
            follows_from: args.follows_from,
            err_level: level(err.level.as_ref(), errors),
            ok_level: level(ok.level.as_ref(), errors),
            slow_nanos: args.slow.and_then(|slow| duration(&slow, errors)),
            stuck_nanos: args.stuck.and_then(|stuck| duration_or_off(&stuck, errors)),
            kind: choice(args.kind.as_ref(), "kind", KINDS, errors),
            slo: args.slo.and_then(|given| slo(&given, args.buckets.as_ref(), errors)),
            buckets: args.buckets.map(|array| buckets(array.elems.into_iter().collect(), errors)),
            budget: args.budget.filter(|budget| errors.keep(budget.base10_parse::<usize>()).is_some()),
            span: args.no_span.is_none(),
            metrics: args.no_metrics.is_none(),
            log: args.no_log.is_none(),
            function,
        };
        (errors.len() == before).then_some(model)
    }
}

fn body(function: &Function, failures: &Failures, labels: &[Label]) -> Body {
    match function.runs() {
        Runs::Async => Body::Future,
        Runs::Returns(returned) => Body::Makes(returned),
        Runs::Sync => {
            let infallible = matches!(failures, Failures::Never);
            if infallible && labels.iter().all(|label| label.ret.is_none()) {
                Body::Stays
            } else if function.tracks_caller() {
                Body::StaysFallible
            } else {
                Body::Closure
            }
        }
    }
}

fn check_function(function: &Function, errors: &mut Errors) {
    if let Some(constness) = &function.sig.constness {
        errors.on(
            constness,
            "a `const fn` can't be observed: it may run in the compiler; drop `const`, or observe its caller",
        );
    }
    if function.is_naked() {
        errors.on(
            &function.sig.ident,
            "a naked function has no body that could be observed; observe its caller",
        );
    }
    if let Some(variadic) = &function.sig.variadic {
        errors.on(variadic, "a C-variadic function can't be observed; observe its caller");
    }
}

/// What `tracing` would have left out has to be there, at least.
fn check_skipped(skipped: Vec<Ident>, function: &Function, errors: &mut Errors) {
    for name in skipped {
        if name != "self" && !function.binds(&name) {
            errors.at(name.span(), format!("no parameter is called `{name}`; drop it"));
        }
    }
}

/// A field that names nothing but itself is a parameter. What has a capital is a constant.
fn check_field_names(fields: &[FieldArg], function: &Function, errors: &mut Errors) {
    for field in fields {
        let Expr::Path(path) = &field.value else { continue };
        let Some(name) = path
            .path
            .get_ident()
            .filter(|name| field.name.known().is_some_and(|field| name.unraw() == field))
        else {
            continue;
        };
        let constant = name.to_string().starts_with(char::is_uppercase);
        if name != "self" && !constant && !function.binds(name) {
            errors.at(
                field.span,
                format!(
                    "no parameter is called `{name}`: name one, or write `{name} = expression`; a field that is recorded later is `{name} = tracing::field::Empty`"
                ),
            );
        }
    }
}

fn name(
    given: Option<TextArg>,
    prefix: Option<TextArg>,
    owner: Option<&str>,
    function: &Function,
    errors: &mut Errors,
) -> Name {
    let own = function.sig.ident.unraw().to_string();
    let (given, name) = match (given, prefix) {
        (Some(TextArg::Constant(constant)), _) => return Name::Constant(constant),
        (Some(TextArg::Literal(given)), _) => {
            let name = given.value();
            (given, name)
        }
        (None, Some(TextArg::Literal(prefix))) => {
            let name = format!("{}::{own}", prefix.value());
            (prefix, name)
        }
        (None, Some(TextArg::Constant(constant))) => {
            errors.on(
                &constant,
                "the name of a block goes before those of its functions: write it as a literal",
            );
            return Name::Constant(constant);
        }
        (None, None) => {
            return Name::InModule(owner.map_or_else(|| own.clone(), |owner| format!("{owner}::{own}")));
        }
    };
    let valid = name.split("::").all(|segment| {
        !segment.is_empty() && segment.chars().all(|c| c.is_alphanumeric() || "_-.<>#".contains(c))
    });
    if !valid {
        errors.on(
            &given,
            "`name` is a path: segments of letters, digits, `_`, `-` and `.`, separated by `::`, such as \"shop::charge\"",
        );
    }
    Name::Given(name)
}

/// Fields that a log line has room for, each once.
pub(crate) fn fields(args: Vec<FieldArg>, errors: &mut Errors) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    for FieldArg { name, span, how, value } in args {
        if let Some(name) = name.known() {
            if RESERVED_FIELDS.contains(&name) {
                errors.at(
                    span,
                    format!("the field `{name}` is written by the log line itself; choose another name"),
                );
            }
            if fields.iter().any(|field| field.name.known() == Some(name)) {
                errors.at(span, format!("the field `{name}` is given twice; keep one"));
            }
        }
        fields.push(Field { name, how, value });
    }
    fields
}

/// The failures that the arguments name, if the function can have any.
fn failures(kind: Option<Type>, none: Option<Span>, function: &Function, errors: &mut Errors) -> Failures {
    let infallible = is_infallible(&function.result());
    let kind = match (kind, none) {
        (None, None) => return if infallible { Failures::Never } else { Failures::Unnamed },
        (None, Some(none)) => return Failures::OfNone(none),
        (Some(_), Some(none)) => {
            errors.at(none, "a `None` has no kind: keep `kind` for a `Result`, or `none` for an `Option`");
            return Failures::OfNone(none);
        }
        (Some(kind), None) => kind,
    };
    if infallible {
        errors.on(
            &kind,
            "`kind` is the error type of the `Result` that the function returns, and it returns none",
        );
    } else if let Some(parameter) = names_generic(&kind, function) {
        errors.on(
            &kind,
            format!("the kind's type depends on `{parameter}`, so its values can't be counted here; use a concrete type"),
        );
    }
    Failures::Kinds(Box::new(kind))
}

/// Whether the type shows at a glance that it is no `Result`; of any other the runtime finds out.
fn is_infallible(result: &Type) -> bool {
    const PLAIN: &[&str] = &[
        "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64",
        "u128", "usize", "str", "String", "Vec", "Option", "HashMap", "BTreeMap", "HashSet", "BTreeSet",
    ];
    match result {
        Type::Tuple(_)
        | Type::Reference(_)
        | Type::Array(_)
        | Type::Slice(_)
        | Type::Never(_)
        | Type::FnPtr(_)
        | Type::ImplTrait(_)
        | Type::Ptr(_) => true,
        Type::Path(path) => {
            let last = path.path.segments.last();
            path.qself.is_none() && last.is_some_and(|last| PLAIN.iter().any(|plain| last.ident == plain))
        }
        _ => false,
    }
}
