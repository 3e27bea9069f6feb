//! Spans: a stack of those this thread is in, ids by a small generator, and a record of fixed size in a bounded
//! ring that another thread empties. The span of a future is in the future, and on the stack of whichever
//! thread polls it.

use super::DRAIN_EVERY;
use super::red::{self, count, ticks};
use crate::case::Running;
use crate::payment::{Details, Method, Payment, pay, series};
use crate::stacks::futures::wait_once;
use rtrb::{Consumer, Producer, RingBuffer};
use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    trace: [u64; 2],
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
const DEEPEST: usize = 64;

struct Thread {
    stack: [Span; DEEPEST],
    depth: usize,
    random: u64,
    ring: Producer<Finished>,
}

thread_local! {
    static THREAD: Cell<Option<&'static RefCell<Thread>>> = const { Cell::new(None) };
}

static RINGS: Mutex<Vec<Consumer<Finished>>> = Mutex::new(Vec::new());
static ARRIVED: AtomicU64 = AtomicU64::new(0);

impl Thread {
    #[cold]
    fn new() -> &'static RefCell<Self> {
        let (ring, consumer) = RingBuffer::new(RING_SPANS);
        RINGS.lock().unwrap_or_else(PoisonError::into_inner).push(consumer);
        let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
        let stack = [Span::default(); DEEPEST];
        let thread = Self { stack, depth: 0, random: u64::from(seed) | 1, ring };
        let thread: &'static RefCell<Self> = Box::leak(Box::new(RefCell::new(thread)));
        THREAD.set(Some(thread));
        thread
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
            0 => [self.random(), self.random()],
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
    run(&mut THREAD.get().unwrap_or_else(Thread::new).borrow_mut())
}

/// Starts the thread that takes spans away.
pub(super) fn running(calls: impl Fn(u64) + Send + Sync + 'static) -> Running {
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
    red::running(calls).arriving(|| {
        thread::sleep(Duration::from_millis(20));
        ARRIVED.load(Ordering::Relaxed)
    })
}

/// Makes the calls inside a span.
pub(super) fn below_another(sampled: bool, calls: impl FnOnce()) {
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
pub(super) fn charge(amount: u64, method: Method, attempt: u32) -> Payment {
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
pub(super) fn charge_unsampled(amount: u64, method: Method, attempt: u32) -> Payment {
    with_thread(|thread| thread.enter(thread.stack[thread.depth - 1]));
    let started = ticks();
    let payment = pay(amount);
    count(series(method, attempt > 1, &payment), ticks() - started);
    with_thread(Thread::leave);
    payment
}

#[inline(never)]
pub(super) fn without_fields(details: &Details) -> u64 {
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
pub(super) async fn ready(amount: u64, _: Method, _: u32) -> Payment {
    Observed { inner: pin!(async move { pay(amount) }), span: None, series_of }.await
}

#[inline(never)]
pub(super) async fn waiting(amount: u64, _: Method, _: u32) -> Payment {
    let inner = pin!(async move {
        wait_once().await;
        pay(amount)
    });
    Observed { inner, span: None, series_of }.await
}
