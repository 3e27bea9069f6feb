//! The shop: a gateway, users, orders and payments, each a server of its own on loopback, with their
//! data in SQLite. Start it, and its logs, metrics and traces move at once.

#![forbid(unsafe_code)]

mod database;
mod gateway;
mod http;
mod load;
mod options;
mod orders;
mod payments;
mod processes;
mod services;
mod users;

use database::Database;
use http::Client;
use options::{Only, Options};
use services::{NAMES, bind, listen, routes};
use std::error::Error;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

/// How long requests in flight may take to finish after Ctrl-C.
const DRAIN: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("shop: {error}");
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
    let observed = start(&options)?;
    tokio.block_on(async {
        match &options.only {
            Some(only) => serve_one(only, &options).await,
            None => serve_all(&options, observed.admin_address()).await,
        }
    })?;
    let flushed = observed.shutdown(DRAIN);
    if !flushed.spans {
        eprintln!("shop: the collector did not take the last spans in time");
    }
    Ok(())
}

/// Starts the runtime.
fn start(options: &Options) -> Result<obs_runtime::Guard, obs_runtime::InitError> {
    let name = options.only.as_ref().map_or("shop", |only| only.service.as_str());
    let mut runtime = obs_runtime::builder()
        .service_name(name)
        .service_version(env!("CARGO_PKG_VERSION"))
        .resource("service.namespace", "shop");
    if options.only.is_some() {
        runtime = runtime.no_admin();
    } else if let Some(port) = options.admin {
        runtime = runtime.admin(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    if let Some(collector) = &options.otlp {
        runtime = runtime.otlp_endpoint(collector);
    }
    runtime.init()
}

/// Runs the four services until Ctrl-C, or until the load has made its requests.
async fn serve_all(options: &Options, admin: Option<SocketAddr>) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("shop.db");
    Database::create(&path)?;
    let listeners = listen(options.port).await?;
    let mut ports = [0; 4];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    let urls = options.urls(ports);
    introduce(&urls, admin);
    let until = async {
        tokio::select! {
            () = interrupted() => {}
            () = load::run(urls[0].clone(), options) => {}
        }
    };
    serve(NAMES.into_iter().zip(listeners).collect(), &path, &urls, until).await
}

/// Runs one service until whoever started it closes this process's standard input.
async fn serve_one(only: &Only, options: &Options) -> Result<(), Box<dyn Error>> {
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
    let until = async {
        // Ctrl-C on a terminal reaches every process at once, and this one is to wait for its turn.
        let ignored = async {
            loop {
                interrupted().await;
            }
        };
        tokio::select! {
            _ = is_closed => {}
            () = ignored => {}
        }
    };
    serve(vec![(NAMES[place], listener)], &only.database, &urls, until).await
}

/// Serves until told otherwise, and then what is under way.
async fn serve(
    services: Vec<(&'static str, TcpListener)>,
    database: &std::path::Path,
    urls: &[String; 4],
    until: impl Future<Output = ()>,
) -> Result<(), Box<dyn Error>> {
    let (database, client) = (Database::open(database)?, Client::new()?);
    let (stop, stopped) = watch::channel(());
    let mut servers = JoinSet::new();
    for (name, listener) in services {
        let Some(routes) = routes(name, &database, &client, urls) else { continue };
        let mut stopped = stopped.clone();
        let server = axum::serve(listener, http::serve(routes));
        servers.spawn(async move {
            server.with_graceful_shutdown(async move { while stopped.changed().await.is_ok() {} }).await
        });
    }
    drop(stopped);
    until.await;
    drop(stop);
    let drained = tokio::time::timeout(DRAIN, async { while servers.join_next().await.is_some() {} });
    if drained.await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
    Ok(())
}

/// Until Ctrl-C, or the signal that a container is stopped with.
async fn interrupted() {
    #[cfg(unix)]
    let terminated = async {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<Option<()>>();
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated => {}
    }
}

/// Says on standard error where to look; standard output is for log lines alone.
fn introduce(urls: &[String; 4], admin: Option<SocketAddr>) {
    eprintln!("The shop is open.\n");
    for (name, url) in NAMES.iter().zip(urls) {
        eprintln!("  {name:<9} {url}");
    }
    if let Some(admin) = admin {
        eprintln!("  admin     http://{admin}");
    }
    let gateway = &urls[0];
    eprintln!("\nEach of them answers /metrics, /health/live and /health/ready.");
    eprintln!("\nOrder something, with a request id to look for in the log:\n");
    eprintln!(
        "  curl -i {gateway}/orders -H 'content-type: application/json' -H 'x-request-id: my-first-order' \\"
    );
    eprintln!("       -d '{{\"user\": 1, \"method\": \"card\", \"amount\": 4200}}'");
    eprintln!("\nAmounts over 10000 are declined, \"bank\" with 777 gets no answer, 1313 meets a bug.");
    eprintln!("Ctrl-C closes the shop.\n");
}
