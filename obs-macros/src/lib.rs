//! The macros of `obs-runtime`. Depend on that crate, which re-exports them; this one has no use on its own.
//!
//! Each macro has three stages, one file or folder each: tokens become arguments that keep their
//! spans (`args`), arguments become a validated model with no default left open (`model`), and the
//! model becomes tokens, which cannot fail (`expand`). Errors are collected on the way and all
//! reported at once, beside the user's item.

mod args;
mod block;
mod context;
mod errors;
mod expand;
mod function;
mod health;
mod label;
mod labels;
mod model;
mod settings;
#[cfg(test)]
mod tests;
mod values;

use proc_macro::TokenStream;

/// Observes a function: its logs, its rate, errors and duration, and its span.
///
/// Works on every function and method but `const fn`s, and on `impl`, `trait` and `mod` blocks for all functions in
/// them. Every call ends in one of four outcomes, the same in the metric, the span and the log line: `ok`, `error`
/// (a `Result` that is `Err`), `panic`, and `cancelled` (an `async` call dropped before it was ready).
///
/// ```
/// use obs_runtime::{Label, observe};
///
/// #[derive(Clone, Copy, Debug, Label)]
/// enum Method { Card, Bank, Wallet }
///
/// #[derive(Debug, Label)]
/// enum PaymentError { Declined(String), Timeout }
/// # impl std::fmt::Display for PaymentError {
/// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { write!(f, "{self:?}") }
/// # }
///
/// #[observe(
///     labels(method, retry: bool = attempt > 1),
///     fields(order_id = %order_id, amount),
///     err(kind = PaymentError),
///     slow = "500ms",
/// )]
/// async fn charge(order_id: &str, amount: u64, method: Method, attempt: u32) -> Result<u64, PaymentError> {
///     if amount > 10_000 { Err(PaymentError::Declined("over the limit".into())) } else { Ok(amount) }
/// }
/// ```
///
/// # Arguments
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `name = "…"` | the span's name and the `function` label, segments separated by `::`, or a constant; on a block, what goes before the names of its functions | `module::path::Type::function`, with the type where the attribute is on its block |
/// | `metric = "…"` | metric families of this name instead of the shared `function_*` ones | `function` |
/// | `labels(a, b: T = expr, c: T = ret => expr)` | metric labels: a parameter, an expression over the parameters, an expression over a reference to the return value | none |
/// | `fields(x, %y, ?z, k = expr)` | span and log context: a parameter, by its `Display`, by its `Debug`, any expression | none |
/// | `err(kind = T, level = "…")` | failures counted by the variant of `T`, the error type; level of the failure's log line | one kind, `"error"` |
/// | `err(none)` | a `None` is a failure | it is not |
/// | `ok(level = "…")` | level of the success line | `"debug"` |
/// | `slow = "…"` | a call that takes at least this long is logged at WARN: `"500ms"`, `"1.5s"` | off |
/// | `stuck = "…"` | a call that runs for so long is stuck: counted in `function_calls_stuck`, and logged with its stack while it runs, by the runtime's feature `profile`; `"off"` for calls that are to run long | the builder's `stuck_after` |
/// | `level = "…"` | level of the span: a word, a number from 1 for trace to 5 for error, or `Level::INFO` | `"info"` |
/// | `target = "…"` | target of the span and its log lines, or a constant | `module_path!()` |
/// | `parent = expr` | the span that this one is below, or `None`, instead of the one that the call is in | where it is called |
/// | `follows_from = expr` | spans that this one has to do with: links | none |
/// | `kind = "…"` | OpenTelemetry span kind: `internal`, `server`, `client`, `producer`, `consumer` | `"internal"` |
/// | `buckets = [..]` | upper bounds of the duration histogram in seconds, ascending | 5 ms to 10 s |
/// | `slo(latency = "…", objective = 99.9)` | a service-level objective: so many per cent of calls are good, and, if said, within a latency that is one of the buckets; it is the gauge `function_slo_objective_ratio` | none |
/// | `budget = N` | how many combinations of labels and outcomes this function may have | 300 |
/// | `no_span`, `no_metrics`, `no_log` | switches one signal off | all on |
/// | `skip_all`, `skip(a, b)` | as in `tracing`: parameters that are not recorded. None are that are not named | |
/// | `crate = path` | where `obs_runtime` lives: an absolute path | `::obs_runtime` |
///
/// # Blocks
///
/// On a block, the arguments are those of each function in it. `#[observe(..)]` on one of them goes before, setting by
/// setting, and `#[observe(skip)]` leaves it out. `const fn`s are passed over.
///
/// ```
/// use obs_runtime::observe;
///
/// struct Store(Vec<u32>);
///
/// #[observe(level = "debug")]
/// impl Store {
///     const fn new() -> Self { Self(Vec::new()) }
///
///     fn add(&mut self, item: u32) -> Result<(), String> {       // `module::Store::add`
///         if self.0.len() > 10 { Err("full".into()) } else { Ok(self.0.push(item)) }
///     }
///
///     #[observe(slow = "10ms")]
///     async fn save(&self) {}
///
///     #[observe(skip)]
///     fn len(&self) -> usize { self.0.len() }
/// }
/// ```
///
/// # Which line a failure has
///
/// The call in which an error first appears logs it, at ERROR unless `err(level = ..)` says otherwise. A
/// caller that returns the same error, or one that has it as its source, logs at DEBUG, as long as the
/// first line was written and is at least as severe as the caller's would be. Metrics and spans count the
/// failure at every level. A panic is logged at ERROR, a cancelled call at WARN, each by the same rule.
///
/// # What is a failure
///
/// An `Err`, by whatever alias of `Result`; a type of your own that implements `obs_runtime::Outcome` says so itself;
/// a `None` on request. In a `#[track_caller]` function, whose body can't be moved, an error that `?` returns is seen
/// to be one, and not which.
///
/// # Functions that return futures and streams
///
/// A function that is not `async` but returns `impl Future` or `Pin<Box<dyn Future>>`, such as
/// `#[async_trait]` makes, begins when it is called and ends when its future does. A stream, likewise, is timed to its
/// end, its items are counted in the field `items`, and its last item says whether it failed.
///
/// # Labels are bounded
///
/// A label's type must say at compile time how many values it has (the `Label` trait). A `String`
/// does not, so it is a compile error as a label; it belongs in `fields(..)`. The product of all
/// label cardinalities and outcomes must stay within the budget, or `cargo check` fails with the sum
/// spelled out.
///
/// # What the function keeps
///
/// All of it: signature, attributes and docs, types and what is inferred from them, borrows, the order in which
/// parameters and locals are dropped, the place of a panic, lints. A body whose return type can't be a failure stays
/// where it is; another moves into a closure, or an `async` block, of the declared return type. A future grows by some
/// 80 bytes, and by those of its parameters once more that it hands on before it first waits. Argument values are
/// recorded only where named in `fields`. A function that runs inside the runtime, an allocator say, is passed over
/// there.
///
/// What is left: each annotated `async` level is two levels of types, so that chains of more than some 20 of them that
/// have to be `Send` need a higher `#![recursion_limit]`; the `#[track_caller]` that a method has from its trait is not
/// seen; an `async` method with `mut self` can't assign to it what lives no longer than its body; and the error of a
/// type that has lifetimes or generic parts is shown without its sources, as it may be an `Error` for `'static` alone.
///
/// # Other attributes
///
/// Those that are no macros stay. Above a macro that rewrites the function, `#[observe]` lets it go first.
///
/// # Off
///
/// With the environment variable `OBS_OFF` set, every annotation compiles to the plain function. What its arguments name
/// is still named there, in a branch that never runs, so that nothing seems unused.
#[proc_macro_attribute]
pub fn observe(arguments: TokenStream, item: TokenStream) -> TokenStream {
    if cfg!(obs_off) {
        return expand::plain(arguments.into(), item.into()).into();
    }
    expand::observe(&arguments.into(), &item.into()).into()
}

/// Makes an enum usable as a metric label: each variant is one value.
///
/// Variants may carry payloads, which are ignored: an error enum derives `Label` to be counted by
/// variant. A variant's value is its name in `snake_case`, unless said otherwise:
///
/// ```
/// use obs_runtime::Label;
///
/// #[derive(Label)]
/// #[label(rename_all = "kebab-case")]
/// enum Plan {
///     Free,
///     ProYearly,           // "pro-yearly"
///     #[label("legacy")]
///     Custom(u32),         // "legacy"
/// }
/// assert_eq!(Plan::CARDINALITY, 3);
/// assert_eq!(Plan::value(Plan::ProYearly.index()), "pro-yearly");
/// assert_eq!(Plan::value(Plan::Custom(7).index()), "legacy");
/// ```
///
/// `rename_all` takes `snake_case` (the default), `kebab-case`, `lowercase`, `UPPERCASE`,
/// `SCREAMING_SNAKE_CASE`, `camelCase` and `PascalCase`. `#[label(crate = path)]` says where
/// `obs_runtime` lives.
#[proc_macro_derive(Label, attributes(label))]
pub fn derive_label(item: TokenStream) -> TokenStream {
    label::derive(item.into()).into()
}

/// Makes an async function a health check, which is registered before `main` and runs from the start of the runtime on.
///
/// The function takes nothing, and returns `()`, `Health`, or a `Result` of one of these: an `Err` is a failure, as is a
/// panic. It stays as it is, and can still be called. It is a function of its own, outside of an `impl`. Checks that need
/// state are closures: see `obs_runtime::health`.
///
/// ```
/// use obs_runtime::health_check;
///
/// #[health_check(readiness, critical = false, timeout = "500ms", every = "5s")]
/// async fn cache() -> Result<(), std::io::Error> {
///     Ok(())
/// }
/// ```
///
/// # Arguments
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `readiness`, `liveness`, `startup` | the probe that it is asked for | `readiness` |
/// | `name = "…"` | its name in reports and metrics: letters, digits, `_`, `-` and `.`; no two checks have the same | the function's |
/// | `critical = false` | its failure is `degraded` in the report, and fails no probe | it is critical |
/// | `timeout = "…"` | a run that takes longer has failed, and is dropped | `"1s"` |
/// | `every = "…"` | the time from one run to the next, to which up to a tenth is added by chance | `"10s"` |
/// | `failures = N` | so many runs in a row have to fail before the check does | 2 |
/// | `successes = N` | so many have to pass before a check that fails passes again | 1 |
/// | `stale_after = "…"` | a last result that is older counts as a failure | three times `every`, and `timeout` |
/// | `crate = path` | where `obs_runtime` lives: an absolute path | `::obs_runtime` |
#[proc_macro_attribute]
pub fn health_check(arguments: TokenStream, item: TokenStream) -> TokenStream {
    health::expand(arguments.into(), &item.into()).into()
}

/// The proc macro behind `obs_runtime::context!`.
#[doc(hidden)]
#[proc_macro]
pub fn context(input: TokenStream) -> TokenStream {
    context::expand(input.into()).into()
}
