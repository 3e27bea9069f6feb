//! The section about the shop under load, which a script of its own measures.

use crate::{Effort, scripts};
use std::{env, io};

pub(crate) fn measure(_: Effort) -> io::Result<String> {
    let program = env::current_exe()?;
    let program = program.to_string_lossy();
    let measured = scripts::run("shop_load.py", &[&program])?;
    Ok(format!(
        "The example shop (`examples/src/shop`), four HTTP services in one process with SQLite, under `wrk` with 64 \
         connections on the same machine. An order is 4 HTTP requests and 18 spans with their metrics, 11 of them of \
         annotated functions, and 4 log lines.\n\n{measured}"
    ))
}
