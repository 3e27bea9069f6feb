//! The section about memory.

use crate::Effort;
use crate::document::table;
use crate::numbers::{AIMS, Aim};
use std::io;
use std::process::Command;

const MIB: f64 = 1024.0 * 1024.0;

/// Runs the program with a thousand functions; see there.
pub(crate) fn measure(_: Effort) -> io::Result<String> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let arguments =
        ["run", "--quiet", "--release", "--locked", "--manifest-path", manifest, "--bin", "thousand"];
    let output = Command::new(env!("CARGO")).args(arguments).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [resident, first, further] = numbers[..] else {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("the program with a thousand functions: {error}")));
    };
    let name = "1,000 functions, each called on 64 threads".to_owned();
    let aim = Aim { name, measured: Some(resident / MIB), bound: 64.0, unit: " MiB" }.at_most();
    Ok(format!(
        "A series of 12 buckets takes {further} bytes on each thread that has touched it. A function with a label of \
         3 values takes {first} bytes on a thread with its first series. Nothing is allocated where nothing was \
         called, and nothing at a later call.\n\n{}",
        table(&AIMS, [aim])
    ))
}
