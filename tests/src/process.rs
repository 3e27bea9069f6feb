//! Tests that have a process to themselves, because they start the runtime in their own way, end it, or measure it.
//!
//! Such a test begins with a line that runs the test binary once more, for this test alone. The process that the user
//! has started waits there for the other one and shares its fate; the rest of the test is run by that one.
//!
//! ```
//! fn the_runtime_starts_without_outputs() {
//!     let Some(_inside) = process::alone(here!()) else { return };
//!     let guard = obs_runtime::init().expect("it starts");
//! }
//! ```
//!
//! Tests of one module may share such a process, and the runtime in it: see [`together`].

use crate::Lines;
use std::collections::BTreeMap;
use std::env;
use std::io::{self, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

/// Names what the process is for: a test, or a module of them.
const INSIDE: &str = "OBS_TEST_PROCESS";

/// A process that takes longer hangs, on the slowest machine and under valgrind too.
const LIMIT: Duration = Duration::from_mins(5);

/// The name by which the test binary knows the test that this stands in.
#[macro_export]
macro_rules! here {
    () => {{
        fn here() {}
        $crate::process::name_of(here)
    }};
}

/// The name of the test in which a function is declared.
#[doc(hidden)]
#[must_use]
pub fn name_of<F>(_: F) -> String {
    let name = std::any::type_name::<F>();
    // The crate comes first and the function last; in between, a future is a closure of its function.
    let modules = name.split("::").skip(1).filter(|part| *part != "{{closure}}");
    let mut modules: Vec<&str> = modules.collect();
    modules.pop();
    modules.join("::")
}

/// The process of a test, while the test runs in it.
#[derive(Debug)]
pub struct Inside {
    test: String,
}

impl Drop for Inside {
    fn drop(&mut self) {
        if !thread::panicking() {
            // Written at once, so that no output of another thread comes between.
            let _ = io::stderr().write_all(format!("\n{}\n", passed(&self.test)).as_bytes());
        }
    }
}

/// The line that says that a test has come to its end.
fn passed(test: &str) -> String {
    format!("[in its process, {test} passed]")
}

/// Gives a test a process of its own. `None` outside of it, where the test is over.
///
/// # Panics
/// If the test fails there.
#[must_use]
pub fn alone(test: String) -> Option<Inside> {
    Process::of(test).run()
}

/// Gives a test a process that it shares with all tests of its module that ask for that. `None` outside of it, where
/// the test is over. Whichever test comes first waits for all of them.
///
/// # Panics
/// If the test fails there.
#[must_use]
pub fn together(test: String) -> Option<Inside> {
    static ENDED: Mutex<BTreeMap<String, Arc<OnceLock<Ended>>>> = Mutex::new(BTreeMap::new());
    let (module, _) = test.rsplit_once("::").expect("a module of the tests that share it");
    if let Some(inside) = inside() {
        return (inside == module).then_some(Inside { test });
    }
    let of_module = {
        let mut all = ENDED.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(module.to_owned()).or_default())
    };
    let run = || {
        let mut command = this_binary();
        command.arg(format!("{module}::"));
        Ended::of(command, module)
    };
    let ended = of_module.get_or_init(run);
    // The binary ends with 101 if one of its tests has failed, which need not be this one.
    assert!(matches!(ended.code(), Some(0 | 101)) && ended.passed(&test), "{ended}");
    None
}

/// What the process is for, if it is not the one that the user has started.
fn inside() -> Option<String> {
    env::var(INSIDE).ok()
}

fn this_binary() -> Command {
    Command::new(env::current_exe().expect("a path"))
}

/// A process for one test, and how it is set up.
#[derive(Debug)]
pub struct Process {
    test: String,
    variables: Vec<(&'static str, String)>,
    open_files: Option<u32>,
    code: i32,
}

impl Process {
    /// The process of a test as it is unless more is said: with the environment of this one, and ending well.
    #[must_use]
    pub fn of(test: String) -> Self {
        Self { test, variables: Vec::new(), open_files: None, code: 0 }
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn variable(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    /// Limits how many files it may have open.
    #[must_use]
    pub fn open_files(mut self, most: u32) -> Self {
        self.open_files = Some(most);
        self
    }

    /// Says with which code the test ends the process, instead of coming to its own end.
    #[must_use]
    pub fn exits_with(mut self, code: i32) -> Self {
        self.code = code;
        self
    }

    /// Runs the test there. `None` outside of it, where the test is over.
    ///
    /// # Panics
    /// If the test fails there, takes longer than five minutes, or is not run.
    #[must_use]
    pub fn run(self) -> Option<Inside> {
        let Self { test, variables, open_files, code } = self;
        if let Some(inside) = inside() {
            // Beside tests that share a process it is not run once more.
            return (inside == test).then_some(Inside { test });
        }
        let mut command = match open_files {
            None => this_binary(),
            Some(most) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {most} && exec \"$@\""), "sh"]);
                shell.arg(this_binary().get_program());
                shell
            }
        };
        command.args([&test, "--exact", "--include-ignored", "--nocapture"]).envs(variables);
        let ended = Ended::of(command, &test);
        assert!(ended.code() == Some(code) && (code != 0 || ended.passed(&test)), "{ended}");
        None
    }
}

/// A process that has ended, by itself or when its time was up.
#[derive(Debug)]
struct Ended {
    status: Result<ExitStatus, Hangs>,
    output: String,
}

#[derive(Debug)]
struct Hangs;

impl Ended {
    /// Runs a command to its end, as the process of a test or a module.
    fn of(mut command: Command, inside: &str) -> Self {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let errors = writer.try_clone().expect("a pipe");
        command.env(INSIDE, inside).stdin(Stdio::null()).stdout(writer).stderr(errors);
        let mut child = command.spawn().expect("it starts");
        // Which holds the other ends of the pipe.
        drop(command);
        let (output, (reading, has_read)) = (Lines::default(), channel::<()>());
        let mut written = output.clone();
        thread::spawn(move || {
            let _ = io::copy(&mut reader, &mut written);
            drop(reading);
        });
        let status = match has_read.recv_timeout(LIMIT) {
            Err(RecvTimeoutError::Timeout) => Err(killed(&mut child)),
            _ => Ok(child.wait().expect("it has ended")),
        };
        Self { status, output: output.text() }
    }

    fn code(&self) -> Option<i32> {
        self.status.as_ref().ok()?.code()
    }

    fn passed(&self, test: &str) -> bool {
        self.output.lines().any(|line| line == passed(test))
    }
}

fn killed(child: &mut Child) -> Hangs {
    let _ = child.kill();
    let _ = child.wait();
    Hangs
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.status {
            Ok(status) => write!(f, "its process has ended with {status}")?,
            Err(Hangs) => write!(f, "its process was killed after {LIMIT:?}")?,
        }
        write!(f, "; it may be that there is no such test, and the output was:\n{}", self.output)
    }
}
