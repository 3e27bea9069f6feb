//! A layer for a `tracing-subscriber` stack of the application's own.

use super::{follows_from, force, happened, spans};
use crate::site::Site;
use crate::{busy, state};
use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::{LazyLock, Mutex, PoisonError};
use tracing_core::field::{FieldSet, Value};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::subscriber::Interest;
use tracing_core::{Callsite, Event, Kind, Level, Metadata, Subscriber, dispatcher, identify_callsite};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// A layer for a stack of the application's own, in the place of the subscriber that [`init`](crate::init) would
/// install.
///
/// Install the stack first, then start the runtime, which finds the layer there:
///
/// ```no_run
/// use tracing_subscriber::prelude::*;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// tracing_subscriber::registry()
///     .with(tracing_subscriber::fmt::layer())
///     .with(obs_runtime::layer())
///     .init();
/// let _obs = obs_runtime::init()?;
/// # Ok(())
/// # }
/// ```
///
/// Metrics, traces and context are as ever. Log lines are the stack's: what the runtime has to say of a call that
/// ended is an event with the target of the function, so filters and formats are those of the other layers. The
/// runtime writes lines itself only if it is given a [`log_output`](crate::Builder::log_output), and of the stack's
/// events those that its own filter lets through.
#[must_use]
pub fn layer() -> Layer {
    Layer(())
}

/// See [`layer`].
#[derive(Debug)]
pub struct Layer(());

/// By which number we know a span.
#[derive(Clone, Copy)]
struct Ours(NonZeroU64);

/// Our number of a span of the stack.
fn ours<S>(id: &Id, context: &Context<'_, S>) -> Option<NonZeroU64>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    Some(context.span(id)?.extensions().get::<Ours>()?.0)
}

/// While the runtime is busy, it is an observed call that is shown to the other layers, and that we know already.
impl<S> tracing_subscriber::Layer<S> for Layer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !state::running() {
            return;
        }
        let number = if busy::is_busy() {
            spans::show()
        } else {
            spans::open(attributes, attributes.parent().and_then(|parent| ours(parent, &context)))
        };
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Ours(number));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(number) = ours(id, &context) {
            spans::adopt(number);
            spans::record(number, values);
        }
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, context: Context<'_, S>) {
        if let (Some(number), Some(follows)) = (ours(id, &context), ours(follows, &context)) {
            spans::adopt(number);
            follows_from(number, follows);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if !state::running() || busy::is_busy() {
            return;
        }
        let parent = event.parent().and_then(|parent| ours(parent, &context));
        if force::hears(event, parent) {
            happened(event, parent);
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        if !busy::is_busy() {
            if let Some(number) = ours(id, &context) {
                spans::enter(number);
            }
        }
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        if !busy::is_busy() {
            if let Some(number) = ours(id, &context) {
                spans::exit(number);
            }
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if let Some(number) = ours(&id, &context) {
            spans::close(number);
        }
    }
}

/// What is said of a call that ended, to the other layers.
pub(crate) fn say(
    site: &'static Site,
    level: Level,
    message: fmt::Arguments<'_>,
    outcome: &str,
    error: Option<(&str, Option<&str>)>,
    millis: f64,
) {
    let metadata = said(site, level);
    let (text, kind) = error.unzip();
    let kind = kind.flatten();
    let values: [Option<&dyn Value>; FIELDS.len()] = [
        Some(&message),
        Some(&outcome),
        kind.as_ref().map(|kind| kind as &dyn Value),
        text.as_ref().map(|text| text as &dyn Value),
        Some(&millis),
    ];
    let _busy = busy::now();
    dispatcher::get_default(|dispatch| {
        if dispatch.enabled(metadata) {
            dispatch.event(&Event::new(metadata, &metadata.fields().value_set_all(&values)));
        }
    });
}

const FIELDS: &[&str] = &["message", "outcome", "error.kind", "error", "duration_ms"];

/// The callsite of what is said of one function at one level.
struct Said(std::sync::OnceLock<Metadata<'static>>);

impl Callsite for Said {
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        self.0.get_or_init(|| unreachable!("set when it is made"))
    }
}

/// There is one for each function and level that ever had a line.
fn said(site: &'static Site, level: Level) -> &'static Metadata<'static> {
    type Key = (usize, Level);
    static SAID: LazyLock<Mutex<HashMap<Key, &'static Metadata<'static>>>> = LazyLock::new(Mutex::default);
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    said.entry((std::ptr::from_ref(site).addr(), level)).or_insert_with(|| {
        let callsite: &'static Said = Box::leak(Box::new(Said(std::sync::OnceLock::new())));
        let of = &site.metadata;
        callsite.0.get_or_init(|| {
            let fields = FieldSet::new(FIELDS, identify_callsite!(callsite));
            let (file, line, module) = (of.file(), of.line(), of.module_path());
            Metadata::new(
                "event of an observed call",
                of.target(),
                level,
                file,
                line,
                module,
                fields,
                Kind::EVENT,
            )
        })
    })
}
