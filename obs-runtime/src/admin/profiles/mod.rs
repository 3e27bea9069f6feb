//! `/debug/pprof/`: where time, memory and waiting go, for `go tool pprof` and to look at.
//!
//! ```text
//! go tool pprof 'http://localhost:9464/debug/pprof/profile?seconds=10'
//! go tool pprof -top http://localhost:9464/debug/pprof/heap
//! curl 'localhost:9464/debug/pprof/tasks?debug=1&min_age=5s'
//! ```
//!
//! `NAME` answers in pprof's format, `NAME.svg` as a flame graph, and `NAME?debug=1` as text. `profile` takes samples for
//! `seconds`; `heap`, `block` and `mutex` with `seconds` are what has happened in that time. `tasks?debug=1` has tokio's own
//! dump of its tasks too, on Linux, in a program that was built with `--cfg tokio_unstable --cfg tokio_taskdump`, and that
//! enables tokio's feature `taskdump`, which there is since 1.48.

mod query;
#[cfg(feature = "profile")]
mod take;

use super::client::Progress;
use axum::Router;
use axum::extract::{Path, RawQuery};
use axum::http::{Extensions, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use query::{Parameter, Query};
use std::fmt::Write as _;

pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        // The links of the index are relative, wherever it is mounted.
        .route("/debug/pprof", get(async || Redirect::permanent("pprof/")))
        .route("/debug/pprof/", get(index))
        .route("/debug/pprof/{name}", get(answer))
}

/// What there are profiles of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Cpu,
    Heap,
    Tasks,
    Block,
    Mutex,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Cpu, Self::Heap, Self::Tasks, Self::Block, Self::Mutex];

    fn name(self) -> &'static str {
        match self {
            // As Go calls it, and its tools.
            Self::Cpu => "profile",
            Self::Heap => "heap",
            Self::Tasks => "tasks",
            Self::Block => "block",
            Self::Mutex => "mutex",
        }
    }

    fn named(name: &str) -> Option<Self> {
        match name {
            "goroutine" => Some(Self::Tasks),
            _ => Self::ALL.into_iter().find(|kind| kind.name() == name),
        }
    }

    fn shows(self) -> &'static str {
        match self {
            Self::Cpu => "where CPU time goes, by samples that are taken meanwhile",
            Self::Heap => "what is alive in memory, and what has been allocated, by who has done it",
            Self::Tasks => "which observed calls are alive, where, and since when",
            Self::Block => "where observed calls have waited, and which of their polls took long",
            Self::Mutex => "where locks have been waited for",
        }
    }

    fn parameters(self) -> &'static [Parameter] {
        match self {
            Self::Cpu => &[Parameter::Seconds, Parameter::Hz, Parameter::Debug],
            Self::Heap | Self::Block | Self::Mutex => &[Parameter::Seconds, Parameter::Debug],
            Self::Tasks => &[Parameter::MinAge, Parameter::Debug],
        }
    }

    /// The feature that it takes and is not there.
    fn missing_feature(self) -> Option<&'static str> {
        let needed = match self {
            _ if !cfg!(feature = "profile") && self != Self::Cpu && self != Self::Heap => "profile",
            Self::Cpu if !cfg!(feature = "profile-cpu") => "profile-cpu",
            Self::Heap if !cfg!(feature = "profile-heap") => "profile-heap",
            Self::Mutex if !cfg!(feature = "sync") => "sync",
            _ => return None,
        };
        Some(needed)
    }

    /// Why there is none, as far as that is known beforehand.
    fn unavailable(self) -> Option<String> {
        if let Some(feature) = self.missing_feature() {
            return Some(without(feature));
        }
        #[cfg(feature = "profile")]
        let why = take::unavailable(self);
        #[cfg(not(feature = "profile"))]
        let why = None;
        why
    }
}

fn without(feature: &str) -> String {
    format!("it takes the feature `{feature}` of obs-runtime, with which this program was not built")
}

/// How it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Pprof,
    Svg,
    Text,
}

impl Form {
    fn content_type(self) -> &'static str {
        match self {
            Self::Pprof => "application/octet-stream",
            Self::Svg => "image/svg+xml",
            Self::Text => "text/plain; charset=utf-8",
        }
    }
}

async fn index() -> Response {
    super::aside::aside(|| {
        let mut html = String::from(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Profiles</title></head><body>\n\
             <h1>Profiles</h1>\n<dl>\n",
        );
        for kind in Kind::ALL {
            let (name, shows) = (kind.name(), kind.shows());
            if let Some(why) = kind.unavailable() {
                let _ = writeln!(html, "<dt>{name}</dt>\n<dd>{shows}. Not available: {}</dd>", escaped(&why));
                continue;
            }
            let _ = write!(html, "<dt><a href=\"{name}\">{name}</a>, <a href=\"{name}?debug=1\">text</a>");
            if cfg!(feature = "profile-svg") {
                let _ = write!(html, ", <a href=\"{name}.svg\">flame graph</a>");
            }
            let takes: Vec<_> = kind.parameters().iter().map(|parameter| parameter.takes()).collect();
            let _ = writeln!(html, "</dt>\n<dd>{shows}. It takes {}.</dd>", escaped(&takes.join(", ")));
        }
        html.push_str("</dl>\n<p><code>go tool pprof URL</code> reads them.</p>\n</body></html>\n");
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_SECURITY_POLICY, "default-src 'none'"),
        ];
        (headers, html)
    })
    .await
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

async fn answer(Path(file): Path<String>, RawQuery(query): RawQuery, extensions: Extensions) -> Response {
    let (name, svg) = file.strip_suffix(".svg").map_or((&*file, false), |name| (name, true));
    let Some(kind) = Kind::named(name) else {
        let names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        return plain(
            StatusCode::NOT_FOUND,
            &format!("there is no such profile; there are {}", names.join(", ")),
        );
    };
    let query = match Query::read(query.as_deref().unwrap_or_default(), kind.parameters()) {
        Ok(query) => query,
        Err(problem) => return plain(StatusCode::BAD_REQUEST, &problem),
    };
    let form = match (svg, query.debug) {
        (true, true) => return plain(StatusCode::BAD_REQUEST, "`debug=1` is text: leave out `.svg`"),
        (true, false) => Form::Svg,
        (false, true) => Form::Text,
        (false, false) => Form::Pprof,
    };
    let missing = kind.missing_feature().or((svg && !cfg!(feature = "profile-svg")).then_some("profile-svg"));
    if let Some(feature) = missing {
        return plain(StatusCode::NOT_IMPLEMENTED, &without(feature));
    }
    #[cfg(feature = "profile")]
    let answer = take::taken(kind, name, form, query, extensions.get::<Progress>().cloned()).await;
    // Every profile takes the feature, so nobody comes here without.
    #[cfg(not(feature = "profile"))]
    let answer = {
        let _ = (form, extensions.get::<Progress>());
        plain(StatusCode::NOT_IMPLEMENTED, &without("profile"))
    };
    answer
}

fn plain(status: StatusCode, text: &str) -> Response {
    (status, format!("{text}\n")).into_response()
}

#[cfg(test)]
mod tests;
