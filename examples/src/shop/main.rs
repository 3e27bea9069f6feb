//! The shop: a gateway, users, orders and payments, each a server of its own on loopback, with their
//! data in SQLite. Start it, and its logs, metrics and traces move at once.

#![forbid(unsafe_code)]

/// Prints a line on standard error. If that is closed or full, the shop goes on, where `eprintln!` would panic.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

mod database;
mod gateway;
mod health;
mod http;
mod load;
mod options;
mod orders;
mod payments;
mod processes;
mod services;
mod trouble;
mod users;

use database::Database;
use http::Client;
use obs_runtime::Guard;
use obs_runtime::lifecycle::{self, Serve, Served};
use options::{Only, Options};
use services::{NAMES, bind, listen, routes};
use std::error::Error;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// How long requests under way may take to finish at the end, and then log lines and spans to be written.
const DRAIN: Duration = Duration::from_secs(5);

// The allocator behind the heap profile.
#[cfg(feature = "heap")]
obs_runtime::heap_profiling!();

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say!("shop: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let Some(options) = Options::from_arguments()? else {
        print!("{}", options::HELP);
        return Ok(());
    };
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if options.processes {
        // Only starts the others, so there is nothing to observe.
        return tokio.block_on(processes::run(&options));
    }
    options.trouble.into_iter().for_each(trouble::Trouble::begin);
    let observed = start(&options)?;
    let served = tokio.block_on(async {
        match &options.only {
            Some(only) => serve_one(observed, only, &options).await,
            None => serve_all(observed, &options).await,
        }
    })?;
    if !served.flushed.finished {
        say!("shop: not everything was written and sent in time");
    }
    Ok(())
}

/// Starts the runtime.
fn start(options: &Options) -> Result<Guard, obs_runtime::InitError> {
    let name = options.only.as_ref().map_or("shop", |only| only.service.as_str());
    let mut runtime = obs_runtime::builder()
        .service_name(name)
        .service_version(env!("CARGO_PKG_VERSION"))
        .resource("service.namespace", "shop");
    #[cfg(feature = "cpu")]
    {
        runtime = runtime.cpu_profiling(true);
    }
    if options.only.is_some() {
        runtime = runtime.no_admin();
    } else if let Some(port) = options.admin {
        runtime = runtime.admin(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    #[cfg(feature = "otlp")]
    if let Some(collector) = &options.otlp {
        runtime = runtime.otlp_endpoint(collector);
    }
    runtime.init()
}

/// Runs the four services until the shop is told to close, or the load has made its requests.
async fn serve_all(observed: Guard, options: &Options) -> Result<Served, Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("shop.db");
    Database::create(&path)?;
    let listeners = listen(options.port).await?;
    let mut ports = [0; 4];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    let urls = options.urls(ports);
    introduce(&urls, observed.admin_address(), &path);
    let load = load::run(urls[0].clone(), options.clone());
    let services = NAMES.into_iter().zip(listeners).collect();
    let serve = serve(observed, services, &path, &urls)?;
    Ok(serve.drain(options.drain).until(load).await?)
}

/// Runs one service until whoever started it closes this process's standard input.
async fn serve_one(observed: Guard, only: &Only, options: &Options) -> Result<Served, Box<dyn Error>> {
    let urls = options.urls(only.ports);
    let place = NAMES.iter().position(|name| *name == only.service);
    let place = place.ok_or_else(|| format!("there is no service {:?}", only.service))?;
    let listener = bind(only.ports[place]).await?;
    let (closed, is_closed) = oneshot::channel();
    std::thread::spawn(move || {
        // An error is an end, too.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        closed.send(())
    });
    // Ctrl-C on a terminal reaches every process at once, and this one is to wait for its turn.
    tokio::spawn(lifecycle::terminated());
    let serve = serve(observed, vec![(NAMES[place], listener)], &only.database, &urls)?;
    Ok(serve.no_signals().until(async { _ = is_closed.await }).await?)
}

/// The services, with what they need and what is asked about their health.
fn serve(
    observed: Guard,
    services: Vec<(&'static str, TcpListener)>,
    path: &Path,
    urls: &[String; 4],
) -> Result<Serve, Box<dyn Error>> {
    let (database, client) = (Database::open(path)?, Client::new()?);
    health::register(services.iter().map(|(name, _)| *name), path)?;
    let mut served = services.into_iter().filter_map(|(name, listener)| {
        Some((listener, http::serve(routes(name, &database, &client, urls)?)))
    });
    let (listener, router) = served.next().ok_or("there is nothing to serve")?;
    let first = observed.serve(listener, router).finish_within(DRAIN).flush_within(DRAIN);
    Ok(served.fold(first, |serve, (listener, router)| serve.and(listener, router)))
}

/// Says on standard error where to look; standard output is for log lines alone.
fn introduce(urls: &[String; 4], admin: Option<SocketAddr>, database: &Path) {
    say!("The shop is open.\n");
    for (name, url) in NAMES.iter().zip(urls) {
        say!("  {name:<9} {url}");
    }
    if let Some(admin) = admin {
        say!("  admin     http://{admin}");
    }
    say!("  database  {}", database.display());
    let gateway = &urls[0];
    say!(
        "\nEach of them answers /metrics, /health/live and /health/ready; admin shows each check with ?verbose."
    );
    say!("\nOrder something, with a request id to look for in the log:\n");
    say!(
        "  curl -i {gateway}/orders -H 'content-type: application/json' -H 'x-request-id: my-first-order' \\"
    );
    say!("       -d '{{\"user\": 1, \"method\": \"card\", \"amount\": 4200}}'");
    say!("\nAmounts over 10000 are declined, \"bank\" with 777 gets no answer, 1313 meets a bug.");
    say!("Move the database away, and /health/ready fails until it is back.");
    say!("Ctrl-C closes the shop.\n");
}
