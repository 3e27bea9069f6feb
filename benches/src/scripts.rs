//! What is measured by a script: it prints Markdown.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs a script of this folder, and gives what it prints.
pub(crate) fn run(script: &str, arguments: &[&str]) -> io::Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
    let output = Command::new("python3").arg(path).args(arguments).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("{script} failed: {}", output.status)));
    }
    String::from_utf8(output.stdout).map_err(io::Error::other)
}
