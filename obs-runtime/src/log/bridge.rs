//! Records of the `log` crate, as lines like any other. Their key-values become fields with the types and the keys that
//! fields of a `tracing` event have.

use super::write;
use crate::clock;
use crate::context::{Fields, write_bool, write_f64, write_formatted, write_integer, write_string};
use crate::outcome::ErrorRef;
use crate::subscriber;
use log::kv::{self, Key, Source, Value, VisitSource, VisitValue};
use log::{LevelFilter, Log, Metadata, Record, SetLoggerError};
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use tracing_core::Level;

#[derive(Debug)]
struct Bridge;

/// Whether the logger of the process is ours.
static INSTALLED: AtomicBool = AtomicBool::new(false);

/// Takes the records of the `log` crate from now on.
pub(crate) fn install() -> Result<(), SetLoggerError> {
    log::set_logger(&Bridge)?;
    INSTALLED.store(true, Ordering::Relaxed);
    set_most_verbose(subscriber::most_verbose());
    Ok(())
}

/// From now on no more verbose records come, if they come to us.
pub(crate) fn set_most_verbose(level: tracing_core::LevelFilter) {
    if !INSTALLED.load(Ordering::Relaxed) {
        return;
    }
    log::set_max_level(match level {
        tracing_core::LevelFilter::OFF => LevelFilter::Off,
        tracing_core::LevelFilter::ERROR => LevelFilter::Error,
        tracing_core::LevelFilter::WARN => LevelFilter::Warn,
        tracing_core::LevelFilter::INFO => LevelFilter::Info,
        tracing_core::LevelFilter::DEBUG => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    });
}

impl Log for Bridge {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        subscriber::logs(metadata.target(), level(metadata.level()))
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            write(level(record.level()), record.target(), clock::now(), |message, fields| {
                write_formatted(message, record.args());
                push_key_values(record.key_values(), fields);
            });
        }
    }

    fn flush(&self) {}
}

/// Appends key-values as fields. A source that fails or panics loses those that it has not handed over.
fn push_key_values(source: &dyn Source, fields: &mut Fields) {
    let mut visitor = KeyValues(fields);
    let _ = catch_unwind(AssertUnwindSafe(|| source.visit(&mut visitor)));
}

/// Appends each key-value that it visits as a field.
struct KeyValues<'a>(&'a mut Fields);

impl<'kvs> VisitSource<'kvs> for KeyValues<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        value.visit(FieldValue { key: key.as_str(), fields: self.0 })
    }
}

/// Appends the value that it visits as a field with a key.
struct FieldValue<'a> {
    key: &'a str,
    fields: &'a mut Fields,
}

impl FieldValue<'_> {
    #[allow(clippy::unnecessary_wraps, reason = "the result of each method of `VisitValue`")]
    fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), kv::Error> {
        self.fields.push(self.key, write);
        Ok(())
    }
}

impl<'v> VisitValue<'v> for FieldValue<'_> {
    /// Appends the text of any other value, such as a structure of `serde` or `sval`.
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), kv::Error> {
        self.push(|out| write_formatted(out, &format_args!("{value}")))
    }

    /// Leaves the field out, as `tracing` does with `None`.
    fn visit_null(&mut self) -> Result<(), kv::Error> {
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
        self.push(|out| write_integer(out, value))
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
        self.push(|out| write_integer(out, value))
    }

    fn visit_u128(&mut self, value: u128) -> Result<(), kv::Error> {
        self.push(|out| write_integer(out, value))
    }

    fn visit_i128(&mut self, value: i128) -> Result<(), kv::Error> {
        self.push(|out| write_integer(out, value))
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
        self.push(|out| write_f64(out, value))
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
        self.push(|out| write_bool(out, value))
    }

    fn visit_str(&mut self, value: &str) -> Result<(), kv::Error> {
        self.push(|out| write_string(out, value))
    }

    fn visit_char(&mut self, value: char) -> Result<(), kv::Error> {
        self.push(|out| write_string(out, value.encode_utf8(&mut [0; 4])))
    }

    /// Appends the error's text with those of its sources.
    fn visit_error(&mut self, error: &(dyn Error + 'static)) -> Result<(), kv::Error> {
        let text = ErrorRef::Error(error).text();
        self.push(|out| write_string(out, &text))
    }

    fn visit_borrowed_error(&mut self, error: &'v (dyn Error + 'static)) -> Result<(), kv::Error> {
        self.visit_error(error)
    }
}

fn level(level: log::Level) -> Level {
    match level {
        log::Level::Error => Level::ERROR,
        log::Level::Warn => Level::WARN,
        log::Level::Info => Level::INFO,
        log::Level::Debug => Level::DEBUG,
        log::Level::Trace => Level::TRACE,
    }
}
