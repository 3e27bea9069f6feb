//! Takes profiles. Those that take time hold neither a thread nor a place among [what is done aside](super::super::aside)
//! while it passes, and end with the request.

use super::super::aside::aside_value;
use super::super::client::Progress;
use super::query::Query;
use super::{Form, Kind, plain};
use crate::profile::{self, Profile};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many may wait at once: each keeps what it has taken first.
const WAITING: usize = 4;
static PLACES: Semaphore = Semaphore::const_new(WAITING);

#[cfg(feature = "profile-cpu")]
const DEFAULT_SECONDS: u32 = 30;
#[cfg(feature = "profile-cpu")]
const DEFAULT_HZ: u32 = 99;

/// Why there is none, though it was compiled.
pub(super) fn unavailable(kind: Kind) -> Option<String> {
    match kind {
        #[cfg(feature = "profile-heap")]
        Kind::Heap => profile::heap_available().err().map(|error| error.to_string()),
        _ => None,
    }
}

/// Why there is none.
struct Refused(StatusCode, String);

impl From<Refused> for Response {
    fn from(Refused(status, why): Refused) -> Self {
        plain(status, &why)
    }
}

/// The answer to who has asked for a profile.
pub(super) async fn taken(
    kind: Kind,
    name: &str,
    form: Form,
    query: Query,
    progress: Option<Progress>,
) -> Response {
    let answer = match (kind, query.seconds) {
        #[cfg(feature = "profile-cpu")]
        (Kind::Cpu, seconds) => {
            recorded(seconds.unwrap_or(DEFAULT_SECONDS), name, form, query, progress).await
        }
        (Kind::Tasks, _) if form == Form::Text => {
            let min_age = query.min_age.unwrap_or_default();
            aside_value(move || text(profile::tasks_text(min_age))).await
        }
        (_, None) => once(kind, name, form, query).await,
        (_, Some(seconds)) => difference(kind, seconds, name, form, query, progress).await,
    };
    answer.unwrap_or_else(|refused| refused)
}

async fn once(kind: Kind, name: &str, form: Form, query: Query) -> Result<Response, Response> {
    let name = name.to_owned();
    Ok(aside_value(move || now(kind, query).map(|profile| shown(&profile, &name, form))).await??)
}

/// What has happened in so many seconds.
async fn difference(
    kind: Kind,
    seconds: u32,
    name: &str,
    form: Form,
    query: Query,
    progress: Option<Progress>,
) -> Result<Response, Response> {
    let name = name.to_owned();
    let _place = place()?;
    let _waits = progress.as_ref().map(Progress::waits);
    let earlier = aside_value(move || now(kind, query)).await??;
    sleep(seconds).await;
    let difference = move || now(kind, query).map(|profile| shown(&profile.minus(&earlier), &name, form));
    Ok(aside_value(difference).await??)
}

#[cfg(feature = "profile-cpu")]
async fn recorded(
    seconds: u32,
    name: &str,
    form: Form,
    query: Query,
    progress: Option<Progress>,
) -> Result<Response, Response> {
    let name = name.to_owned();
    let _place = place()?;
    let _waits = progress.as_ref().map(Progress::waits);
    let hz = query.hz.unwrap_or(DEFAULT_HZ);
    // Dropped where the client hangs up, which ends it.
    let recording =
        aside_value(move || profile::cpu::start(hz).map_err(|error| no_recording(&error))).await??;
    sleep(seconds).await;
    aside_value(move || shown(&recording.finish(), &name, form)).await
}

#[cfg(feature = "profile-cpu")]
fn no_recording(error: &profile::cpu::CpuError) -> Refused {
    use profile::cpu::CpuError;
    let status = match error {
        CpuError::NotEnabled => StatusCode::FORBIDDEN,
        CpuError::Busy => StatusCode::CONFLICT,
        CpuError::Unavailable(_) => StatusCode::NOT_IMPLEMENTED,
    };
    Refused(status, error.to_string())
}

fn place() -> Result<SemaphorePermit<'static>, Refused> {
    let busy = |_| Refused(StatusCode::SERVICE_UNAVAILABLE, "too many of these are under way".to_owned());
    PLACES.try_acquire().map_err(busy)
}

async fn sleep(seconds: u32) {
    tokio::time::sleep(Duration::from_secs(seconds.into())).await;
}

/// Of what there is a profile at any time.
fn now(kind: Kind, query: Query) -> Result<Profile, Refused> {
    match kind {
        Kind::Tasks => Ok(profile::tasks(query.min_age.unwrap_or_default())),
        Kind::Block => Ok(profile::block()),
        Kind::Mutex => Ok(profile::mutex()),
        #[cfg(feature = "profile-heap")]
        Kind::Heap => profile::heap().map_err(|error| no_heap(&error)),
        #[allow(unreachable_patterns, reason = "with all features there is none")]
        Kind::Cpu | Kind::Heap => Err(Refused(StatusCode::NOT_IMPLEMENTED, "this is no state".to_owned())),
    }
}

#[cfg(feature = "profile-heap")]
fn no_heap(error: &profile::HeapError) -> Refused {
    use profile::HeapError;
    let status = match error {
        HeapError::NoAllocator | HeapError::Off => StatusCode::NOT_IMPLEMENTED,
        HeapError::Busy => StatusCode::CONFLICT,
        HeapError::Dump(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Refused(status, error.to_string())
}

fn shown(profile: &Profile, name: &str, form: Form) -> Response {
    match form {
        Form::Pprof => {
            let mut answer = with_type("application/octet-stream", profile.to_pprof());
            // A name of ours, so it is fit for a header.
            if let Ok(file) = HeaderValue::try_from(format!("attachment; filename=\"{name}.pb.gz\"")) {
                answer.headers_mut().insert(header::CONTENT_DISPOSITION, file);
            }
            answer
        }
        Form::Text => text(profile::text(profile)),
        Form::Svg => svg(profile),
    }
}

fn text(text: String) -> Response {
    with_type("text/plain; charset=utf-8", text)
}

/// Its script zooms and searches; nothing else is let in.
#[cfg(feature = "profile-svg")]
fn svg(profile: &Profile) -> Response {
    let mut answer = with_type("image/svg+xml", profile.to_svg());
    let policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'";
    answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    answer
}

#[cfg(not(feature = "profile-svg"))]
fn svg(_: &Profile) -> Response {
    plain(StatusCode::NOT_IMPLEMENTED, &super::without("profile-svg"))
}

fn with_type(content_type: &'static str, body: impl IntoResponse) -> Response {
    ([(header::CONTENT_TYPE, content_type)], body).into_response()
}
