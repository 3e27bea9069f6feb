//! What observing costs: hand-written floors, this project, and its peers, measured side by side.
//!
//! `cargo run --release` measures everything and writes `RESULTS.md`; with names of parts behind it
//! (`calls`, ..) only those, and `-- --smoke` runs every case for a moment to see that it works.

#![cfg_attr(not(feature = "peers"), allow(dead_code, reason = "the peers use it"))]

mod allocations;
mod calls;
mod case;
mod compiling;
mod document;
mod instructions;
mod machine;
mod memory;
mod numbers;
mod payment;
mod process;
mod rounds;
mod scrape;
mod scripts;
mod shop;
mod sink;
mod stacks;
mod statistics;
mod worker;

use case::Case;
use std::io;
use std::path::Path;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

const INTRODUCTION: &str = include_str!("introduction.md");

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("benches: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> io::Result<()> {
    match arguments {
        ["worker", work, stack] => worker::serve(case(work, stack)?),
        ["once", work, stack, calls] => {
            worker::once(case(work, stack)?, calls.parse().map_err(io::Error::other)?);
            Ok(())
        }
        ["scraped", store] => scrape::serve(store),
        ["sink"] => sink::serve(),
        ["--smoke"] => smoke(),
        parts => measure(parts),
    }
}

fn case(work: &str, stack: &str) -> io::Result<&'static Case> {
    let found = stacks::cases().find(|case| case.work.name() == work && case.stack == stack);
    found.ok_or_else(|| io::Error::other(format!("there is no {work:?} by {stack:?}")))
}

/// A part of what is measured: a name on the command line, a title in the document.
#[derive(Clone, Copy, Debug)]
struct Part {
    name: &'static str,
    title: &'static str,
    measure: fn(Effort) -> io::Result<String>,
    /// Whether it is measured by a script that first builds other programs for minutes. Those are not in the
    /// smoke run.
    script: bool,
}

/// All parts, in the order of the document.
const PARTS: [Part; 6] = [
    Part { name: "calls", title: "Calls", measure: calls::measure, script: false },
    Part { name: "instructions", title: "Instructions", measure: instructions::measure, script: false },
    Part { name: "scrapes", title: "Scrapes", measure: scrape::measure, script: false },
    Part { name: "memory", title: "Memory", measure: memory::measure, script: false },
    Part { name: "compiling", title: "Compiling", measure: compiling::measure, script: true },
    Part { name: "shop", title: "A service under load", measure: shop::measure, script: true },
];

/// How long to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effort {
    /// Only to see that everything runs.
    Smoke,
    Full,
}

fn measure(chosen: &[&str]) -> io::Result<()> {
    if let Some(unknown) = chosen.iter().find(|name| PARTS.iter().all(|part| part.name != **name)) {
        return Err(io::Error::other(format!("there is no part {unknown:?}")));
    }
    let titles = PARTS.map(|part| part.title);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("RESULTS.md");
    let introduction = INTRODUCTION.replace("{peers}", &machine::peers());
    for Part { name, title, measure, .. } in PARTS {
        if chosen.is_empty() || chosen.contains(&name) {
            eprintln!("measuring {name}");
            let moment = machine::moment();
            let text = format!("{moment} {}", measure(Effort::Full)?);
            // Written at once, so that a part that fails costs no other.
            document::write(&path, &introduction, title, &text, &titles)?;
        }
    }
    Ok(())
}

/// Runs every part for a moment. The numbers mean nothing, so they are not written.
fn smoke() -> io::Result<()> {
    for Part { name, measure, .. } in PARTS.into_iter().filter(|part| !part.script) {
        println!("{name}: {} lines", measure(Effort::Smoke)?.lines().count());
    }
    Ok(())
}
