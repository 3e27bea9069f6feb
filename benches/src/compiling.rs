//! The section about compiling, which a script of its own measures.

use crate::Effort;
use crate::document::table;
use crate::numbers::{AIMS, Aim};
use crate::scripts;
use std::io;

pub(crate) fn measure(_: Effort) -> io::Result<String> {
    let measured = scripts::run("compile_cost.py", &[])?;
    let row = ["sync obs", "release"];
    let cells =
        measured.lines().map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
    let ours = cells.into_iter().find(|cells| cells.starts_with(&row));
    let number = |column: usize| ours.as_ref()?.get(column)?.parse().ok();
    let aim = |name: &str, column, bound, unit| {
        Aim { name: name.to_owned(), measured: number(column), bound, unit }.at_most()
    };
    let aims = [
        aim("1,000 functions in a release build: CPU over the plain ones", 3, 3.0, " s"),
        aim("bytes of code of each over the plain one", 4, 250.0, ""),
    ];
    Ok(format!(
        "What a crate of functions costs to compile that return a `Result` and are all annotated: CPU seconds of \
         that crate alone, and for each function bytes of code (the section `.text`) and of all that is loaded to be \
         read, code included: constants, relocations, tables for unwinding.\n\n{measured}\n{}",
        table(&AIMS, aims)
    ))
}
