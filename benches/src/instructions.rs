//! The section about instructions: callgrind counts those of the calling thread, which no other load of the
//! machine can change.

use crate::Effort;
use crate::case::{Case, Work};
use crate::document::table;
use crate::stacks::{FLOOR, OURS, cases};
use crate::worker::COUNTED;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What is around the calls, such as the span that they are below, is the same in both counts. So many calls fit
/// the smallest buffer.
const FEW: u64 = 100;
const MANY: u64 = 300;

pub(crate) fn measure(effort: Effort) -> io::Result<String> {
    let wanted = |case: &&Case| match effort {
        Effort::Full => true,
        Effort::Smoke => case.work == Work::Red && [FLOOR, OURS].contains(&case.stack),
    };
    let counted = cases().filter(wanted).map(|case| Ok((case, instructions(case)?)));
    let counted: Vec<(&Case, f64)> = counted.collect::<io::Result<_>>()?;
    let rows = Work::ALL.into_iter().flat_map(|work| {
        let mut of: Vec<_> = counted.iter().filter(|(case, _)| case.work == work).collect();
        of.sort_by(|(_, a), (_, b)| a.total_cmp(b));
        of.into_iter().map(|(case, count)| {
            vec![case.work.title().to_owned(), case.stack.to_owned(), format!("{count:.0}")]
        })
    });
    Ok(format!(
        "Instructions of a call on the calling thread, counted by callgrind.\n\n{}",
        table(&["work", "stack", "instructions"], rows)
    ))
}

fn instructions(case: &Case) -> io::Result<f64> {
    let [few, many] = [FEW, MANY].map(|calls| count(case, calls));
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    let instructions = (many?.saturating_sub(few?)) as f64 / (MANY - FEW) as f64;
    Ok(instructions)
}

/// What the main thread of a process executes for so many calls, and for what is around them.
fn count(case: &Case, calls: u64) -> io::Result<u64> {
    let scratch = Scratch::new()?;
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--separate-threads=yes"])
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(format!("--callgrind-out-file={}", scratch.0.join("counts").display()))
        .arg(std::env::current_exe()?)
        .args(["once", case.work.name(), case.stack, &calls.to_string()])
        .stderr(Stdio::null())
        .status()?;
    let counts = fs::read_to_string(scratch.0.join("counts-01"))?;
    let total =
        counts.lines().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    let total = total.and_then(|total| total.trim().parse().ok()).filter(|_| status.success());
    total.ok_or_else(|| io::Error::other(format!("callgrind counts nothing for {case:?}")))
}

/// A directory that is removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("obs-benches-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind is small.
        let _ = fs::remove_dir_all(&self.0);
    }
}
