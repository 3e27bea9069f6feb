//! The way of one signal's items out of the process: one thread collects them, another hands them on
//! in batches. A dead collector holds up the second alone; what then does not fit the queue stays in the
//! buffers of the threads that made it.

use super::delivery::{Delivery, Reporter, Signal};
use crate::busy::{self, Busy};
use crate::context::{Stack, with_stack};
use crate::threads::{self, caught};
use opentelemetry::{Context, ContextGuard};
use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How often is collected when nobody asks for it.
const COLLECT_EVERY: Duration = Duration::from_millis(100);

/// How often while somebody waits for a flush.
const FLUSH_EVERY: Duration = Duration::from_millis(5);

/// How items are batched, by the names of the `OTEL_BSP_*` and `OTEL_BLRP_*` variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batching {
    pub(crate) schedule_delay: Duration,
    pub(crate) max_queue_size: usize,
    pub(crate) max_export_batch_size: usize,
}

/// Where items come from.
pub(crate) trait Source<T> {
    /// Appends what there is, up to `room` items. The rest stays where it is.
    fn collect(&mut self, room: usize, into: &mut VecDeque<T>);

    /// Notes what there is now.
    fn mark(&mut self);

    /// Whether all that there was at the last mark has been collected.
    fn reached(&self) -> bool;
}

/// Where batches go. May take its time.
pub(crate) trait Sink<T>: Send {
    /// Returns what became of the parts of the batch, each with the number of its items.
    fn export(&mut self, batch: Vec<T>) -> Vec<(u64, Delivery)>;

    /// Sends on whatever it holds back.
    fn flush(&mut self) {}

    /// Nothing comes any more.
    fn shutdown(&mut self) {}
}

/// Somebody waits until what there is by now is dealt with.
pub(crate) struct Flush {
    /// Told when it is collected, which takes no collector's answer.
    pub(crate) collected: Sender<()>,
    pub(crate) done: Sender<()>,
    pub(crate) deadline: Instant,
    /// Nothing is to be exported afterwards.
    pub(crate) last: bool,
}

/// What the exporter's thread is given to do, in this order.
enum Work<T> {
    Batch(Vec<T>),
    Flush(Flush),
}

/// The threads' names, and what they tell apart by signal.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) signal: Signal,
    pub(crate) collector: &'static str,
    pub(crate) exporter: &'static str,
}

/// A running pipeline.
#[derive(Debug)]
pub(crate) struct Pipeline {
    flushes: Sender<Flush>,
    collector: Thread,
}

impl Pipeline {
    /// Starts both threads; `source` is made on the collector's own. What is there afterwards is collected.
    pub(crate) fn start<T: Send + 'static, S: Source<T> + 'static>(
        names: &Names,
        source: impl FnOnce() -> S + Send + 'static,
        sink: Box<dyn Sink<T>>,
        to: String,
        batching: Batching,
    ) -> io::Result<Self> {
        let waiting = (batching.max_queue_size / batching.max_export_batch_size).max(1);
        let (work, inbox) = sync_channel(waiting);
        let (flushes, asked) = channel();
        let (ready, is_ready) = channel();
        let signal = names.signal;
        let collector = threads::spawn_with(names.collector, move || {
            let source = source();
            drop(ready);
            let mut collector = Collector {
                signal,
                batching,
                source,
                work,
                pending: VecDeque::new(),
                accepted: 0,
                handed_over: 0,
                unmarked: Vec::new(),
                marked: Vec::new(),
                flushes: VecDeque::new(),
            };
            move || collector.run(&asked)
        })?;
        // Nothing is sent: the wait ends with the sender, whatever becomes of the thread.
        let _: Result<(), _> = is_ready.recv();
        let collector = collector.thread().clone();
        let wake = collector.clone();
        let reporter = Reporter::new(signal, to);
        let mut exporter = Exporter { reporter, sink, ended: false };
        threads::spawn(names.exporter, move || exporter.run(&inbox, &wake))?;
        signal.set_sending();
        Ok(Self { flushes, collector })
    }

    /// Asks that everything be dealt with, and told when it is. False if the pipeline has ended.
    pub(crate) fn ask(&self, flush: Flush) -> bool {
        let asked = self.flushes.send(flush).is_ok();
        self.collector.unpark();
        asked
    }
}

/// Makes the thread one of the runtime's own, until the guard is dropped: nothing on it is exported, or exporting
/// would not end.
pub(super) fn quiet() -> (ContextGuard, Busy) {
    with_stack(Stack::set_quiet);
    (Context::enter_telemetry_suppressed_scope(), busy::now())
}

struct Collector<T, S> {
    signal: Signal,
    batching: Batching,
    source: S,
    work: SyncSender<Work<T>>,
    pending: VecDeque<T>,
    /// How many items there has been room for.
    accepted: u64,
    /// How many of those the exporter has been given.
    handed_over: u64,
    /// Flushes that were asked for since the last mark.
    unmarked: Vec<Flush>,
    /// Flushes that wait until the source has handed over all that it had at the last mark.
    marked: Vec<Flush>,
    /// Each with the number of items that had been accepted when all it asks for was.
    flushes: VecDeque<(u64, Flush)>,
}

/// The exporter has no room, or is gone.
enum Held {
    Full,
    Gone,
}

impl<T, S: Source<T>> Collector<T, S> {
    fn run(&mut self, asked: &Receiver<Flush>) {
        let _quiet = quiet();
        let mut due = Instant::now() + self.batching.schedule_delay;
        loop {
            // Asked before collecting: what there was by then is collected.
            let first_new = self.unmarked.len();
            self.unmarked.extend(asked.try_iter());
            let told: Vec<_> =
                self.unmarked[first_new..].iter().map(|flush| flush.collected.clone()).collect();
            if self.marked.is_empty() && !self.unmarked.is_empty() {
                self.marked.append(&mut self.unmarked);
                self.source.mark();
            }
            let before = self.pending.len();
            let room = self.batching.max_queue_size.saturating_sub(before);
            self.source.collect(room, &mut self.pending);
            let new = self.pending.len() - before;
            self.accepted += new as u64;
            self.signal.accept(new as u64);
            for told in told {
                // The caller may have given up meanwhile.
                let _ = told.send(());
            }
            if !self.marked.is_empty() && self.source.reached() {
                self.flushes.extend(self.marked.drain(..).map(|flush| (self.accepted, flush)));
            }
            let now = Instant::now();
            let wanted = |flush: &Flush| flush.last || now < flush.deadline;
            self.unmarked.retain(wanted);
            self.marked.retain(wanted);
            self.flushes.retain(|(_, flush)| wanted(flush));
            let flushing = !(self.unmarked.is_empty() && self.marked.is_empty() && self.flushes.is_empty());
            let full = self.pending.len() >= self.batching.max_export_batch_size;
            if now >= due || full || flushing {
                if let Err(Held::Gone) = self.hand_over() {
                    return;
                }
                due = now + self.batching.schedule_delay;
            }
            // There was no room for all of it, and now there is.
            if new == room && self.pending.len() < self.batching.max_queue_size {
                continue;
            }
            let pause = if flushing { FLUSH_EVERY } else { COLLECT_EVERY };
            thread::park_timeout(pause.min(self.batching.schedule_delay));
        }
    }

    /// Gives the exporter what it has room for. Never waits: a dead collector is its matter alone.
    fn hand_over(&mut self) -> Result<(), Held> {
        while !self.pending.is_empty() {
            self.hand_over_flushes()?;
            let size = self.pending.len().min(self.batching.max_export_batch_size);
            let batch: Vec<T> = self.pending.drain(..size).collect();
            match self.work.try_send(Work::Batch(batch)) {
                Ok(()) => self.handed_over += size as u64,
                Err(TrySendError::Full(Work::Batch(unsent))) => {
                    unsent.into_iter().rev().for_each(|item| self.pending.push_front(item));
                    return Err(Held::Full);
                }
                Err(_) => return Err(Held::Gone),
            }
        }
        self.hand_over_flushes()
    }

    /// Passes on the flushes that nothing has to be sent before any more.
    fn hand_over_flushes(&mut self) -> Result<(), Held> {
        while self.flushes.front().is_some_and(|(accepted, _)| *accepted <= self.handed_over) {
            let Some((accepted, flush)) = self.flushes.pop_front() else { break };
            match self.work.try_send(Work::Flush(flush)) {
                Ok(()) => {}
                Err(TrySendError::Full(Work::Flush(flush))) => {
                    self.flushes.push_front((accepted, flush));
                    return Err(Held::Full);
                }
                Err(_) => return Err(Held::Gone),
            }
        }
        Ok(())
    }
}

struct Exporter<T> {
    reporter: Reporter,
    sink: Box<dyn Sink<T>>,
    ended: bool,
}

impl<T> Exporter<T> {
    fn run(&mut self, inbox: &Receiver<Work<T>>, collector: &Thread) {
        let _quiet = quiet();
        for work in inbox {
            match work {
                Work::Batch(batch) => self.export(batch),
                Work::Flush(flush) => self.flush(&flush),
            }
            collector.unpark();
        }
    }

    fn export(&mut self, batch: Vec<T>) {
        let items = batch.len() as u64;
        if self.ended {
            self.reporter.count_dropped(items);
            return;
        }
        // The sink may be the application's, and panic.
        let parts = caught(|| self.sink.export(batch))
            .unwrap_or_else(|| vec![(items, Delivery::Lost("the exporter panicked".to_owned()))]);
        self.reporter.note(parts);
    }

    fn flush(&mut self, flush: &Flush) {
        if !self.ended {
            let flushed = caught(|| {
                self.sink.flush();
                if flush.last {
                    self.sink.shutdown();
                }
            });
            if flushed.is_none() {
                self.reporter.note([(0, Delivery::Lost("the exporter panicked".to_owned()))]);
            }
            self.ended = flush.last;
        }
        // Whoever asked may have given up meanwhile.
        let _ = flush.done.send(());
    }
}
