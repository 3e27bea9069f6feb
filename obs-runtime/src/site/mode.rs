//! What is to be done for a call: the byte that each one looks at, and what it is made of.

use super::{Site, filter_number, level_number};
use crate::state;
use crate::subscriber::asked_here;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use tracing_core::subscriber::Interest;
use tracing_core::{Callsite, Level, LevelFilter, Metadata};

/// Bits of a site's mode.
mod bits {
    /// Calls are observed.
    pub(super) const ON: u8 = 1;
    /// They are on their thread's stack.
    pub(super) const FRAME: u8 = 2;
    /// They have spans of their own.
    pub(super) const SPAN: u8 = 4;
    /// Those that return have a line.
    pub(super) const LINES: u8 = 8;
    /// They are on their thread's stack only where somebody has asked for more lines than the filter lets through.
    pub(super) const ASKED: u8 = 16;
    /// Their spans are shown to the other layers of the application's stack.
    pub(super) const SHOWN: u8 = 32;
    /// Those that take longer than a limit have a line.
    pub(super) const SLOW: u8 = 64;
    /// Directives of the filter may be for their spans, by the name or a field: each is compared.
    pub(super) const COMPARED: u8 = 128;
}

/// What is to be done for a call: one look at its site's mode.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode(u8);

impl Mode {
    /// Whether it has a frame on its thread's stack.
    #[inline]
    pub(crate) fn has_frame(self) -> bool {
        self.0 & bits::FRAME != 0
    }

    /// Whether it has that always, and nobody else is to know of it.
    #[inline]
    pub(crate) fn has_plain_frame(self) -> bool {
        self.0 & (bits::FRAME | bits::ASKED | bits::SHOWN | bits::COMPARED) == bits::FRAME
    }

    /// Whether its span is shown to the other layers of the application's stack.
    #[inline]
    pub(crate) fn is_shown(self) -> bool {
        self.0 & bits::SHOWN != 0
    }

    /// Whether its frame is compared with directives for spans.
    #[inline]
    pub(crate) fn is_compared(self) -> bool {
        self.0 & bits::COMPARED != 0
    }

    /// Whether it has one only where somebody has asked for lines.
    #[inline]
    pub(crate) fn if_asked(self) -> bool {
        self.0 & bits::ASKED != 0
    }
}

/// What a site's mode is made of.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each says another thing, and none of them a state")]
pub(super) struct Decided {
    /// The most verbose level that the log filter lets through for this function, as a number.
    verbosity: u8,
    /// The most verbose level that anybody has asked for.
    asked: u8,
    /// Whether the filter opens its span.
    span: bool,
    /// Whether the filter has directives that may be for its span.
    compared: bool,
    /// Whether another subscriber wants its span, of which `tracing` tells once it knows the site.
    foreign: bool,
    registered: bool,
}

impl Decided {
    /// Of a site that no runtime knows.
    pub(super) const NOTHING: Self =
        Self { verbosity: 0, asked: 0, span: false, compared: false, foreign: false, registered: false };
}

impl Site {
    /// From now on calls are observed as far as the log filter lets them be: lines up to a level, and the span or not;
    /// and lines up to another where somebody has asked for them. Directives for spans may be `compared` with its calls.
    /// True if `tracing` has to know of the site.
    pub(crate) fn set_filter(
        &self,
        verbosity: LevelFilter,
        asked: LevelFilter,
        span: bool,
        compared: bool,
    ) -> bool {
        self.decide(|decided| {
            (decided.verbosity, decided.asked) = (filter_number(verbosity), filter_number(asked));
            (decided.span, decided.compared) = (span, compared);
            let off = self.by_level(decided.verbosity, span) & bits::ON == 0 && !span;
            off && !std::mem::replace(&mut decided.registered, true)
        })
    }

    fn decide<R>(&self, change: impl FnOnce(&mut Decided) -> R) -> R {
        let mut decided = self.decided.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut decided);
        let Decided { verbosity, asked, span, compared, foreign, .. } = *decided;
        let mut mode = self.by_level(verbosity, span);
        if foreign && !span {
            mode |= bits::ON | bits::FRAME;
        }
        if compared {
            mode |= bits::ON | bits::FRAME | bits::COMPARED;
        }
        let if_asked = self.by_level(verbosity.max(asked), span);
        if if_asked & !mode & bits::FRAME != 0 {
            mode |= bits::ASKED;
        }
        self.verbosity.store(asked << 4 | verbosity, Ordering::Relaxed);
        self.mode.store(mode | if_asked, Ordering::Relaxed);
        result
    }

    /// The mode of a function whose lines are written up to that level.
    fn by_level(&self, verbosity: u8, span: bool) -> u8 {
        let spec = &self.spec;
        let logs = |level| spec.log && level_number(level) <= verbosity;
        let slow = spec.slow_nanos < u64::MAX && logs(Level::WARN);
        // Of a function whose level is off, failures are told, and nothing else is worth a call's while.
        let lines = logs(spec.ok_level)
            || slow
            || (spec.fallible && logs(spec.err_level))
            || (span && logs(Level::ERROR));
        let span = span && spec.span;
        let set = [
            (spec.metrics, bits::ON),
            (span || lines, bits::ON | bits::FRAME),
            (span, bits::SPAN),
            (logs(spec.ok_level), bits::LINES),
            (spec.slow_nanos < u64::MAX, bits::SLOW),
            (spec.span && state::layered(), bits::SHOWN),
        ];
        set.iter().filter(|(set, _)| *set).fold(0, |mode, (_, bit)| mode | bit)
    }

    /// What is to be done for a call that begins.
    #[inline]
    pub(crate) fn mode(&self) -> Mode {
        Mode(self.mode.load(Ordering::Relaxed))
    }

    #[inline]
    fn has(&self, bit: u8) -> bool {
        self.mode.load(Ordering::Relaxed) & bit != 0
    }

    /// Whether calls are observed at all.
    #[inline]
    #[must_use]
    pub fn on(&self) -> bool {
        self.has(bits::ON)
    }

    /// Whether calls get a span of their own.
    #[inline]
    pub(crate) fn spans(&self) -> bool {
        self.has(bits::SPAN)
    }

    /// Whether a call that returns after so many ticks has no log line.
    #[inline]
    pub(crate) fn is_quiet(&self, ticks: u64) -> bool {
        let mode = self.mode.load(Ordering::Relaxed);
        mode & (bits::LINES | bits::SLOW) == 0 || (mode & bits::LINES == 0 && !self.is_slow(ticks))
    }

    /// Whether a call is slow that takes so many ticks.
    pub(crate) fn is_slow(&self, ticks: u64) -> bool {
        self.shape().is_some_and(|shape| ticks >= shape.slow_ticks)
    }

    /// Whether a log line of this level would be written where this thread is.
    #[inline]
    pub(crate) fn logs(&self, level: Level) -> bool {
        let (number, verbosity) = (level_number(level), self.verbosity.load(Ordering::Relaxed));
        number <= verbosity & 0xf || (number <= verbosity >> 4 && asked_here(level))
    }
}

/// A foreign subscriber may ask for the callsite; what it answers is asked again at each call. Of a function that is
/// off, `tracing` says whether any subscriber wants it all the same.
impl Callsite for Site {
    fn set_interest(&self, interest: Interest) {
        self.decide(|decided| decided.foreign = !interest.is_never());
    }

    fn metadata(&self) -> &Metadata<'_> {
        &self.metadata
    }
}
