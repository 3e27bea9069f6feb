//! Levels that somebody has asked for where they are, a request mostly, or a span that a directive of the filter is for:
//! lines up to there are written whatever the filter says of their targets, and only inside.
//!
//! As long as there is one, whoever keeps a decision of the filter keeps "ask" in its place, up to the most verbose
//! level of all; what is asked then is the stack of the thread.

use super::force::{changes, refresh, refresh_later};
use crate::context::with_stack;
use crate::site::{filter_number, level_number};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tracing_core::{Level, LevelFilter};

/// What asks for lines.
static COUNTS: Mutex<Counts> = Mutex::new(Counts { by_level: [0; 5], directives: 0 });

struct Counts {
    /// How many requests ask for each level, ERROR first.
    by_level: [usize; 5],
    /// The most verbose level that the filter's directives have for spans, as a number.
    directives: u8,
}

/// The most verbose of them as a number; 0 if there is none.
static MOST: AtomicU8 = AtomicU8::new(0);

/// A level that is asked for as long as this lives. What a request carries holds it, however the request ends.
#[derive(Debug)]
pub(crate) struct Asked {
    level: Level,
    by: By,
}

/// The origin of a level.
#[derive(Debug)]
enum By {
    Request,
    /// A directive for spans, until the filter changes for the time after this one, and the request's own level.
    Directive {
        change: u64,
        request: Option<Arc<Asked>>,
    },
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
        Arc::new(Self { level, by: By::Request })
    }

    /// Asks for lines up to a level inside of a span that matches a directive, as long as the filter is the one of that
    /// change. A request that has asked for as much stays as it is.
    pub(super) fn by_directive(level: Level, change: u64, asked: &mut Option<Arc<Self>>) {
        if asked.as_ref().and_then(|asked| asked.level()).is_some_and(|asked| level <= asked) {
            return;
        }
        let request = asked.take().and_then(|asked| match &asked.by {
            By::Request => Some(asked),
            By::Directive { request, .. } => request.clone(),
        });
        *asked = Some(Arc::new(Self { level, by: By::Directive { change, request } }));
    }

    /// The level, unless it was a directive's that is not in force any more.
    pub(crate) fn level(&self) -> Option<Level> {
        match &self.by {
            By::Directive { change, request } if *change != changes() => request.as_ref()?.level(),
            _ => Some(self.level),
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        // It may be dropped anywhere, so it waits for nobody.
        if matches!(self.by, By::Request)
            && count(self.level, |count| count.saturating_sub(1))
            && crate::state::running()
        {
            refresh_later();
        }
    }
}

/// Counts one more or less. True if the most verbose level is another now.
fn count(level: Level, change: impl FnOnce(usize) -> usize) -> bool {
    let mut counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    let of_level = &mut counts.by_level[usize::from(level_number(level)) - 1];
    *of_level = change(*of_level);
    counts.publish()
}

/// Has the directives of the filter ask for lines inside of spans, up to that level.
pub(super) fn set_by_directives(level: LevelFilter) {
    let mut counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    counts.directives = filter_number(level);
    counts.publish();
}

impl Counts {
    /// True if the most verbose level is another now.
    fn publish(&self) -> bool {
        let numbers = (1..).zip(self.by_level);
        let most = numbers.filter(|(_, count)| *count > 0).map(|(number, _)| number).max().unwrap_or(0);
        let most = most.max(self.directives);
        MOST.swap(most, Ordering::Relaxed) != most
    }
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
    with_stack(|stack| stack.carried()?.asked.as_ref()?.level()).flatten()
}
