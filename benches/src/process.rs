//! A worker: this program again, in a process of its own, asked line by line.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub(crate) struct Worker {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts it, and waits until it says that it is ready.
    pub(crate) fn start(arguments: &[&str]) -> io::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        // What the environment says is for the applications of others.
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("OTEL_") || name.starts_with("RUST_LOG") {
                command.env_remove(&*name);
            }
        }
        let mut process = command.spawn()?;
        let missing = || io::Error::other("a process without standard streams");
        let input = process.stdin.take().ok_or_else(missing)?;
        let output = BufReader::new(process.stdout.take().ok_or_else(missing)?);
        let mut worker = Self { process, input, output };
        let ready = worker.read()?;
        if ready == "ready" { Ok(worker) } else { Err(unexpected(arguments, &ready)) }
    }

    /// Asks, and gives the numbers of the answer; what is no number is `None`.
    pub(crate) fn ask(&mut self, command: &str) -> io::Result<Vec<Option<f64>>> {
        writeln!(self.input, "{command}")?;
        self.input.flush()?;
        let answer = self.read()?;
        Ok(answer.split(' ').map(|word| word.parse().ok()).collect())
    }

    /// Asks for so many numbers.
    pub(crate) fn numbers<const N: usize>(&mut self, command: &str) -> io::Result<[f64; N]> {
        let answer = self.ask(command)?;
        let numbers: Option<Vec<f64>> = answer.into_iter().collect();
        let numbers = numbers.and_then(|numbers| numbers.try_into().ok());
        numbers.ok_or_else(|| io::Error::other(format!("no answer to {command:?}")))
    }

    fn read(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn unexpected(arguments: &[&str], answer: &str) -> io::Error {
    io::Error::other(format!("the worker of {} says {answer:?}", arguments.join(" ")))
}
