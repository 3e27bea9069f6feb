//! The four services: which there are, where they listen, and what each of them needs.

use crate::database::Database;
use crate::http::Client;
use crate::{gateway, orders, payments, users};
use axum::Router;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpListener;

/// In the order of their ports.
pub(crate) const NAMES: [&str; 4] = ["gateway", "users", "orders", "payments"];

/// The routes of a service that knows where the others are.
pub(crate) fn routes(name: &str, database: &Database, client: &Client, urls: &[String; 4]) -> Option<Router> {
    let (database, client) = (database.clone(), client.clone());
    let [_, users, orders, payments] = urls.clone();
    Some(match name {
        "gateway" => gateway::routes(client, users, orders),
        "users" => users::routes(database),
        "orders" => orders::routes(database, client, payments),
        "payments" => payments::routes(database),
        _ => return None,
    })
}

/// Takes one port for each service: in a row from `first`, or any that are free if that is 0.
pub(crate) async fn listen(first: u16) -> Result<[TcpListener; 4], Box<dyn Error>> {
    let at = |offset: u16| if first == 0 { 0 } else { first.saturating_add(offset) };
    Ok([bind(at(0)).await?, bind(at(1)).await?, bind(at(2)).await?, bind(at(3)).await?])
}

/// Takes that port.
pub(crate) async fn bind(port: u16) -> Result<TcpListener, Box<dyn Error>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Ok(TcpListener::bind(address)
        .await
        .map_err(|error| format!("can't listen on {address}: {error}; choose other ports with --port"))?)
}
