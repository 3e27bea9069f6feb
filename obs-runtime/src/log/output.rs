//! Writing whole lines to an output that may fail half-way.

use crate::stderr;
use crate::text::Escaped;
use crate::threads::caught;
use std::io::{ErrorKind, Write};
use std::thread;
use std::time::{Duration, Instant};

/// How long to wait for an output that would block.
const RETRY: Duration = Duration::from_millis(5);

/// Failures that begin within this time after one that was reported on standard error are not reported there.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// An output, and what became of the last line.
pub(super) struct Writing {
    output: Box<dyn Write + Send>,
    /// The last line was begun and not ended: the next must not continue it.
    torn: bool,
    failing: Option<Failing>,
    reported: Option<Instant>,
}

/// The output has not taken all of the last lines.
struct Failing {
    lost: u64,
    reported: bool,
}

/// Result of one write.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// Lines that are lost, or may be.
    pub(super) lost: u64,
    /// Why, if any are.
    pub(super) failure: Option<String>,
}

impl Writing {
    pub(super) fn to(output: Box<dyn Write + Send>) -> Self {
        Self { output, torn: false, failing: None, reported: None }
    }

    /// Writes lines.
    pub(super) fn write(&mut self, lines: &[&[u8]]) -> Written {
        let mut bytes = if self.torn { b"\n".to_vec() } else { Vec::new() };
        let first = bytes.len();
        for line in lines {
            bytes.extend_from_slice(line);
        }
        let mut written = 0;
        // The error may be of the output's own type, so that its text is foreign code too.
        let failure = caught(|| {
            let all = write_all(&mut *self.output, &bytes, &mut written);
            all.err().map(|error| error.to_string())
        });
        let failure = match failure {
            Some(None) => {
                self.torn = false;
                self.works();
                return Written::default();
            }
            Some(Some(error)) => error,
            None => "the output panicked".to_owned(),
        };
        self.torn = if written == 0 { self.torn } else { !bytes[..written].ends_with(b"\n") };
        let whole = if written == bytes.len() {
            // It took all and then failed to flush: which of them it has lost, it does not say.
            0
        } else {
            let mut end = first;
            let whole = lines.iter().take_while(|line| {
                end += line.len();
                end <= written
            });
            whole.count()
        };
        let lost = (lines.len() - whole) as u64;
        self.fails(lost, &failure);
        Written { lost, failure: Some(failure) }
    }

    /// Reports a failure when it begins. There is no other place for that than standard error.
    fn fails(&mut self, lost: u64, failure: &str) {
        if let Some(failing) = &mut self.failing {
            failing.lost += lost;
            return;
        }
        let reported = self.reported.is_none_or(|reported| reported.elapsed() >= REPORT_EVERY);
        if reported {
            self.reported = Some(Instant::now());
            stderr::print(format_args!(
                "obs: log lines can't be written: {}; they are dropped and counted",
                Escaped(failure)
            ));
        }
        self.failing = Some(Failing { lost, reported });
    }

    /// Reports the end of a failure that was reported.
    fn works(&mut self) {
        if let Some(Failing { lost, reported: true }) = self.failing.take() {
            stderr::print(format_args!("obs: log lines are written again; {lost} were lost"));
        }
    }
}

/// As `Write::write_all`, but keeps count, and waits for an output that would block.
fn write_all(output: &mut dyn Write, bytes: &[u8], written: &mut usize) -> std::io::Result<()> {
    while *written < bytes.len() {
        match output.write(&bytes[*written..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(more) if more > bytes.len() - *written => {
                return Err(std::io::Error::other("the output says that it took more than it was given"));
            }
            Ok(more) => *written += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY),
            Err(error) => return Err(error),
        }
    }
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

    /// Takes four bytes at a time, and does what the script says in between.
    #[derive(Clone, Default)]
    struct Moody(Arc<Mutex<(Vec<u8>, Vec<&'static str>)>>);

    impl Write for Moody {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut state = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            match state.1.pop() {
                Some("block") => return Err(ErrorKind::WouldBlock.into()),
                Some("fail") => return Err(ErrorKind::StorageFull.into()),
                Some("panic") => panic!("on purpose"),
                Some("odd error") => return Err(io::Error::other(OddError)),
                Some("too much") => return Ok(bytes.len() + 1),
                _ => {}
            }
            let taken = bytes.len().min(4);
            state.0.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// An error whose text can't be had.
    #[derive(Debug)]
    struct OddError;

    impl std::fmt::Display for OddError {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("on purpose")
        }
    }

    impl std::error::Error for OddError {}

    #[test]
    fn a_torn_line_never_runs_into_the_next_and_every_loss_is_counted() {
        let output = Moody::default();
        let mut writing = Writing::to(Box::new(output.clone()));
        let script = |steps: &[&'static str]| {
            output.0.lock().expect("alive").1 = steps.iter().rev().copied().collect();
        };
        let lines: [&[u8]; 2] = [b"first\n", b"second\n"];
        script(&["", "block", "", "block"]);
        assert_eq!(writing.write(&lines).lost, 0);
        script(&["", "", "", "fail"]);
        assert_eq!(writing.write(&lines).lost, 1, "the second line was torn");
        script(&["fail"]);
        assert_eq!(writing.write(&lines).lost, 2);
        assert_eq!(writing.write(&lines), Written::default());
        let text = String::from_utf8(output.0.lock().expect("alive").0.clone()).expect("UTF-8");
        assert_eq!(text, "first\nsecond\nfirst\nsecond\nfirst\nsecond\n");
    }

    #[test]
    fn whatever_the_output_does_is_a_loss_and_nothing_more() {
        let output = Moody::default();
        let mut writing = Writing::to(Box::new(output.clone()));
        let lines: [&[u8]; 1] = [b"abc\n"];
        for (does, says) in [
            ("fail", "storage"),
            ("panic", "panicked"),
            ("odd error", "panicked"),
            ("too much", "more than it was given"),
        ] {
            output.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).1.push(does);
            let written = writing.write(&lines);
            assert_eq!(written.lost, 1, "{does}");
            let failure = written.failure.expect("a reason");
            assert!(failure.contains(says), "{does}: {failure}");
        }
        assert_eq!(writing.write(&lines), Written::default(), "and works again");
        let text = output.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).0.clone();
        assert_eq!(text, b"abc\n");
    }
}
