//! Takes profiles. Those that take time hold neither a thread nor a place among [what is done aside](super::super::aside)
//! while it passes, and end with the request.

use super::super::aside::{aside_for, aside_value, busy};
use super::super::client::Progress;
use super::query::Query;
use super::{Form, Kind, plain};
use crate::profile::{self, Profile};
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_core::Stream;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// The number of differences that may be under way at once: each keeps the profile that it has taken first. A recording of
/// CPU time has a place of its own, being one at a time.
const DIFFERENCES: usize = 4;
static PLACES: Semaphore = Semaphore::const_new(DIFFERENCES);
/// Places more for differences of at most [`SHORT`] seconds, which long ones can't hold.
const SHORT_DIFFERENCES: usize = 2;
static SHORT_PLACES: Semaphore = Semaphore::const_new(SHORT_DIFFERENCES);
const SHORT: u32 = 30;

/// Held while a heap profile is taken: others wait for it.
static HEAP: LazyLock<Arc<Mutex<()>>> = LazyLock::new(Arc::default);

/// How long somebody waits for names to be found, which in a large program that was built without optimisation takes
/// seconds.
const PATIENCE: Duration = Duration::from_secs(60);

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
            let ours = aside_value(move || profile::tasks_text(min_age)).await;
            let tokios = profile::tokio_tasks().await.unwrap_or_default();
            ours.map(|ours| answered((ours + &tokios).into(), name, form))
        }
        (_, None) => once(kind, name, form, query).await,
        (_, Some(seconds)) => difference(kind, seconds, name, form, query, progress).await,
    };
    answer.unwrap_or_else(|refused| refused)
}

async fn once(kind: Kind, name: &str, form: Form, query: Query) -> Result<Response, Response> {
    let bytes = state(kind, move || now(kind, query).map(|profile| bytes(&profile, form))).await??;
    Ok(answered(bytes.into(), name, form))
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
    let place = place(seconds)?;
    let waits = progress.as_ref().map(Progress::waits);
    let earlier = state(kind, move || now(kind, query)).await??;
    let difference = async move {
        let _held = (place, waits);
        sleep(seconds).await;
        let later = move || now(kind, query).map(|profile| bytes(&profile.minus(&earlier), form));
        state(kind, later).await.map_err(|_| late())?.map_err(|Refused(_, why)| io::Error::other(why))
    };
    Ok(answered(later(difference), name, form))
}

#[cfg(feature = "profile-cpu")]
async fn recorded(
    seconds: u32,
    name: &str,
    form: Form,
    query: Query,
    progress: Option<Progress>,
) -> Result<Response, Response> {
    let waits = progress.as_ref().map(Progress::waits);
    let hz = query.hz.unwrap_or(DEFAULT_HZ);
    // Dropped where the client hangs up, which ends it.
    let recording =
        aside_value(move || profile::cpu::start(hz).map_err(|error| no_recording(&error))).await??;
    let recorded = async move {
        let _waits = waits;
        sleep(seconds).await;
        state(Kind::Cpu, move || bytes(&recording.finish(), form)).await.map_err(|_| late())
    };
    Ok(answered(later(recorded), name, form))
}

fn late() -> io::Error {
    io::Error::other("this takes too long")
}

/// A body that is yet to come. Clients that wait for a head only so long, as Go's tool does, have it at once.
fn later(bytes: impl Future<Output = io::Result<Vec<u8>>> + Send + 'static) -> Body {
    Body::from_stream(Later(Some(Box::pin(bytes))))
}

type Bytes = dyn Future<Output = io::Result<Vec<u8>>> + Send;

struct Later(Option<Pin<Box<Bytes>>>);

impl Stream for Later {
    type Item = io::Result<Vec<u8>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(bytes) = &mut self.0 else { return Poll::Ready(None) };
        let bytes = ready!(bytes.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(Some(bytes))
    }
}

#[cfg(feature = "profile-cpu")]
fn no_recording(error: &profile::cpu::CpuError) -> Refused {
    use profile::cpu::CpuError;
    let status = match error {
        CpuError::NotEnabled => StatusCode::FORBIDDEN,
        CpuError::Rate(_) => StatusCode::BAD_REQUEST,
        CpuError::Busy => StatusCode::CONFLICT,
        CpuError::Unavailable(_) => StatusCode::NOT_IMPLEMENTED,
    };
    Refused(status, error.to_string())
}

fn place(seconds: u32) -> Result<SemaphorePermit<'static>, Refused> {
    let short = (seconds <= SHORT).then(|| SHORT_PLACES.try_acquire().ok()).flatten();
    let place = short.or_else(|| PLACES.try_acquire().ok());
    place.ok_or_else(|| {
        let why =
            format!("{DIFFERENCES} of these are under way; there is more room for up to {SHORT} seconds");
        Refused(StatusCode::SERVICE_UNAVAILABLE, why)
    })
}

/// Takes a profile of the present. Profiles of the heap take turns.
async fn state<R: Send + 'static>(
    kind: Kind,
    take: impl FnOnce() -> R + Send + 'static,
) -> Result<R, Response> {
    let turn = if kind == Kind::Heap {
        let turn = timeout(PATIENCE, Arc::clone(&HEAP).lock_owned()).await;
        Some(turn.map_err(|_| busy("another heap profile is being taken"))?)
    } else {
        None
    };
    aside_for(PATIENCE, move || {
        let _held = (turn, profile::unsampled());
        take()
    })
    .await
}

async fn sleep(seconds: u32) {
    tokio::time::sleep(Duration::from_secs(seconds.into())).await;
}

/// Of what there is a profile at any time.
fn now(kind: Kind, query: Query) -> Result<Profile, Refused> {
    match kind {
        Kind::Tasks => Ok(profile::tasks(query.min_age.unwrap_or_default())),
        Kind::Block => Ok(profile::block()),
        #[cfg(feature = "sync")]
        Kind::Mutex => Ok(profile::mutex()),
        #[cfg(feature = "profile-heap")]
        Kind::Heap => profile::heap().map_err(|error| no_heap(&error)),
        #[allow(unreachable_patterns, reason = "with all features there is none")]
        Kind::Cpu | Kind::Heap | Kind::Mutex => {
            Err(Refused(StatusCode::NOT_IMPLEMENTED, "this is no state".to_owned()))
        }
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

fn bytes(profile: &Profile, form: Form) -> Vec<u8> {
    match form {
        Form::Pprof => profile.to_pprof(),
        Form::Text => profile::text(profile).into_bytes(),
        #[cfg(feature = "profile-svg")]
        Form::Svg => profile.to_svg().into(),
        #[cfg(not(feature = "profile-svg"))]
        Form::Svg => Vec::new(),
    }
}

fn answered(body: Body, name: &str, form: Form) -> Response {
    let mut answer = Response::new(body);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
    match form {
        // A name of ours, so it is fit for a header.
        Form::Pprof => {
            if let Ok(file) = HeaderValue::try_from(format!("attachment; filename=\"{name}.pb.gz\"")) {
                headers.insert(header::CONTENT_DISPOSITION, file);
            }
        }
        // Its script zooms and searches; nothing else is let in.
        Form::Svg => {
            let policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'";
            headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        }
        Form::Text => {}
    }
    answer
}
