//! The admin endpoints: `/metrics`, `/health/live` and `/health/ready`.

#[cfg_attr(not(test), allow(dead_code, reason = "mounted with the access check of `/debug/*`"))]
mod log_level;

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::OnceLock;
use std::thread;

static TOKEN: OnceLock<String> = OnceLock::new();

/// Whoever has this token may change what the service logs.
pub(crate) fn set_token(token: String) {
    let _ = TOKEN.set(token);
}

/// Whether it is the token that was set. One that is empty never is.
#[cfg_attr(not(feature = "http"), allow(dead_code, reason = "requests come in by its layer"))]
pub(crate) fn token_matches(token: &[u8]) -> bool {
    let Some(set) = TOKEN.get().map(String::as_bytes).filter(|set| set.len() == token.len()) else {
        return false;
    };
    // In the same time, wherever they differ.
    !set.is_empty() && set.iter().zip(token).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

/// The endpoints, to mount in a server of the application's own.
///
/// ```
/// let app: axum::Router = axum::Router::new().merge(obs_runtime::admin::router());
/// ```
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let router = crate::health::routes();
    #[cfg(feature = "prometheus")]
    let router = router.route("/metrics", get(metrics));
    router
}

#[cfg(feature = "prometheus")]
async fn metrics(headers: axum::http::HeaderMap) -> Response {
    use crate::metrics::{TextFormat, encode};
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let format = TextFormat::for_accept(accept);
    ([(header::CONTENT_TYPE, format.content_type())], encode(format)).into_response()
}

/// Serves the endpoints on a thread with an async runtime of its own, so that they answer while the
/// application's is stuck. Returns where.
pub(crate) fn serve(listener: TcpListener) -> io::Result<SocketAddr> {
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("obs-admin".into()).spawn(move || {
        let served = runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            axum::serve(listener, router()).await
        });
        if let Err(error) = served {
            tracing::error!(target: "obs_runtime::admin", %error, "the admin server has ended");
        }
    })?;
    Ok(address)
}
