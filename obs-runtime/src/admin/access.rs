//! Who may see what: decided from the head of a request alone.
//!
//! Three kinds of people are kept out. Those on other machines, by the address that is listened on and by
//! the token. Those on this machine who are not meant, by the token. And pages of other sites in the
//! browser of somebody who is meant: by `Sec-Fetch-Site` and `Origin`, and, where a page has had its own
//! name point here (DNS rebinding), by `Host`.

use super::refusal::Refusal;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use subtle::ConstantTimeEq;

/// The secret that `Authorization: Bearer` shows.
pub(crate) struct Token(Box<[u8]>);

impl Token {
    /// What a token is, for the message of one that is none.
    pub(crate) const EXPECTED: &str = "a secret of at least 16 visible ASCII characters, without spaces";
    const SHORTEST: usize = 16;

    /// `None` if it is too short to be a secret, or can't be sent in a header.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let fits = text.len() >= Self::SHORTEST && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.as_bytes().into()))
    }

    /// In a time that depends on the lengths alone.
    pub(crate) fn matches(&self, presented: &[u8]) -> bool {
        self.0.ct_eq(presented).into()
    }
}

/// What is set of who may see what.
#[derive(Default)]
pub(crate) struct Policy {
    pub(crate) token: Option<Token>,
    /// Whether `/metrics` and `/health/*` are for everybody who reaches them.
    pub(crate) allow_remote: bool,
}

impl Policy {
    /// Whether a server at the address is for somebody, and nobody else.
    pub(crate) fn allows(&self, address: SocketAddr) -> bool {
        Listener::at(address) == Listener::Loopback || self.token.is_some() || self.allow_remote
    }
}

static CURRENT: RwLock<Option<Arc<Policy>>> = RwLock::new(None);

/// Puts the policy in force, for the whole process.
pub(crate) fn install(policy: Policy) {
    *CURRENT.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(policy));
}

/// The policy in force: before the start of the runtime, one without a token.
pub(super) fn current() -> Arc<Policy> {
    CURRENT.read().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
}

/// Where a request comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listener {
    /// Our server, reached from this machine alone.
    Loopback,
    /// Our server, reached from elsewhere.
    Reachable,
    /// A server of the application's own, which has mounted the routes.
    Mounted,
}

impl Listener {
    pub(super) fn at(address: SocketAddr) -> Self {
        if address.ip().to_canonical().is_loopback() { Self::Loopback } else { Self::Reachable }
    }
}

/// What a path is, as far as access goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// `/metrics` and `/health/*`, which the application may open to everybody.
    Openable,
    /// All else, whether it exists or not: what changes something, or says more than numbers.
    Rest,
}

impl Class {
    /// Compares the path as it was sent, as the router does: nothing is decoded or resolved on the way.
    pub(super) fn of(path: &str) -> Self {
        let openable = path == "/metrics" || is_health(path);
        if openable { Self::Openable } else { Self::Rest }
    }
}

/// Whether a path is for probes, which are answered whatever else goes on.
pub(super) fn is_health(path: &str) -> bool {
    path == "/health" || path.starts_with("/health/")
}

/// Whether a request may go on.
pub(super) fn check(listener: Listener, policy: &Policy, class: Class, head: &Parts) -> Result<(), Refusal> {
    if (listener, class) == (Listener::Mounted, Class::Openable) {
        // The application has chosen to mount it, and may have put a layer of its own before it.
        return Ok(());
    }
    check_host(listener, head)?;
    check_site(head)?;
    match &policy.token {
        Some(_) if policy.allow_remote && class == Class::Openable => Ok(()),
        Some(token) if shows(&head.headers, token) => Ok(()),
        Some(_) => Err(Refusal::Token),
        None if listener == Listener::Loopback => Ok(()),
        // A server that is reached from elsewhere does not start without a token, unless these are open.
        None if policy.allow_remote && class == Class::Openable => Ok(()),
        None => Err(Refusal::NoToken),
    }
}

/// The one `Authorization: Bearer TOKEN`. The scheme may be in any case, as in all of HTTP.
fn shows(headers: &HeaderMap, token: &Token) -> bool {
    let presented = single(headers, &AUTHORIZATION).ok().flatten().and_then(|value| {
        let (scheme, rest) = value.as_bytes().split_at_checked("Bearer ".len())?;
        scheme.eq_ignore_ascii_case(b"Bearer ").then(|| rest.trim_ascii())
    });
    presented.is_some_and(|presented| token.matches(presented))
}

/// On a loopback address there is no name to ask for but the machine's own. A page that has its name point
/// to 127.0.0.1 is of the same site as the server, for the browser; but it can't choose what `Host` says.
///
/// `localhost` and addresses it is, with any port. Names below `localhost` are not: nobody needs them, and
/// not every resolver keeps them on the machine. Without `Host` no browser has sent it, but a probe may.
fn check_host(listener: Listener, head: &Parts) -> Result<(), Refusal> {
    let host = single(&head.headers, &HOST).map_err(|Several| Refusal::SeveralHosts)?;
    let authority = head.uri.authority().map(|authority| authority.as_str().as_bytes());
    let foreign = |host: &[u8]| !is_loopback(host);
    if listener == Listener::Loopback
        && (host.is_some_and(|host| foreign(host.as_bytes())) || authority.is_some_and(foreign))
    {
        return Err(Refusal::ForeignHost);
    }
    Ok(())
}

fn is_loopback(host: &[u8]) -> bool {
    let Some((name, _)) = std::str::from_utf8(host).ok().and_then(split_port) else { return false };
    let address = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().map(IpAddr::from),
        None => name.parse::<Ipv4Addr>().map(IpAddr::from),
    };
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Name and port, which may be empty; `None` if what looks like a port is none.
fn split_port(host: &str) -> Option<(&str, &str)> {
    // The colons inside of brackets are of an address.
    let end_of_name = host.find(']').map_or(0, |bracket| bracket + 1);
    let (name, port) = match host[end_of_name..].find(':') {
        Some(colon) => (&host[..end_of_name + colon], &host[end_of_name + colon + 1..]),
        None => (host, ""),
    };
    port.bytes().all(|byte| byte.is_ascii_digit()).then_some((name, port))
}

/// Pages of other sites may send requests here, and some read the answers. Browsers say so.
fn check_site(head: &Parts) -> Result<(), Refusal> {
    static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    // `none` is what somebody has typed. All else is another site, also what browsers will think of.
    let own_site = |value: &HeaderValue| value == "same-origin" || value == "none";
    if !head.headers.get_all(&SEC_FETCH_SITE).iter().all(own_site) {
        return Err(Refusal::CrossSite);
    }
    let origin = single(&head.headers, &ORIGIN).map_err(|Several| Refusal::CrossSite)?;
    let own_origin = |origin: &HeaderValue| {
        // The authority goes before `Host`, where both are there.
        let authority = head.uri.authority().map(Authority::as_str);
        let host = authority.or_else(|| head.headers.get(HOST)?.to_str().ok())?;
        Some(is_origin_of(origin.to_str().ok()?, host))
    };
    match origin {
        Some(origin) if own_origin(origin) != Some(true) => Err(Refusal::CrossSite),
        _ => Ok(()),
    }
}

/// Whether an origin is that of a host. What is spoken there is not known: something else may have taken
/// TLS off the connection before.
fn is_origin_of(origin: &str, host: &str) -> bool {
    let (origin, default_port) = match (origin.strip_prefix("http://"), origin.strip_prefix("https://")) {
        (Some(origin), _) => (origin, "80"),
        (_, Some(origin)) => (origin, "443"),
        _ => return false,
    };
    let with_port = |host| {
        let (name, port) = split_port(host)?;
        Some((name, if port.is_empty() { default_port } else { port }))
    };
    match (with_port(origin), with_port(host)) {
        (Some((name, port)), Some((own, own_port))) => name.eq_ignore_ascii_case(own) && port == own_port,
        _ => false,
    }
}

struct Several;

/// The value of a header that is there once at most.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Several> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { Err(Several) } else { Ok(first) }
}

#[cfg(test)]
mod tests;
