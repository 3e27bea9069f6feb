//! The command line.

use crate::trouble::Trouble;
use lexopt::{Arg, Parser, ValueExt};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Four observed services on loopback, with a little load.

Usage: shop [OPTIONS]

  --requests N   make N requests, then close (default: until Ctrl-C)
  --rate N       requests a second, 1 to 100 (default: 5)
  --no-load      make no requests
  --port N       the gateway's port, the others' follow; 0 takes any free ones (default: 8080)
  --drain N      seconds for which requests are still taken after SIGTERM (default: 5)
  --admin N      the admin server's port (default: 9464)
  --otlp URL     send spans and log lines to this collector, such as http://127.0.0.1:4318
                 (needs the feature `otlp`)
  --users URL    ask this user service in the place of the shop's own
  --processes    run each service as a process of its own
  --trouble WHAT something to find by a profile: cpu (needs the feature `cpu`), leak (`heap`), block or lock
  --help         print this
";

/// What the command line asks for.
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) load: bool,
    pub(crate) requests: Option<u64>,
    pub(crate) rate: u32,
    pub(crate) port: u16,
    pub(crate) drain: Duration,
    pub(crate) admin: Option<u16>,
    pub(crate) otlp: Option<String>,
    pub(crate) users: Option<String>,
    pub(crate) processes: bool,
    pub(crate) trouble: Option<Trouble>,
    /// The one service that this process is, and where its database and all services are: how a shop in
    /// several processes starts them.
    pub(crate) only: Option<Only>,
}

/// A process of several.
#[derive(Clone)]
pub(crate) struct Only {
    pub(crate) service: String,
    pub(crate) ports: [u16; 4],
    pub(crate) database: PathBuf,
}

impl Only {
    /// The arguments that say it.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let ports = self.ports.map(|port| port.to_string()).join(",");
        let database = self.database.to_string_lossy().into_owned();
        ["--service", &self.service, "--ports", &ports, "--database", &database].map(str::to_owned).to_vec()
    }
}

impl Options {
    /// Where the services are, in the order of their ports.
    pub(crate) fn urls(&self, ports: [u16; 4]) -> [String; 4] {
        let [gateway, users, orders, payments] = ports.map(|port| format!("http://127.0.0.1:{port}"));
        [gateway, self.users.clone().unwrap_or(users), orders, payments]
    }

    /// Reads the arguments of the process; `None` if they ask for help.
    pub(crate) fn from_arguments() -> Result<Option<Self>, lexopt::Error> {
        let mut options = Self {
            load: true,
            requests: None,
            rate: 5,
            port: 8080,
            drain: Duration::from_secs(5),
            admin: None,
            otlp: None,
            users: None,
            processes: false,
            trouble: None,
            only: None,
        };
        let (mut service, mut ports, mut database) = (None, None, None);
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
                Arg::Long("drain") => options.drain = Duration::from_secs(number(&mut arguments, "--drain")?),
                Arg::Long("admin") => options.admin = Some(number(&mut arguments, "--admin")?),
                Arg::Long("otlp") => {
                    options.otlp = Some(arguments.value()?.string()?);
                    if !cfg!(feature = "otlp") {
                        return Err("--otlp needs the feature `otlp`: run with `--features otlp`".into());
                    }
                }
                Arg::Long("users") => options.users = Some(arguments.value()?.string()?),
                Arg::Long("processes") => options.processes = true,
                Arg::Long("trouble") => {
                    let name = arguments.value()?.string()?;
                    let trouble = Trouble::named(&name);
                    let wrong = || format!("--trouble takes cpu, leak, block or lock, not {name:?}");
                    let trouble = trouble.ok_or_else(wrong)?;
                    if let Some(feature) = trouble.missing_feature() {
                        let remedy = format!("run with `--features {feature}`");
                        return Err(
                            format!("--trouble {name} needs the feature `{feature}`: {remedy}").into()
                        );
                    }
                    options.trouble = Some(trouble);
                }
                Arg::Long("service") => service = Some(arguments.value()?.string()?),
                Arg::Long("ports") => ports = Some(four_ports(&arguments.value()?.string()?)?),
                Arg::Long("database") => database = Some(PathBuf::from(arguments.value()?)),
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                other => return Err(other.unexpected()),
            }
        }
        options.only = match (service, ports, database) {
            (None, None, None) => None,
            (Some(service), Some(ports), Some(database)) => Some(Only { service, ports, database }),
            _ => return Err("--service, --ports and --database belong together".into()),
        };
        if options.processes && options.admin.is_some() {
            return Err("--processes has no admin server: each service answers for itself".into());
        }
        if options.processes && options.trouble.is_some() {
            return Err(
                "--processes has no admin server to ask for profiles: leave it out with --trouble".into()
            );
        }
        Ok(Some(options))
    }
}

/// The number behind an option.
fn number<T: FromStr>(arguments: &mut Parser, option: &str) -> Result<T, lexopt::Error> {
    let value = arguments.value()?.string()?;
    value.parse().map_err(|_| format!("{option} takes a number, not {value:?}").into())
}

fn four_ports(text: &str) -> Result<[u16; 4], lexopt::Error> {
    let ports: Option<Vec<u16>> = text.split(',').map(|port| port.parse().ok()).collect();
    let ports = ports.and_then(|ports| ports.try_into().ok());
    ports.ok_or_else(|| format!("--ports takes four ports, not {text:?}").into())
}
