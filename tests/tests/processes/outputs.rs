//! Outputs that are full, closed or never read: what is lost is counted and said, and the process goes on and ends.
#![cfg(unix)]

use obs_tests::here;
use serde_json::Value as Json;
use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

/// A program whose outputs are broken, which notes in a file what the runtime says of that.
struct Emits {
    command: Command,
    files: PathBuf,
}

struct Ended {
    status: ExitStatus,
    notes: Json,
    /// If it was a pipe.
    stderr: String,
}

impl Emits {
    /// Behind a shell's `limits`, if any.
    fn new(test: &str, limits: &str, does: &[&str]) -> Self {
        let files = env::temp_dir().join(format!("obs-{}-{}", std::process::id(), test.replace(':', "-")));
        fs::create_dir(&files).expect("a directory of its own");
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{limits} exec \"$@\""), "sh", env!("CARGO_BIN_EXE_emits")]);
        command.arg(files.join("notes")).args(does).stdin(Stdio::null());
        command.env("RUST_BACKTRACE", "0");
        Self { command, files }
    }

    fn run(mut self, stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Ended {
        let mut child = self.command.stdout(stdout).stderr(stderr).spawn().expect("it starts");
        // Whose other ends it holds.
        drop(self.command);
        let mut stderr = String::new();
        if let Some(mut pipe) = child.stderr.take() {
            pipe.read_to_string(&mut stderr).expect("UTF-8");
        }
        let status = child.wait().expect("it ends");
        let notes = fs::read_to_string(self.files.join("notes")).unwrap_or_default();
        fs::remove_dir_all(&self.files).expect("removed");
        Ended { status, notes: serde_json::from_str(&notes).unwrap_or_default(), stderr }
    }
}

fn full() -> File {
    File::options().write(true).open("/dev/full").expect("there is /dev/full")
}

/// A pipe whose reader is gone.
fn broken() -> io::PipeWriter {
    io::pipe().expect("a pipe").1
}

/// Looks that nothing is lost without being counted, and that all is written or dropped.
fn check(ended: &Ended, emitted: u64) {
    assert!(ended.status.success(), "{}: {}", ended.status, ended.stderr);
    check_notes(&ended.notes, emitted);
}

fn check_notes(notes: &Json, emitted: u64) {
    let lines = |what: &str| notes["lines"][what].as_u64().unwrap_or_else(|| panic!("{what}: {notes}"));
    assert_eq!(lines("exported") + lines("lost") + lines("pending"), emitted, "{notes}");
    assert_eq!(notes["finished"], lines("pending") == 0, "{notes}");
    assert_eq!(notes["dropped"].as_f64(), notes["lines"]["lost"].as_f64(), "{notes}");
    assert_eq!(notes["alive"], 1.0, "{notes}");
}

#[test]
fn on_outputs_that_take_nothing_every_line_is_counted_and_the_thread_lives() {
    let names = ["full", "broken", "full-and-broken", "broken-and-full"];
    let outputs: [(Stdio, Stdio); 4] = [
        (full().into(), full().into()),
        (broken().into(), broken().into()),
        (full().into(), broken().into()),
        (broken().into(), full().into()),
    ];
    for (name, (stdout, stderr)) in names.into_iter().zip(outputs) {
        let ended = Emits::new(&format!("{}-{name}", here!()), "", &["lines", "20000"]).run(stdout, stderr);
        check(&ended, 20_000);
        assert_eq!(ended.notes["lines"]["exported"], 0, "{name}: {}", ended.notes);
        let health = ended.notes["health"].as_str().expect("a report");
        assert!(health.contains("\"status\":\"warn\"") && health.contains("obs-runtime"), "{name}: {health}");
    }
}

#[test]
fn outputs_that_are_closed_at_the_start_do_no_harm() {
    for closed in ["exec >&-;", "exec 2>&-;", "exec >&- 2>&-;"] {
        let name = format!("{}-{}", here!(), closed.len());
        let ended = Emits::new(&name, closed, &["lines", "1000"]).run(Stdio::null(), Stdio::null());
        check(&ended, 1_000);
    }
}

#[test]
fn the_line_about_losses_comes_on_standard_error_when_the_guard_is_dropped() {
    let ended = Emits::new(&here!(), "", &["lines", "1000"]).run(full(), Stdio::piped());
    check(&ended, 1_000);
    let expected =
        "obs: 1000 of 1000 log lines were lost; log lines can't be written: No space left on device";
    let losses = ended.stderr.lines().filter(|line| line.starts_with(expected));
    assert_eq!(losses.count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.lines().count() <= 2, "and one when it began: {}", ended.stderr);
}

#[test]
fn nothing_is_said_where_nothing_is_lost() {
    let ended = Emits::new(&here!(), "", &["lines", "1000"]).run(Stdio::null(), Stdio::piped());
    check(&ended, 1_000);
    assert_eq!((ended.stderr.as_str(), &ended.notes["complete"]), ("", &Json::from(true)));
}

#[test]
fn spans_that_are_lost_are_in_that_line_and_not_called_exported() {
    let ended = Emits::new(&here!(), "", &["spans", "100"]).run(Stdio::null(), Stdio::piped());
    assert!(ended.status.success(), "{}", ended.stderr);
    let spans = &ended.notes["spans"];
    assert_eq!(
        (&spans["exported"], &spans["lost"], &spans["pending"]),
        (&0.into(), &100.into(), &0.into()),
        "{}",
        ended.notes
    );
    assert_eq!((&ended.notes["finished"], &ended.notes["complete"]), (&true.into(), &false.into()));
    let losses = ended.stderr.lines().filter(|line| *line == "obs: 100 of 100 spans were lost");
    assert_eq!(losses.count(), 1, "{}", ended.stderr);
}

#[test]
fn an_output_that_is_never_read_is_told_of_at_the_end() {
    // Held, and not read.
    let (_reader, stdout) = io::pipe().expect("a pipe");
    let ended = Emits::new(&here!(), "", &["stuck", "20000"]).run(stdout, Stdio::piped());
    check(&ended, 20_000);
    let lines = &ended.notes["lines"];
    assert!(lines["pending"].as_u64() > Some(0), "{lines}");
    let missing = lines["lost"].as_u64().unwrap_or(0) + lines["pending"].as_u64().unwrap_or(0);
    let expected = format!("obs: {missing} of 20000 log lines were lost");
    assert_eq!(
        ended.stderr.lines().filter(|line| line.starts_with(&expected)).count(),
        1,
        "{}",
        ended.stderr
    );
}

#[test]
fn a_process_ends_although_neither_of_its_outputs_is_read() {
    let (_reader, stdout) = io::pipe().expect("a pipe");
    let stderr = stdout.try_clone().expect("a pipe");
    check(&Emits::new(&here!(), "", &["stuck", "20000"]).run(stdout, stderr), 20_000);
}

#[test]
fn a_file_at_its_size_limit_takes_lines_again_once_it_has_room() {
    let mut emits = Emits::new(&here!(), "ulimit -f 64;", &["recovers", "5000"]);
    let path = emits.files.join("stdout");
    emits.command.arg(&path);
    let stdout = File::options().append(true).create(true).open(&path).expect("a file");
    let stderr = stdout.try_clone().expect("a file");
    let read = File::open(&path).expect("a file");
    let ended = emits.run(stdout, stderr);
    assert!(ended.status.success(), "{}", ended.status);
    let (before, after) = (&ended.notes["before"], &ended.notes["after"]);
    check_notes(before, 5_000);
    check_notes(after, 5_010);
    assert!(before["lines"]["exported"].as_u64() > Some(0) && before["lines"]["lost"].as_u64() > Some(0));
    assert_eq!(after["lines"]["lost"], before["lines"]["lost"], "all of the last were written: {after}");
    let status = |notes: &Json| notes["health"].as_str().map(|health| health.contains("\"status\":\"pass\""));
    assert_eq!((status(before), status(after)), (Some(false), Some(true)), "{}", ended.notes);
    // What was torn is ended before the next line, in a file that begins there.
    let text = io::read_to_string(read).expect("UTF-8");
    let lines = text.lines().filter(|line| line.starts_with('{'));
    let lines: Vec<_> = lines.map(obs_tests::parse_line).collect();
    assert_eq!(lines.len(), 10, "{text}");
}
