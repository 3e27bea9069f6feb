//! Records of the `log` crate, as lines like any other.

use super::write;
use crate::clock;
use crate::context::write_formatted;
use crate::subscriber::Filter;
use log::{LevelFilter, Log, Metadata, Record, SetLoggerError};
use tracing_core::Level;

#[derive(Debug)]
struct Bridge {
    filter: Filter,
}

/// Takes the records of the `log` crate from now on.
pub(crate) fn install(filter: Filter) -> Result<(), SetLoggerError> {
    let most_verbose = match filter.most_verbose() {
        tracing_core::LevelFilter::OFF => LevelFilter::Off,
        tracing_core::LevelFilter::ERROR => LevelFilter::Error,
        tracing_core::LevelFilter::WARN => LevelFilter::Warn,
        tracing_core::LevelFilter::INFO => LevelFilter::Info,
        tracing_core::LevelFilter::DEBUG => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    };
    log::set_boxed_logger(Box::new(Bridge { filter }))?;
    log::set_max_level(most_verbose);
    Ok(())
}

impl Log for Bridge {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.filter.enables(metadata.target(), level(metadata.level()))
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
