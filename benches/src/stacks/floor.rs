//! The floor: the same observable work written by hand for this one function, with nothing superfluous.
//!
//! It can be scraped, spans reach another thread, and lines come out whole and escaped, so each part is what
//! that takes. What it lacks is everything general: any other function, label or field is written anew.

use crate::case::{Case, Running, Work};
use crate::payment::{BOUNDS, Details, Method, Payment, SERIES, call, call_with_details, pay, series};
use crate::stacks::futures::{poll_to_end, wait_once};
use rtrb::{Consumer, Producer, RingBuffer, chunks::ChunkError};
use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::io::Write;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub(super) const CASES: &[Case] = &[
    Case::beside(Work::Red, super::FLOOR, || {
        LazyLock::force(&TICK_BOUNDS);
        Running::new(|calls| call(calls, red))
    }),
    Case::beside(Work::Sampled, super::FLOOR, || spans(|calls| below_another(true, || call(calls, sampled)))),
    Case::beside(Work::Root, super::FLOOR, || spans(|calls| call(calls, sampled))),
    Case::beside(Work::Unsampled, super::FLOOR, || {
        LazyLock::force(&TICK_BOUNDS);
        Running::new(|calls| below_another(false, || call(calls, unsampled)))
    }),
    Case::beside(Work::NoFields, super::FLOOR, || {
        spans(|calls| below_another(true, || call_with_details(calls, without_fields)))
    }),
    Case::beside(Work::AsyncReady, super::FLOOR, || {
        spans(|calls| below_another(true, || call(calls, |a, m, t| poll_to_end(pin!(ready(a, m, t))))))
    }),
    Case::beside(Work::AsyncYield, super::FLOOR, || {
        spans(|calls| below_another(true, || call(calls, |a, m, t| poll_to_end(pin!(waiting(a, m, t))))))
    }),
    Case::beside(Work::Line, super::FLOOR, lines),
    Case::beside(Work::Line, "by hand, `serde_json` into a locked sink", plain_lines),
    Case::beside(Work::Disabled, super::PLAIN, plain),
    Case::beside(Work::Stopped, super::PLAIN, plain),
    Case::beside(Work::StoppedLabels, super::PLAIN, plain),
];

/// The function as it is without observation.
fn plain() -> Running {
    #[inline(never)]
    fn charge(amount: u64, _: Method, _: u32) -> Payment {
        pay(amount)
    }
    Running::new(|calls| call(calls, charge))
}

// RED: two readings of the time stamp counter, a search for the bucket, and two cells of this thread.

/// For each series the sum of durations in ticks, then how many calls fell in each bucket.
type Cells = [[AtomicU64; BOUNDS.len() + 2]; SERIES];

/// All threads' cells, for a scrape to add up.
static ALL_CELLS: Mutex<Vec<&'static Cells>> = Mutex::new(Vec::new());

thread_local! {
    static CELLS: Cell<Option<&'static Cells>> = const { Cell::new(None) };
}

#[cold]
fn new_cells() -> &'static Cells {
    let cells: &'static Cells = Box::leak(Box::new([const { [const { AtomicU64::new(0) }; _] }; _]));
    ALL_CELLS.lock().unwrap_or_else(PoisonError::into_inner).push(cells);
    CELLS.set(Some(cells));
    cells
}

/// The present in ticks of the time stamp counter.
#[inline]
fn ticks() -> u64 {
    // SAFETY: the instruction is there on every processor of this architecture.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// How many ticks a second has.
static TICKS_PER_SECOND: LazyLock<f64> = LazyLock::new(|| {
    let (start, first) = (Instant::now(), ticks());
    thread::sleep(Duration::from_millis(20));
    #[allow(clippy::cast_precision_loss, reason = "short times")]
    let passed = (ticks() - first) as f64;
    passed / start.elapsed().as_secs_f64()
});

/// The bounds of the buckets in ticks.
static TICK_BOUNDS: LazyLock<[u64; BOUNDS.len()]> = LazyLock::new(|| {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and far below 2^63"
    )]
    BOUNDS.map(|bound| (bound * *TICKS_PER_SECOND) as u64)
});

#[inline]
fn bucket(ticks: u64) -> usize {
    TICK_BOUNDS.iter().position(|bound| ticks <= *bound).unwrap_or(BOUNDS.len())
}

#[inline]
fn count(series: usize, ticks: u64) {
    let add = |cell: &AtomicU64, more| cell.store(cell.load(Ordering::Relaxed) + more, Ordering::Relaxed);
    let cells = &CELLS.get().unwrap_or_else(new_cells)[series];
    add(&cells[0], ticks);
    add(&cells[1 + bucket(ticks)], 1);
}

#[inline(never)]
fn red(amount: u64, method: Method, attempt: u32) -> Payment {
    let started = ticks();
    let payment = pay(amount);
    count(series(method, attempt > 1, &payment), ticks() - started);
    payment
}

// Spans: a stack of those this thread is in, ids by a small generator, and a record of fixed size in a bounded
// ring that another thread empties.

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    trace: u128,
    id: u64,
}

#[derive(Debug)]
struct Finished {
    name: &'static str,
    span: Span,
    parent: u64,
    started: u64,
    ended: u64,
    series: usize,
}

const RING_SPANS: usize = 512;
/// Half of the pause between groups of calls.
const DRAIN_EVERY: Duration = Duration::from_micros(1_500);
const DEEPEST: usize = 64;

struct Thread {
    stack: [Span; DEEPEST],
    depth: usize,
    random: u64,
    ring: Producer<Finished>,
}

thread_local! {
    static THREAD: RefCell<Option<Thread>> = const { RefCell::new(None) };
}

static RINGS: Mutex<Vec<Consumer<Finished>>> = Mutex::new(Vec::new());
static ARRIVED: AtomicU64 = AtomicU64::new(0);

impl Thread {
    #[cold]
    fn new() -> Self {
        let (ring, consumer) = RingBuffer::new(RING_SPANS);
        RINGS.lock().unwrap_or_else(PoisonError::into_inner).push(consumer);
        let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
        Self { stack: [Span::default(); DEEPEST], depth: 0, random: u64::from(seed) | 1, ring }
    }

    /// By `xorshift64`.
    #[inline]
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    /// Opens a span below the innermost.
    #[inline]
    fn push(&mut self) -> Span {
        let trace = match self.depth {
            0 => u128::from(self.random()) << 64 | u128::from(self.random()),
            depth => self.stack[depth - 1].trace,
        };
        let span = Span { trace, id: self.random() };
        self.enter(span);
        span
    }

    #[inline]
    fn enter(&mut self, span: Span) {
        self.stack[self.depth] = span;
        self.depth += 1;
    }

    #[inline]
    fn leave(&mut self) {
        self.depth -= 1;
    }

    #[inline]
    fn finish(&mut self, name: &'static str, span: Span, started: u64, ended: u64, series: usize) {
        let parent = if self.depth == 0 { 0 } else { self.stack[self.depth - 1].id };
        // A full ring drops the span; how many are missing is seen where they arrive.
        let _ = self.ring.push(Finished { name, span, parent, started, ended, series });
    }
}

#[inline]
fn with_thread<R>(run: impl FnOnce(&mut Thread) -> R) -> R {
    THREAD.with_borrow_mut(|thread| run(thread.get_or_insert_with(Thread::new)))
}

/// Starts the thread that takes spans away.
fn spans(calls: impl Fn(u64) + Send + Sync + 'static) -> Running {
    LazyLock::force(&TICK_BOUNDS);
    thread::spawn(|| {
        loop {
            for ring in RINGS.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
                while let Ok(span) = ring.pop() {
                    let Finished { name, span, parent, started, ended, series } = span;
                    black_box((span, parent, started, ended, series));
                    ARRIVED.fetch_add(u64::from(name == "charge"), Ordering::Relaxed);
                }
            }
            thread::sleep(DRAIN_EVERY);
        }
    });
    Running::new(calls).arriving(|| {
        thread::sleep(Duration::from_millis(20));
        ARRIVED.load(Ordering::Relaxed)
    })
}

/// Makes the calls inside a span.
fn below_another(sampled: bool, calls: impl FnOnce()) {
    let started = ticks();
    let span = with_thread(Thread::push);
    calls();
    with_thread(|thread| {
        thread.leave();
        if sampled {
            thread.finish("outer", span, started, ticks(), 0);
        }
    });
}

#[inline(never)]
fn sampled(amount: u64, method: Method, attempt: u32) -> Payment {
    let span = with_thread(Thread::push);
    let started = ticks();
    let payment = pay(amount);
    let ended = ticks();
    let series = series(method, attempt > 1, &payment);
    count(series, ended - started);
    with_thread(|thread| {
        thread.leave();
        thread.finish("charge", span, started, ended, series);
    });
    payment
}

/// Lines below have the ids of the trace, so it is on the stack; its own id nobody will ever see.
#[inline(never)]
fn unsampled(amount: u64, method: Method, attempt: u32) -> Payment {
    with_thread(|thread| thread.enter(thread.stack[thread.depth - 1]));
    let started = ticks();
    let payment = pay(amount);
    count(series(method, attempt > 1, &payment), ticks() - started);
    with_thread(Thread::leave);
    payment
}

#[inline(never)]
fn without_fields(details: &Details) -> u64 {
    let span = with_thread(Thread::push);
    let started = ticks();
    let sum = details.numbers[0];
    let ended = ticks();
    with_thread(|thread| {
        thread.leave();
        thread.finish("charge", span, started, ended, 0);
    });
    sum
}

// Futures: the span is in the future, and on the stack of whichever thread polls it.

/// A future with its span.
struct Observed<F> {
    inner: F,
    span: Option<(Span, u64)>,
    series_of: fn(&Payment) -> usize,
}

impl<F: Future<Output = Payment> + Unpin> Future for Observed<F> {
    type Output = Payment;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Payment> {
        let (span, started) = match self.span {
            Some((span, started)) => {
                with_thread(|thread| thread.enter(span));
                (span, started)
            }
            None => *self.span.insert((with_thread(Thread::push), ticks())),
        };
        let polled = Pin::new(&mut self.inner).poll(context);
        let Poll::Ready(payment) = &polled else {
            with_thread(Thread::leave);
            return polled;
        };
        let ended = ticks();
        let series = (self.series_of)(payment);
        count(series, ended - started);
        with_thread(|thread| {
            thread.leave();
            thread.finish("charge", span, started, ended, series);
        });
        polled
    }
}

/// The labels of these calls are known, so that the future need not hold them.
fn series_of(payment: &Payment) -> usize {
    series(Method::Card, false, payment)
}

#[inline(never)]
async fn ready(amount: u64, _: Method, _: u32) -> Payment {
    Observed { inner: pin!(async move { pay(amount) }), span: None, series_of }.await
}

#[inline(never)]
async fn waiting(amount: u64, _: Method, _: u32) -> Payment {
    let inner = pin!(async move {
        wait_once().await;
        pay(amount)
    });
    Observed { inner, span: None, series_of }.await
}

// Lines: everything that is known beforehand is one run of bytes; the rest is appended to a buffer that is used
// again, and the line goes through a bounded ring to the thread that writes.

/// What the context of the line adds: two fields and the ids.
const CONTEXT: &str = ",\"target\":\"shop\",\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\"span_id\":\"00f067aa0ba902b7\",\
                       \"request_id\":\"019aa5b0-7c1f-7d52-b3a4-0f6f1d2e3c4b\",\"user_id\":4711,\"order\":\"";

const RING_BYTES: usize = 512 * 1024;

struct Lines {
    buffer: Vec<u8>,
    /// The second that `stamp` tells, and the tick at which it began.
    second: (u64, u64),
    ring: Producer<u8>,
}

thread_local! {
    static LINES: RefCell<Option<Lines>> = const { RefCell::new(None) };
}

static BYTES: Mutex<Vec<Consumer<u8>>> = Mutex::new(Vec::new());

fn lines() -> Running {
    LazyLock::force(&TICK_BOUNDS);
    thread::spawn(|| {
        loop {
            for ring in BYTES.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
                let Ok(chunk) = ring.read_chunk(ring.slots()) else { continue };
                let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
                let (first, second) = chunk.as_slices();
                ARRIVED.fetch_add(lines(first) + lines(second), Ordering::Relaxed);
                chunk.commit_all();
            }
            thread::sleep(DRAIN_EVERY);
        }
    });
    Running::new(|calls| super::lines::log(calls, line)).arriving(|| {
        thread::sleep(Duration::from_millis(20));
        ARRIVED.load(Ordering::Relaxed)
    })
}

impl Lines {
    #[cold]
    fn new() -> Self {
        let (ring, consumer) = RingBuffer::new(RING_BYTES);
        BYTES.lock().unwrap_or_else(PoisonError::into_inner).push(consumer);
        Self { buffer: Vec::new(), second: (0, 0), ring }
    }

    /// The microsecond of the second, with the second taken anew when it is over.
    #[inline]
    fn micros(&mut self) -> u64 {
        let now = ticks();
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "below a million"
        )]
        let micros = ((now - self.second.1) as f64 * (1e6 / *TICKS_PER_SECOND)) as u64;
        if micros < 1_000_000 { micros } else { self.next_second(now) }
    }

    #[cold]
    fn next_second(&mut self, now: u64) -> u64 {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let micros = u64::from(wall.subsec_micros());
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "ticks of less than a second"
        )]
        let into = (micros as f64 * *TICKS_PER_SECOND / 1e6) as u64;
        self.second = (wall.as_secs(), now - into);
        micros
    }
}

#[inline(never)]
fn line(order: &str, amount: u64, attempt: u32) {
    LINES.with_borrow_mut(|lines| {
        let lines = lines.get_or_insert_with(Lines::new);
        let micros = lines.micros();
        let out = &mut lines.buffer;
        out.clear();
        // The date changes once a second, so it is a constant here as it would be a buffer there.
        out.extend_from_slice(b"{\"time\":\"2026-11-22T15:22:20.");
        let mut digits = *b"000000";
        let mut rest = micros;
        for digit in digits.iter_mut().rev() {
            *digit += u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
        }
        out.extend_from_slice(&digits);
        out.extend_from_slice(b"Z\",\"level\":\"INFO\",\"msg\":\"asking the bank\"");
        out.extend_from_slice(CONTEXT.as_bytes());
        escape(out, order);
        out.extend_from_slice(b"\",\"amount\":");
        out.extend_from_slice(itoa::Buffer::new().format(amount).as_bytes());
        out.extend_from_slice(b",\"attempt\":");
        out.extend_from_slice(itoa::Buffer::new().format(attempt).as_bytes());
        out.extend_from_slice(b"}\n");
        // A full ring drops the line; how many are missing is seen where they arrive.
        let _: Result<(), ChunkError> = lines.ring.write_chunk(out.len()).map(|mut chunk| {
            let (first, second) = chunk.as_mut_slices();
            let (head, tail) = out.split_at(first.len());
            first.copy_from_slice(head);
            second.copy_from_slice(tail);
            chunk.commit_all();
        });
    });
}

/// Appends a text, escaped where it has to be.
#[inline]
fn escape(out: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend_from_slice(&[b'\\', character as u8]),
            '\0'..='\x1f' => out.extend_from_slice(format!("\\u{:04x}", character as u32).as_bytes()),
            _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// The line as a struct, in the way most would write it.
#[derive(serde::Serialize)]
struct PlainLine<'a> {
    time: &'a str,
    level: &'a str,
    msg: &'a str,
    target: &'a str,
    trace_id: &'a str,
    span_id: &'a str,
    request_id: &'a str,
    user_id: u64,
    order: &'a str,
    amount: u64,
    attempt: u32,
}

fn plain_lines() -> Running {
    static OUTPUT: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    #[inline(never)]
    fn plain_line(order: &str, amount: u64, attempt: u32) {
        let micros = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_micros();
        let line = PlainLine {
            time: &format!("2026-11-22T15:22:20.{micros:06}Z"),
            level: "INFO",
            msg: "asking the bank",
            target: "shop",
            trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
            span_id: "00f067aa0ba902b7",
            request_id: super::lines::REQUEST_ID,
            user_id: super::lines::USER_ID,
            order,
            amount,
            attempt,
        };
        let mut out = OUTPUT.lock().unwrap_or_else(PoisonError::into_inner);
        out.clear();
        // A vector takes whatever it is given.
        let _ = serde_json::to_writer(&mut *out, &line);
        let _ = out.write_all(b"\n");
        black_box(&*out);
    }
    Running::new(|calls| super::lines::log(calls, plain_line))
}
