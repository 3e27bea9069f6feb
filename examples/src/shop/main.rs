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
mod users;

use axum::Router;
use database::Database;
use http::{Client, Service};
use options::Options;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
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
    let mut runtime = obs_runtime::builder().service_name("shop").service_version(env!("CARGO_PKG_VERSION"));
    if let Some(port) = options.admin {
        runtime = runtime.admin(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    if let Some(collector) = &options.otlp {
        runtime = runtime.otlp_endpoint(collector);
    }
    let observed = runtime.init()?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(serve(&options, observed.admin_address()))?;
    let flushed = observed.shutdown(DRAIN);
    if !flushed.spans {
        eprintln!("shop: the collector did not take the last spans in time");
    }
    Ok(())
}

/// Runs the four services until Ctrl-C, or until the load has made its requests.
async fn serve(options: &Options, admin: Option<SocketAddr>) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let database = Database::open(&directory.path().join("shop.db"))?;
    let [gateway, users, orders, payments] = listen(options.port).await?;
    let at = |listener: &TcpListener| listener.local_addr().map(|address| format!("http://{address}"));
    let (gateway_url, users_url, orders_url, payments_url) =
        (at(&gateway)?, at(&users)?, at(&orders)?, at(&payments)?);
    introduce(&gateway_url, &[&users_url, &orders_url, &payments_url], admin);

    let client = Client::new()?;
    let (stop, stopped) = watch::channel(());
    let mut servers = JoinSet::new();
    let mut start = |service: Service, listener: TcpListener, routes: Router| {
        let mut stopped = stopped.clone();
        let server = axum::serve(listener, http::serve(service, routes));
        servers.spawn(async move {
            server.with_graceful_shutdown(async move { while stopped.changed().await.is_ok() {} }).await
        });
    };
    start(Service::Payments, payments, payments::routes(database.clone()));
    start(Service::Orders, orders, orders::routes(database.clone(), client.clone(), payments_url));
    start(Service::Users, users, users::routes(database));
    start(Service::Gateway, gateway, gateway::routes(client, users_url, orders_url));
    drop(stopped);

    tokio::select! {
        () = interrupted() => {}
        () = load::run(gateway_url, options) => {}
    }
    drop(stop);
    let drained = tokio::time::timeout(DRAIN, async { while servers.join_next().await.is_some() {} });
    if drained.await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
    Ok(())
}

/// Takes one port for each service: in a row from `first`, or any that are free if that is 0.
async fn listen(first: u16) -> Result<[TcpListener; 4], Box<dyn Error>> {
    let bind = async |offset: u16| {
        let port = if first == 0 { 0 } else { first.saturating_add(offset) };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        TcpListener::bind(address)
            .await
            .map_err(|error| format!("can't listen on {address}: {error}; choose other ports with --port"))
    };
    Ok([bind(0).await?, bind(1).await?, bind(2).await?, bind(3).await?])
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
fn introduce(gateway: &str, others: &[&str], admin: Option<SocketAddr>) {
    eprintln!("The shop is open.\n\n  gateway   {gateway}");
    for (name, url) in ["users", "orders", "payments"].iter().zip(others) {
        eprintln!("  {name:<9} {url}");
    }
    if let Some(admin) = admin {
        eprintln!("  admin     http://{admin}");
    }
    eprintln!("\nEach of them answers /metrics, /health/live and /health/ready.");
    eprintln!("\nOrder something, with a request id to look for in the log:\n");
    eprintln!(
        "  curl -i {gateway}/orders -H 'content-type: application/json' -H 'x-request-id: my-first-order' \\"
    );
    eprintln!("       -d '{{\"user\": 1, \"method\": \"card\", \"amount\": 4200}}'");
    eprintln!("\nAmounts over 10000 are declined, \"bank\" with 777 gets no answer, 1313 meets a bug.");
    eprintln!("Ctrl-C closes the shop.\n");
}
