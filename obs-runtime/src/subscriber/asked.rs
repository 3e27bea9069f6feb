//! Levels that somebody has asked for where they are, a request mostly: lines up to there are written whatever the
//! filter says, and only inside.
//!
//! As long as there is one, whoever keeps a decision of the filter keeps "ask" in its place, up to the most verbose
//! level of all; what is asked then is the stack of the thread.

use super::force::{refresh, refresh_later};
use crate::context::with_stack;
use crate::site::level_number;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tracing_core::{Level, LevelFilter};

/// How many are in force of each level, ERROR first.
static COUNTS: Mutex<[usize; 5]> = Mutex::new([0; 5]);

/// The most verbose of them as a number; 0 if there is none.
static MOST: AtomicU8 = AtomicU8::new(0);

/// A level that is asked for as long as this lives. What a request carries holds it, however the request ends.
#[derive(Debug)]
pub(crate) struct Asked {
    level: Level,
}

impl Asked {
    /// Asks for lines up to that level. When it returns, everybody has heard.
    pub(crate) fn new(level: Level) -> Arc<Self> {
        // Who comes second waits until it is done.
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        if count(level, |count| count + 1) && crate::state::running() {
            refresh();
        }
        Arc::new(Self { level })
    }

    pub(crate) fn level(&self) -> Level {
        self.level
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        // It may be dropped anywhere, so it waits for nobody.
        if count(self.level, |count| count.saturating_sub(1)) && crate::state::running() {
            refresh_later();
        }
    }
}

/// Counts one more or less. True if the most verbose level is another now.
fn count(level: Level, change: impl FnOnce(usize) -> usize) -> bool {
    let mut counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    let of_level = &mut counts[usize::from(level_number(level)) - 1];
    *of_level = change(*of_level);
    let numbers = (1..).zip(*counts);
    let most = numbers.filter(|(_, count)| *count > 0).map(|(number, _)| number).max().unwrap_or(0);
    MOST.swap(most, Ordering::Relaxed) != most
}

/// The most verbose level that anybody has asked for.
pub(super) fn most_verbose() -> LevelFilter {
    let levels = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
    let most = MOST.load(Ordering::Relaxed);
    let level = levels.into_iter().find(|level| level_number(*level) == most);
    level.map_or(LevelFilter::OFF, LevelFilter::from_level)
}

/// Whether anybody has asked for lines of that level.
pub(super) fn anywhere(level: Level) -> bool {
    level_number(level) <= MOST.load(Ordering::Relaxed)
}

/// Whether they have been asked for where this thread is.
pub(crate) fn here(level: Level) -> bool {
    anywhere(level) && asked_here().is_some_and(|asked| level <= asked)
}

/// Whether anything has been asked for where this thread is.
pub(crate) fn anything_here() -> bool {
    asked_here().is_some()
}

fn asked_here() -> Option<Level> {
    with_stack(|stack| Some(stack.carried()?.asked.as_ref()?.level())).flatten()
}
