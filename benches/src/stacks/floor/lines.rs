//! Lines: everything that is known beforehand is one run of bytes; the rest is appended to a buffer that is used
//! again, and the line goes through a bounded ring to the thread that writes.

use super::DRAIN_EVERY;
use super::red::{TICKS_PER_SECOND, ticks};
use crate::case::Running;
use crate::stacks::lines::{CountingSink, REQUEST_ID, SPAN_ID, TRACE_ID, USER_ID, counted, log};
use rtrb::{Consumer, Producer, RingBuffer, chunks::ChunkError};
use std::cell::RefCell;
use std::hint::black_box;
use std::io::Write;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is the same in all lines from the message on to the first field.
static CONTEXT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "Z\",\"level\":\"INFO\",\"msg\":\"asking the bank\",\"target\":\"shop\",\"trace_id\":\"{TRACE_ID}\",\
         \"span_id\":\"{SPAN_ID}\",\"request_id\":\"{REQUEST_ID}\",\"user_id\":{USER_ID},\"order\":\""
    )
});

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

pub(super) fn running() -> Running {
    LazyLock::force(&TICKS_PER_SECOND);
    LazyLock::force(&CONTEXT);
    thread::spawn(|| {
        loop {
            for ring in BYTES.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
                let Ok(chunk) = ring.read_chunk(ring.slots()) else { continue };
                let (first, second) = chunk.as_slices();
                for bytes in [first, second] {
                    // This sink takes everything.
                    let _ = CountingSink.write_all(bytes);
                }
                chunk.commit_all();
            }
            thread::sleep(DRAIN_EVERY);
        }
    });
    Running::new(|calls| log(calls, line)).arriving(|| {
        thread::sleep(2 * DRAIN_EVERY);
        counted()
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

pub(super) fn running_plain() -> Running {
    Running::new(|calls| log(calls, plain_line))
}

static OUTPUT: Mutex<Vec<u8>> = Mutex::new(Vec::new());

#[inline(never)]
fn plain_line(order: &str, amount: u64, attempt: u32) {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_micros();
    let line = PlainLine {
        time: &format!("2026-11-22T15:22:20.{micros:06}Z"),
        level: "INFO",
        msg: "asking the bank",
        target: "shop",
        trace_id: TRACE_ID,
        span_id: SPAN_ID,
        request_id: REQUEST_ID,
        user_id: USER_ID,
        order,
        amount,
        attempt,
    };
    let mut out = OUTPUT.lock().unwrap_or_else(PoisonError::into_inner);
    out.clear();
    // A vector takes whatever it is given.
    let _ = serde_json::to_writer(&mut *out, &line);
    out.push(b'\n');
    black_box(&*out);
}
