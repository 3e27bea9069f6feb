//! Messages on standard error, for which neither an error nor a panic nor an endless wait may follow.
//!
//! `eprintln!` panics if standard error is closed or its disk is full, and waits for ever if it is a pipe that is full and
//! not read. Here, a short-lived thread writes the message, so that a caller waits for it as long as it chooses.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// Messages that may wait for standard error at once. More than these are left out.
const MOST_WAITING: usize = 4;

static WAITING: AtomicUsize = AtomicUsize::new(0);

/// Writes one line and returns at once.
pub(crate) fn print(line: fmt::Arguments<'_>) {
    print_within(Duration::ZERO, line);
}

/// Writes one line, and waits for at most `patience` until standard error has it.
pub(crate) fn print_within(patience: Duration, line: fmt::Arguments<'_>) {
    let Some(place) = Place::take() else { return };
    let text = escaped(&line.to_string());
    let (written, is_written) = channel::<()>();
    let write = move || {
        write(&text);
        drop(place);
        drop(written);
    };
    if thread::Builder::new().name("obs-stderr".into()).spawn(write).is_ok() {
        // Nothing is sent: the wait ends with the sender.
        let _ = is_written.recv_timeout(patience);
    }
}

/// Writes all of it at once, so that no other output comes in between.
fn write(text: &str) {
    // There is no other place to report an error.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// The line with its end. An error's text may come from anywhere, and a person reads this in a terminal.
fn escaped(line: &str) -> String {
    let mut text = String::with_capacity(line.len() + 1);
    for char in line.chars() {
        match char {
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                text.extend(char.escape_unicode());
            }
            char if char.is_control() => text.extend(char.escape_default()),
            char => text.push(char),
        }
    }
    text.push('\n');
    text
}

/// One of the messages that wait.
struct Place;

impl Place {
    fn take() -> Option<Self> {
        // Counted first, so that dropping it is right either way.
        let place = Self;
        (WAITING.fetch_add(1, Ordering::Relaxed) < MOST_WAITING).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_without_controls() {
        assert_eq!(
            escaped("disk\nfull \u{1b}[31m\u{9b}\u{202e}"),
            "disk\\nfull \\u{1b}[31m\\u{9b}\\u{202e}\n"
        );
    }

    #[test]
    fn there_are_never_more_messages_waiting_than_places() {
        let places: Vec<_> = (0..MOST_WAITING + 2).map(|_| Place::take()).collect();
        assert!(places.iter().flatten().count() <= MOST_WAITING);
        drop(places);
        assert!(Place::take().is_some());
    }
}
