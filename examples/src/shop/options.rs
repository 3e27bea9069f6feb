//! The command line.

use lexopt::{Arg, Parser, ValueExt};
use std::str::FromStr;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Four observed services on loopback, with a little load.

Usage: shop [OPTIONS]

  --requests N   make N requests, then close (default: until Ctrl-C)
  --rate N       requests a second, 1 to 100 (default: 5)
  --no-load      make no requests
  --port N       the gateway's port, the others' follow; 0 takes any free ones (default: 8080)
  --admin N      the admin server's port (default: 9464)
  --otlp URL     send spans to this collector, such as http://127.0.0.1:4318
  --help         print this
";

/// What the command line asks for.
pub(crate) struct Options {
    pub(crate) load: bool,
    pub(crate) requests: Option<u64>,
    pub(crate) rate: u32,
    pub(crate) port: u16,
    pub(crate) admin: Option<u16>,
    pub(crate) otlp: Option<String>,
}

impl Options {
    /// Reads the arguments of the process; `None` if they ask for help.
    pub(crate) fn from_arguments() -> Result<Option<Self>, lexopt::Error> {
        let mut options = Self { load: true, requests: None, rate: 5, port: 8080, admin: None, otlp: None };
        let mut arguments = Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Arg::Long("requests") => options.requests = Some(number(&mut arguments, "--requests")?),
                Arg::Long("rate") => {
                    options.rate = number(&mut arguments, "--rate")?;
                    if !(1..=100).contains(&options.rate) {
                        return Err("--rate takes 1 to 100 requests a second".into());
                    }
                }
                Arg::Long("no-load") => options.load = false,
                Arg::Long("port") => options.port = number(&mut arguments, "--port")?,
                Arg::Long("admin") => options.admin = Some(number(&mut arguments, "--admin")?),
                Arg::Long("otlp") => options.otlp = Some(arguments.value()?.string()?),
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                other => return Err(other.unexpected()),
            }
        }
        Ok(Some(options))
    }
}

/// The number behind an option.
fn number<T: FromStr>(arguments: &mut Parser, option: &str) -> Result<T, lexopt::Error> {
    let value = arguments.value()?.string()?;
    value.parse().map_err(|_| format!("{option} takes a number, not {value:?}").into())
}
