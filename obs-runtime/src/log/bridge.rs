//! Records of the `log` crate, as lines like any other.

use super::write;
use crate::clock;
use crate::context::write_formatted;
use crate::subscriber;
use log::{LevelFilter, Log, Metadata, Record, SetLoggerError};
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
            write(level(record.level()), record.target(), clock::now(), |message, _| {
                write_formatted(message, record.args());
            });
        }
    }

    fn flush(&self) {}
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
