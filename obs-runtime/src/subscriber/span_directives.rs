//! Directives for spans: lines are written up to a level inside of spans with a name, or with a value in a field.
//!
//! A span is compared with the directives when it begins and when fields are recorded in it; a context and a span of plain
//! `tracing` also each time they are entered, so that a change of the filter reaches them. One that matches asks for lines as a request with a level of its own does (see [`Asked`]), so the
//! answer goes wherever the context goes, and costs as much. As long as there is a directive that could match, calls
//! of the functions that it could match take the slow path; calls of other functions do not.

use super::directives::{Directive, FieldMatch, ValueMatch};
use super::{Asked, force, spans};
use crate::busy;
use crate::context::{FrameKey, Span, Stack, unescape, with_stack, write_key};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing_core::{Level, LevelFilter, Metadata};

/// Whether the filter in force has directives for spans.
static ANY: AtomicBool = AtomicBool::new(false);

/// Has spans be compared from now on, or not any more.
pub(super) fn set_any(any: bool) {
    ANY.store(any, Ordering::Relaxed);
}

/// Whether the filter in force has directives for spans.
#[inline]
pub(crate) fn any() -> bool {
    ANY.load(Ordering::Relaxed)
}

/// A directive for spans, ready to be compared.
#[derive(Clone, Debug)]
pub(super) struct SpanDirective {
    directive: Directive,
    /// The key of each of its fields as lines have it, without quotes.
    keys: Vec<Vec<u8>>,
}

impl SpanDirective {
    pub(super) fn new(directive: Directive) -> Self {
        let key = |field: &FieldMatch| {
            let mut key = Vec::new();
            write_key(&mut key, &field.name);
            // Without its quotes and its colon.
            key[1..key.len() - 2].to_vec()
        };
        Self { keys: directive.fields.iter().map(key).collect(), directive }
    }

    pub(super) fn level(&self) -> LevelFilter {
        self.directive.level
    }

    /// Whether target and name are those of a span.
    fn is_for(&self, metadata: &Metadata<'_>) -> bool {
        let Directive { target, span, .. } = &self.directive;
        target.as_ref().is_none_or(|target| takes_in(target, metadata.target()))
            && span.as_ref().is_none_or(|span| is_named(metadata.name(), span))
    }

    fn declares_fields(&self, metadata: &Metadata<'_>) -> bool {
        self.directive.fields.iter().all(|field| metadata.fields().field(&*field.name).is_some())
    }

    /// Whether spans of that callsite may match. A field that none of them has may come with a context; if nothing but
    /// fields is asked for, that context matches by itself.
    pub(super) fn may_match(&self, metadata: &Metadata<'_>) -> bool {
        let Directive { target, span, .. } = &self.directive;
        self.is_for(metadata) && (target.is_some() || span.is_some() || self.declares_fields(metadata))
    }

    /// Whether it enables spans of that callsite themselves.
    pub(super) fn opens(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level() && self.may_match(metadata)
    }

    /// Whether it enables events that have its fields, which `EnvFilter` has it do if it names nothing but them.
    pub(super) fn logs(&self, metadata: &Metadata<'_>) -> bool {
        let Directive { span, fields, .. } = &self.directive;
        span.is_none()
            && fields.iter().all(|field| field.value.is_none())
            && *metadata.level() <= self.level()
            && self.is_for(metadata)
            && self.declares_fields(metadata)
    }

    /// Whether it matches a span whose visible fields are `value_of`, by their keys, as JSON.
    fn matches<'a>(&self, metadata: &Metadata<'_>, value_of: &dyn Fn(&[u8]) -> Option<&'a [u8]>) -> bool {
        let mut fields = self.directive.fields.iter().zip(&self.keys);
        self.is_for(metadata)
            && fields.all(|(field, key)| match &field.value {
                Some(value) => value_of(key).is_some_and(|json| is_value(json, value)),
                None => value_of(key).is_some() || metadata.fields().field(&*field.name).is_some(),
            })
    }
}

/// Whether a directive's target takes in a callsite's: it begins with it, where `-` may be `_`.
fn takes_in(of_directive: &str, target: &str) -> bool {
    let mut target = target.bytes();
    of_directive
        .bytes()
        .all(|byte| target.next().is_some_and(|at| at == byte || (byte == b'-' && at == b'_')))
}

/// Whether a span has that name: its own, or, of an observed function, the end of its path.
fn is_named(name: &str, wanted: &str) -> bool {
    name.strip_suffix(wanted).is_some_and(|path| path.is_empty() || path.ends_with("::"))
}

/// Whether a field has that value.
fn is_value(json: &[u8], of_directive: &ValueMatch) -> bool {
    let text = unescape(json);
    let is_text = json.first() == Some(&b'"');
    if !is_text {
        // Numbers may be written in more than one way.
        if let (Ok(number), Ok(wanted)) = (text.parse::<f64>(), of_directive.text.parse::<f64>()) {
            if text.contains(['.', 'e']) || of_directive.text.contains(['.', 'e', 'E']) {
                return number == wanted;
            }
        }
    }
    // The text of `Debug` is in quotes.
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).filter(|_| is_text);
    [Some(&*text), inner].into_iter().flatten().any(|text| {
        if of_directive.literal { text == of_directive.text } else { is_like(text, &of_directive.text) }
    })
}

/// Whether a text is like a pattern, in which `*` stands for any text.
fn is_like(text: &str, pattern: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return text == pattern };
    let (Some(mut text), (middle, end)) =
        (text.strip_prefix(start), rest.rsplit_once('*').unwrap_or(("", rest)))
    else {
        return false;
    };
    // The first place that each part is found at leaves most for those behind it.
    for part in middle.split('*') {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(end)
}

/// The level that the filter in force asks for inside of a span, and the number of its change.
fn level_for<'a>(
    metadata: &Metadata<'_>,
    value_of: &dyn Fn(&[u8]) -> Option<&'a [u8]>,
) -> Option<(Level, u64)> {
    let change = force::changes();
    let matching = |directives: &[SpanDirective]| {
        let matching = directives.iter().filter(|directive| directive.matches(metadata, value_of));
        matching.map(SpanDirective::level).max()
    };
    let level = force::with_filter(|filter| matching(filter.for_spans()))?;
    Some((level.into_level()?, change))
}

/// Compares the span of a frame, whose fields are there.
#[cold]
#[inline(never)]
pub(crate) fn compare_frame(key: FrameKey) {
    // What allocates may be observed, and finds the stack taken.
    let _busy = busy::now();
    with_stack(|stack| stack.place_of(key).map(|place| compare_at(stack, place)));
}

/// Compares the frames of a span that has that number, in which fields have been recorded.
#[cold]
#[inline(never)]
pub(super) fn compare_numbered(id: NonZeroU64) {
    let _busy = busy::now();
    with_stack(|stack| {
        for place in stack.places_of(id) {
            compare_at(stack, place);
        }
    });
}

fn compare_at(stack: &mut Stack, place: usize) {
    let Some(metadata) = stack.metadata_at(place) else { return };
    let Some((level, change)) = level_for(metadata, &|key| stack.value_at(place, key)) else { return };
    // It may have been compared before, or be below one that matches.
    if stack.asked_at(place).is_none_or(|asked| level > asked) {
        stack.carry_at(place, |carried| Asked::by_directive(level, change, &mut carried.asked));
    }
}

/// Compares a span that is off the stack.
#[cold]
#[inline(never)]
pub(super) fn compare_span(span: &mut Span) {
    let _busy = busy::now();
    let fields = &span.fields;
    let value_of = |key: &[u8]| {
        let entry = fields.all().iter().rev().find(|entry| fields.key(entry) == key)?;
        Some(fields.value(entry))
    };
    if let Some((level, change)) = level_for(span.metadata, &value_of) {
        span.carry(|carried| Asked::by_directive(level, change, &mut carried.asked));
    }
}

/// The level that is asked for inside of a span that has that number.
pub(super) fn asked_of(id: NonZeroU64) -> Option<Level> {
    spans::with(id, |span| Some(Arc::clone(span.carried.as_ref()?.asked.as_ref()?)))??.level()
}
