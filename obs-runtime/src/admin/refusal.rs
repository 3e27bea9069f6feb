//! What the server does not do, what it answers then, and how often that was.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a request, or a connection, goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No token came, or not the one that is set, or several.
    Token,
    /// It takes a token, and none is set.
    NoToken,
    /// The name under which this machine was asked for is not one of its own.
    ForeignHost,
    /// More than one `Host`, so nobody knows which was meant.
    SeveralHosts,
    /// A page of another site has sent it.
    CrossSite,
    /// There are as many connections as there may be, and this one is closed for another.
    Connections,
    /// As many requests are answered as there may be, and this one has waited for its turn.
    Requests,
    /// The request line and headers are too long, or there are too many of them.
    HeadSize,
    /// It took too long to send those.
    HeadTime,
    /// There is a body where none is taken.
    Body,
    /// The body is too long.
    BodySize,
    /// It took too long to send it.
    BodyTime,
    /// It is not HTTP.
    Syntax,
    /// The client does not read its answer, or nothing moves for another reason.
    Unread,
}

/// How often each reason there was one. Several refusals may have the same reason.
static REFUSED: [(&str, AtomicU64); 12] = [
    ("token", AtomicU64::new(0)),
    ("no_token", AtomicU64::new(0)),
    ("host", AtomicU64::new(0)),
    ("cross_site", AtomicU64::new(0)),
    ("connections", AtomicU64::new(0)),
    ("requests", AtomicU64::new(0)),
    ("head_size", AtomicU64::new(0)),
    ("head_time", AtomicU64::new(0)),
    ("body_size", AtomicU64::new(0)),
    ("body_time", AtomicU64::new(0)),
    ("syntax", AtomicU64::new(0)),
    ("unread", AtomicU64::new(0)),
];

/// How much was refused, by reason.
#[cfg(any(test, feature = "prometheus"))]
pub(crate) fn refused() -> impl Iterator<Item = (&'static str, u64)> {
    REFUSED.iter().map(|(reason, count)| (*reason, count.load(Ordering::Relaxed)))
}

impl Refusal {
    /// What hyper has refused, which has answered already where it can. What went wrong otherwise, such as
    /// a connection that the client has reset, is nothing of ours.
    pub(super) fn of(error: &hyper::Error) -> Option<Self> {
        if error.is_parse_too_large() {
            Some(Self::HeadSize)
        } else if error.is_parse() {
            Some(Self::Syntax)
        } else if error.is_timeout() {
            Some(Self::HeadTime)
        } else {
            None
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::NoToken => "no_token",
            Self::ForeignHost | Self::SeveralHosts => "host",
            Self::CrossSite => "cross_site",
            Self::Connections => "connections",
            Self::Requests => "requests",
            Self::HeadSize => "head_size",
            Self::HeadTime => "head_time",
            Self::Body | Self::BodySize => "body_size",
            Self::BodyTime => "body_time",
            Self::Syntax => "syntax",
            Self::Unread => "unread",
        }
    }

    pub(super) fn count(self) {
        if let Some((_, count)) = REFUSED.iter().find(|(reason, _)| *reason == self.reason()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Token => StatusCode::UNAUTHORIZED,
            Self::NoToken | Self::ForeignHost | Self::CrossSite => StatusCode::FORBIDDEN,
            Self::SeveralHosts | Self::Syntax => StatusCode::BAD_REQUEST,
            Self::Connections | Self::Requests | Self::Unread => StatusCode::SERVICE_UNAVAILABLE,
            Self::HeadSize => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::HeadTime | Self::BodyTime => StatusCode::REQUEST_TIMEOUT,
            Self::Body | Self::BodySize => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }

    /// Nothing of the request is in it.
    fn text(self) -> &'static str {
        match self {
            Self::Token => "this takes `Authorization: Bearer TOKEN` with the admin token\n",
            Self::NoToken => {
                "this takes a token, and none is set: set one with `builder().admin_token(..)` or OBS_ADMIN_TOKEN\n"
            }
            Self::ForeignHost => {
                "on a loopback address the host takes `localhost` or a loopback address, such as 127.0.0.1\n"
            }
            Self::SeveralHosts => "more than one `Host`\n",
            Self::CrossSite => "pages of other sites may not ask this\n",
            Self::Connections => "too many connections\n",
            Self::Requests => "too many requests are under way\n",
            Self::HeadSize => "the request line and headers are too long\n",
            Self::HeadTime | Self::BodyTime => "the request took too long to arrive\n",
            Self::Body => "this takes no body\n",
            Self::BodySize => "the body is too long\n",
            Self::Syntax => "this is not HTTP\n",
            Self::Unread => "the answer was not read\n",
        }
    }

    /// Counts it and says so.
    pub(super) fn answer(self) -> Response {
        self.count();
        let mut response = (self.status(), self.text()).into_response();
        if self == Self::Token {
            let scheme = HeaderValue::from_static("Bearer realm=\"obs\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

/// What every answer says: that it is what it calls itself, and is only true now.
pub(super) fn protect(headers: &mut HeaderMap) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}
