//! Log lines: put together on the calling thread, written by one of their own.

mod bridge;
mod event;
mod file_size;
mod framed;
mod line;
mod output;
#[cfg(feature = "otlp")]
pub(crate) mod records;
mod stdout;
mod text;
mod writer;

pub(crate) use bridge::{install as install_bridge, set_most_verbose};
pub use line::Format;
pub(crate) use writer::{Output, close, dropped, flush, start, totals, trouble, written};

use crate::clock::{self, Anchor};
use crate::context::{EventFields, Fields, Stack, with_stack, write_integer, write_string};
use crate::label::LabelTexts;
use crate::subscriber;
use crate::time::Stamp;
use crate::trace::{Attribute, Attributes, SpanError};
use event::{Callsites, Written};
use line::{Line, Parts};
use std::cell::RefCell;
use std::fmt;
use std::num::NonZeroU64;
use tracing_core::{Event, Level};

/// What is needed to put a line together, kept from one line to the next.
struct Buffers {
    message: Vec<u8>,
    fields: Fields,
    line: Vec<u8>,
    anchor: Anchor,
    stamp: Stamp,
    callsites: Callsites,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = const {
        RefCell::new(Buffers {
            message: Vec::new(),
            fields: Fields::new(),
            line: Vec::new(),
            anchor: Anchor::NONE,
            stamp: Stamp::NONE,
            callsites: Callsites::new(),
        })
    };
}

/// How an observed call ended, for its line.
pub(crate) struct CallEnded<'a> {
    pub(crate) level: Level,
    pub(crate) target: &'a str,
    pub(crate) message: fmt::Arguments<'a>,
    /// In ticks.
    pub(crate) ended: u64,
    pub(crate) outcome: &'static str,
    pub(crate) error: Option<&'a SpanError>,
    pub(crate) labels: LabelTexts,
    pub(crate) attributes: &'a Attributes,
    pub(crate) counted: Option<&'a (&'static str, Attribute)>,
    pub(crate) nanos: u64,
}

/// Writes the line of a `tracing` event, which belongs to the span of that number if it names one.
pub(crate) fn event(event: &Event<'_>, parent: Option<NonZeroU64>) {
    if event.is_contextual() && writer::running() && !writer::format().is_text() {
        match BUFFERS.try_with(|buffers| Some(event::write(event, &mut *buffers.try_borrow_mut().ok()?))) {
            Ok(Some(Written::Not)) => {}
            Ok(Some(Written::Yes)) => return,
            Ok(Some(Written::Dropped) | None) | Err(_) => return writer::count_dropped(1),
        }
    }
    let metadata = event.metadata();
    let log = |context| {
        write_in(context, *metadata.level(), metadata.target(), clock::now(), |message, fields| {
            event.record(&mut EventFields { message, fields });
        });
    };
    if event.is_contextual() {
        return log(Within::Here);
    }
    // It names the span it belongs to, or that it belongs to none.
    match parent.and_then(subscriber::enter) {
        Some(frame) => {
            log(Within::Here);
            with_stack(|stack| stack.pop(frame));
        }
        None => log(Within::Nothing),
    }
}

/// What a line belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    /// The spans that this thread is in.
    Here,
    Nothing,
}

/// Writes the line of an observed call's end.
pub(crate) fn call_ended(call: &CallEnded<'_>) {
    write(call.level, call.target, call.ended, |message, fields| {
        write_string(message, &fmt::format(call.message));
        for (name, value) in &call.labels {
            fields.push_str(name, value);
        }
        for (name, value) in call.attributes.iter().chain(call.counted) {
            match value {
                Attribute::Text(text) => fields.push_str(name, text),
                Attribute::Static(text) => fields.push_str(name, text),
                Attribute::Number(number) => fields.push(name, |out| write_integer(out, *number)),
            }
        }
        fields.push_str("outcome", call.outcome);
        if let Some(error) = call.error {
            if let Some(kind) = &error.kind {
                fields.push_str("error.kind", kind);
            }
            fields.push_str("error", &error.text);
        }
        fields.push("duration_ms", |out| push_millis(out, call.nanos));
    });
}

/// Writes a line with the context of this thread.
///
/// Inside a formatter that is being run for another line there is nowhere to put one together: it is
/// passed over and counted as dropped.
pub(crate) fn write(level: Level, target: &str, ticks: u64, fill: impl FnOnce(&mut Vec<u8>, &mut Fields)) {
    write_in(Within::Here, level, target, ticks, fill);
}

fn write_in(
    within: Within,
    level: Level,
    target: &str,
    ticks: u64,
    fill: impl FnOnce(&mut Vec<u8>, &mut Fields),
) {
    if !writer::running() {
        return;
    }
    if with_stack(|stack| is_passed_over(stack, level, target)) == Some(true) {
        return;
    }
    let written = BUFFERS.try_with(|buffers| {
        let mut buffers = buffers.try_borrow_mut().ok()?;
        let Buffers { message, fields, line, anchor, stamp, .. } = &mut *buffers;
        message.clear();
        fields.clear();
        framed::begin(line);
        fill(message, fields);
        let time = stamp.of(anchor.unix_nanos(ticks));
        let parts = Parts { level, target, time, message, fields };
        let format = writer::format();
        build(format, within, &parts, line);
        if !format.is_text() {
            return hand_over(ticks, line).then_some(());
        }
        let pushed = writer::push(ticks, line);
        #[cfg(feature = "otlp")]
        if records::wanted() {
            framed::begin(line);
            build(Format::Json, within, &parts, line);
            records::push(ticks, line);
        }
        pushed.then_some(())
    });
    if !matches!(written, Ok(Some(()))) {
        writer::count_dropped(1);
    }
}

/// Whether nothing is logged of what a thread of the runtime's own runs: that is somebody else's code, which may have
/// much to say.
fn is_passed_over(stack: &Stack, level: Level, target: &str) -> bool {
    stack.is_quiet() && level > Level::WARN && !target.starts_with("obs_runtime")
}

/// Hands over a line of JSON behind room for its header. False if it does not fit.
fn hand_over(ticks: u64, line: &mut [u8]) -> bool {
    let pushed = writer::push(ticks, line);
    #[cfg(feature = "otlp")]
    if records::wanted() {
        records::push(ticks, line);
    }
    pushed
}

/// Puts a line together, with the context of this thread if it belongs here.
fn build(format: Format, within: Within, parts: &Parts<'_>, line: &mut Vec<u8>) {
    let with_context = |stack: &mut Stack| format.write(line, parts, stack);
    if within == Within::Nothing || with_stack(with_context).is_none() {
        format.write_without_context(line, parts);
    }
}

/// Runs what logs nothing, whatever it calls: its lines are dropped and counted.
fn without_lines(run: impl FnOnce()) {
    BUFFERS.with(|buffers| {
        let _taken = buffers.borrow_mut();
        run();
    });
}

/// Milliseconds with three digits behind the point.
fn push_millis(out: &mut Vec<u8>, nanos: u64) {
    let micros = nanos / 1_000;
    out.extend_from_slice(format!("{}.{:03}", micros / 1_000, micros % 1_000).as_bytes());
}

/// A line under construction: see [`Line`].
impl Format {
    fn write(self, out: &mut Vec<u8>, parts: &Parts<'_>, stack: &Stack) {
        Line { parts, context: Some(stack) }.write(self, out);
    }

    fn write_without_context(self, out: &mut Vec<u8>, parts: &Parts<'_>) {
        Line { parts, context: None }.write(self, out);
    }
}
