//! Text for a terminal: nothing that a value, a name or a message has in it moves the cursor or turns the line around.

use obs_runtime::{Guard, LogFormat, context, observe};
use obs_tests::{DEADLINE, Lines, here, process};
use std::thread;

/// C0, DEL, C1, bidirectional controls, separators of lines, invisible characters.
const UNSAFE: &str = "\r\n\u{1b}[2J\u{7f}\u{9b}31m\u{85}\u{61c}\u{200b}\u{200e}\u{200f}\u{2028}\u{202a}\u{202e}\u{2066}\u{2069}\u{feff}\u{e0041}";

#[observe(fields(value, shown = %value, debug = ?value))]
fn takes(value: &str, fails: bool) -> Result<(), String> {
    tracing::info!(target: "evil\u{9b}\u{2066}target", inner = value, "message {value}");
    tracing::info!({ "evil\u{202e}\u{7f}key" } = value, "keys");
    log::warn!(target: value, "key\u{202e}" = value, value; "of log {value}");
    if fails { Err(value.to_owned()) } else { panic!("{value}") }
}

fn speak() {
    let span = tracing::info_span!("evil\u{202e}span", field = UNSAFE).entered();
    context! { tenant = UNSAFE }.run(|| {
        takes(UNSAFE, true).expect_err("it fails");
        thread::spawn(|| takes(UNSAFE, false)).join().expect_err("it panics");
    });
    drop(span);
}

/// Starts the runtime and returns the lines of [`speak`] in that format.
fn spoken(format: LogFormat) -> (String, Guard) {
    let lines = Lines::default();
    let guard = obs_runtime::builder()
        .log_format(format)
        .log_filter("debug")
        .log_output(lines.clone())
        .no_admin()
        .init()
        .expect("the runtime starts");
    speak();
    assert!(obs_runtime::flush(DEADLINE).finished, "flushed in time");
    (lines.text(), guard)
}

#[test]
fn no_line_of_text_steers_the_terminal() {
    let Some(_inside) = process::alone(here!()) else { return };
    let (text, guard) = spoken(LogFormat::Text);
    assert!(text.contains("\\u{9b}31m") && text.contains("\\u202e"), "{text}");
    check(&text);
    assert_eq!(text.lines().count(), 8, "a line each: {text}");
    let mut waiting = std::pin::pin!(waits());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    let tasks = obs_runtime::profile::tasks_text(std::time::Duration::ZERO);
    assert!(tasks.contains("waits"), "{tasks}");
    check(&tasks);
    drop(guard);
}

#[observe]
async fn waits() {
    std::future::pending::<()>().await;
}

#[test]
fn no_line_of_json_steers_the_terminal() {
    let Some(_inside) = process::alone(here!()) else { return };
    let (text, guard) = spoken(LogFormat::Json);
    check(&text);
    let lines: Vec<_> = text.lines().map(obs_tests::parse_line).collect();
    assert_eq!(lines.len(), 8, "a line each: {text}");
    assert_eq!(lines[0]["msg"], format!("message {UNSAFE}"), "JSON says the same");
    assert_eq!((&lines[0]["tenant"], &lines[0]["inner"]), (&UNSAFE.into(), &UNSAFE.into()));
    assert_eq!(lines[0]["target"], "evil\u{9b}\u{2066}target");
    drop(guard);
}

/// Nothing but the ends of lines is a control, and nothing turns the direction of the text.
fn check(text: &str) {
    let steers = |c: &char| UNSAFE.contains(*c) && (*c != '\n') && !c.is_ascii_graphic();
    for line in text.split('\n') {
        assert_eq!(line.chars().find(|c| steers(c) || c.is_control()), None, "{line:?}");
    }
}
