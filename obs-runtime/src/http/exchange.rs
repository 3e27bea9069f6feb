//! A request and its response, from the first line of the one to the last byte of the other.

use super::labels::StatusClass;
use crate::call::{Call, Details, End};
use crate::label::{LabelIndex, values};
use crate::outcome::{DisplayRef, ErrorRef};
use crate::site::{Site, SpanKind};
use crate::text::start_of;
use crate::trace::Attribute;
use http::{Method, StatusCode, Version};
use std::any::type_name;
use std::fmt::Display;

/// Longer texts from outside are cut: no path or host worth reading is longer.
const MAX_TEXT: usize = 1024;

/// An exchange that is observed. Dropped before its end, it was cancelled, or panicked.
#[derive(Debug)]
pub(super) struct Exchange {
    call: Call,
    server: bool,
    /// Whether the request forbids a body in the response.
    head: bool,
    status: Option<StatusCode>,
    details: Details,
}

impl Exchange {
    /// Begins, in the context of this thread. `None` if nobody listens.
    pub(super) fn begin(site: &'static Site, labels: LabelIndex, name: String) -> Option<Self> {
        if !site.on() {
            return None;
        }
        let mut call = Call::silent();
        call.begin(site, labels);
        call.lift();
        let details = Details { name: Some(name), ..Details::default() };
        let server = site.spec.kind == SpanKind::Server;
        Some(Self { call, server, head: false, status: None, details })
    }

    /// Notes what the request is, by the semantic conventions.
    pub(super) fn request(&mut self, method: &Method, version: Version) {
        self.head = *method == Method::HEAD;
        if super::labels::Method::of(method) == super::labels::Method::Other {
            self.attribute("http.request.method", Attribute::Static("_OTHER"));
            self.text("http.request.method_original", method.as_str());
        } else {
            self.text("http.request.method", method.as_str());
        }
        if self.server {
            self.version(version);
        }
    }

    fn version(&mut self, version: Version) {
        let version = match version {
            Version::HTTP_09 => "0.9",
            Version::HTTP_10 => "1.0",
            Version::HTTP_11 => "1.1",
            Version::HTTP_2 => "2",
            _ => "3",
        };
        self.attribute("network.protocol.version", Attribute::Static(version));
    }

    pub(super) fn attribute(&mut self, key: &'static str, value: Attribute) {
        self.details.attributes.push((key, value));
    }

    /// Where the server is, by the semantic conventions.
    pub(super) fn server_address(&mut self, host: &str, port: Option<u16>) {
        self.text("server.address", host);
        if let Some(port) = port {
            self.attribute("server.port", Attribute::Number(port.into()));
        }
    }

    /// An attribute from outside.
    pub(super) fn text(&mut self, key: &'static str, text: &str) {
        self.attribute(key, Attribute::Text(start_of(text, MAX_TEXT).to_owned()));
    }

    /// Runs inside its span.
    pub(super) fn inside<R>(&mut self, run: impl FnOnce() -> R) -> R {
        self.call.make(run)
    }

    /// The head of the response is there.
    pub(super) fn answered(&mut self, status: StatusCode, version: Version) {
        self.status = Some(status);
        if !self.server {
            // What was asked for is one thing, what was spoken another.
            self.version(version);
        }
        self.attribute("http.response.status_code", Attribute::Number(status.as_u16().into()));
        self.call.result_label(values(), &StatusClass::of(status));
    }

    /// Whether a response of that status to this request has no body.
    pub(super) fn has_no_body(&self, status: StatusCode) -> bool {
        let never = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];
        self.head || status.is_informational() || never.contains(&status)
    }

    pub(super) fn is_server(&self) -> bool {
        self.server
    }

    /// The response has been there to its end.
    pub(super) fn complete(mut self) {
        let Some(status) = self.status.filter(|status| self.is_failure(*status)) else {
            return self.end(End::Ok);
        };
        self.attribute("error.type", Attribute::Text(status.as_str().to_owned()));
        // A handler that failed has said why.
        self.details.reports_others = self.server;
        let error = ErrorRef::Display(DisplayRef(&status));
        self.end(End::Error { kind: 0, error, type_name: "" });
    }

    /// There is no response, or not all of it.
    pub(super) fn fail<E: Display>(mut self, error: &E) {
        self.attribute("error.type", Attribute::Static(type_name::<E>()));
        let error = ErrorRef::Display(DisplayRef(error));
        self.end(End::Error { kind: 0, error, type_name: type_name::<E>() });
    }

    fn is_failure(&self, status: StatusCode) -> bool {
        status.is_server_error() || (!self.server && status.is_client_error())
    }

    fn end(&mut self, end: End<'_>) {
        self.call.end(end, Some(&mut self.details));
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(end) = self.call.dropped() {
            self.end(end);
        }
    }
}
