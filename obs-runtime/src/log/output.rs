//! Writing whole lines to an output that may fail half-way.

use crate::text::Escaped;
use std::io::{ErrorKind, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

/// How long to wait for an output that would block.
const RETRY: Duration = Duration::from_millis(5);

/// An output, and what became of the last line.
pub(super) struct Writing {
    output: Box<dyn Write + Send>,
    /// The last line was begun and not ended: the next must not continue it.
    torn: bool,
    /// It was said that lines can't be written.
    said: bool,
}

impl Writing {
    pub(super) fn to(output: Box<dyn Write + Send>) -> Self {
        Self { output, torn: false, said: false }
    }

    /// Writes lines. Returns how many are lost, or may be.
    pub(super) fn write(&mut self, lines: &[&[u8]]) -> u64 {
        let mut bytes = if self.torn { b"\n".to_vec() } else { Vec::new() };
        let first = bytes.len();
        for line in lines {
            bytes.extend_from_slice(line);
        }
        let mut written = 0;
        let all = catch_unwind(AssertUnwindSafe(|| write_all(&mut *self.output, &bytes, &mut written)));
        let failure = match all {
            Ok(Ok(())) => {
                self.torn = false;
                return 0;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the output panicked".to_owned(),
        };
        if !std::mem::replace(&mut self.said, true) {
            // There is nowhere else to say it.
            eprintln!("obs: log lines can't be written: {}; they are dropped and counted", Escaped(failure));
        }
        self.torn = if written == 0 { self.torn } else { !bytes[..written].ends_with(b"\n") };
        if written == bytes.len() {
            // It took all and then failed to flush: which of them it has lost, it does not say.
            return lines.len() as u64;
        }
        let mut end = first;
        let whole = lines.iter().take_while(|line| {
            end += line.len();
            end <= written
        });
        (lines.len() - whole.count()) as u64
    }
}

/// As `Write::write_all`, but keeps count, and waits for an output that would block.
fn write_all(output: &mut dyn Write, bytes: &[u8], written: &mut usize) -> std::io::Result<()> {
    while *written < bytes.len() {
        match output.write(&bytes[*written..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
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

    #[test]
    fn a_torn_line_never_runs_into_the_next_and_every_loss_is_counted() {
        let output = Moody::default();
        let mut writing = Writing::to(Box::new(output.clone()));
        let script = |steps: &[&'static str]| {
            output.0.lock().expect("alive").1 = steps.iter().rev().copied().collect();
        };
        let lines: [&[u8]; 2] = [b"first\n", b"second\n"];
        script(&["", "block", "", "block"]);
        assert_eq!(writing.write(&lines), 0);
        script(&["", "", "", "fail"]);
        assert_eq!(writing.write(&lines), 1, "the second line was torn");
        script(&["fail"]);
        assert_eq!(writing.write(&lines), 2);
        assert_eq!(writing.write(&lines), 0);
        let text = String::from_utf8(output.0.lock().expect("alive").0.clone()).expect("UTF-8");
        assert_eq!(text, "first\nsecond\nfirst\nsecond\nfirst\nsecond\n");
    }
}
