//! Context by hand: made, captured, and entered again, on this thread or another.

mod future;
#[cfg(feature = "rayon")]
pub mod rayon;
#[cfg(feature = "tokio")]
pub mod task;
pub mod thread;

pub use future::InContext;

use crate::context::{Carried, Fields, FrameKey, Span, with_stack};
use crate::propagation::TraceState;
use crate::subscriber::{self, Asked};
use crate::trace::TraceContext;
use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU64;
use std::sync::Arc;

/// What is true of everything that happens inside: context fields, a place in a trace, and what the
/// request carries besides.
///
/// There are three ways to one: [`context!`](crate::context!) makes one of fields,
/// [`extract`](crate::propagation::extract) of a request's headers, and [`Context::current`] captures
/// all that this thread is in. A future takes it along with [`scope`](Self::scope), a closure with
/// [`run`](Self::run), a block with [`enter`](Self::enter).
///
/// ```
/// use obs_runtime::{Context, context};
///
/// # async fn handle() {}
/// # async fn f(tenant: &str) {
/// context! { tenant, attempt = 2 }.scope(handle()).await;
/// # }
///
/// // Elsewhere, as if it were here:
/// let here = Context::current();
/// std::thread::spawn(move || here.run(|| tracing::info!("with all fields and ids from over there")));
/// ```
///
/// Cloning is cheap. For the usual ways to elsewhere see [`task`], [`thread`] and, with the feature
/// `rayon`, `rayon`.
#[derive(Clone, Default)]
pub struct Context(Option<Arc<Held>>);

/// A context off the stack.
#[derive(Debug)]
struct Held {
    span: Span,
    /// Whether it hides what a thread is in, instead of adding to it.
    whole: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        // A captured span is held open, as a handle of `tracing` holds it.
        if let Some(id) = self.span.id {
            subscriber::release(id);
        }
    }
}

impl Context {
    /// All that this thread is in: its spans, their fields, and what came with the request. Where that is
    /// nothing, so is what is entered: see [`root`](Self::root).
    ///
    /// A span of plain `tracing` stays open for as long as a context that was captured in it, as it does for its
    /// other handles; an observed call ends when it ends.
    #[must_use]
    pub fn current() -> Self {
        let Some(span) = with_stack(|stack| stack.capture()).flatten() else { return Self::root() };
        if let Some(id) = span.id {
            subscriber::retain(id);
        }
        Self(Some(Arc::new(Held { span, whole: true })))
    }

    /// Nothing at all: what runs inside begins a trace of its own, and has no fields from around it.
    ///
    /// ```
    /// use obs_runtime::{Context, context};
    ///
    /// context! { request_id = "7" }.run(|| {
    ///     Context::root().run(|| tracing::info!("a job that belongs to no request"));
    /// });
    /// ```
    #[must_use]
    pub fn root() -> Self {
        Self::whole(Span::context(None, |_| ()))
    }

    /// A context that hides the one it is entered in.
    pub(crate) fn whole(span: Span) -> Self {
        Self(Some(Arc::new(Held { span, whole: true })))
    }

    /// A context that adds to the one it is entered in.
    pub(crate) fn layer(span: Span) -> Self {
        let empty = span.identity.trace.is_none() && span.carried.is_none() && span.fields.len() == 0;
        Self((!empty).then(|| Arc::new(Held { span, whole: false })))
    }

    /// For the `context!` macro.
    pub(crate) fn of_fields(record: impl FnOnce(&mut Fields)) -> Self {
        Self::layer(Span::context(None, record))
    }

    /// Its place in a trace, if it has one: that of the innermost span, or of the caller's.
    #[must_use]
    pub fn trace(&self) -> Option<TraceContext> {
        self.0.as_ref()?.span.identity.trace
    }

    /// The value of a baggage entry, decoded.
    #[must_use]
    pub fn baggage(&self, name: &str) -> Option<String> {
        self.carried()?.baggage.get(name)
    }

    /// What other tracing systems have said in `tracestate`; empty if nothing.
    #[must_use]
    pub fn tracestate(&self) -> &str {
        self.carried().map_or("", |carried| carried.tracestate.as_str())
    }

    /// The same with a baggage entry more, which every request sent from inside takes along.
    ///
    /// Whoever receives those can read it: nothing secret belongs here. A name that is no HTTP token, and
    /// an entry for which the header's 8192 bytes have no room, are left out.
    ///
    /// ```
    /// use obs_runtime::Context;
    ///
    /// let context = Context::current().with_baggage("tenant", "Ægir & Sons");
    /// assert_eq!(context.baggage("tenant").as_deref(), Some("Ægir & Sons"));
    /// ```
    #[must_use]
    pub fn with_baggage(self, name: &str, value: &str) -> Self {
        self.carrying(|carried| {
            carried.baggage.set(name, value);
        })
    }

    /// The same, with log lines up to that level written inside whatever the filter says: those of observed calls,
    /// of plain `tracing` and of `log`, in spawned tasks too if the context is taken along. Nothing changes
    /// outside, nor which spans there are.
    ///
    /// As long as there is such a context, everybody's lines up to that level are looked at, so it is for the request
    /// that is to be understood, and not for all. [`http::ServerLayer`](crate::http) enters one where a request asks
    /// for it and may.
    ///
    /// ```
    /// use obs_runtime::Context;
    ///
    /// # fn import(file: &str) {}
    /// Context::current().with_log_level(tracing::Level::DEBUG).run(|| import("the file that makes trouble"));
    /// ```
    #[must_use]
    pub fn with_log_level(self, level: tracing::Level) -> Self {
        self.carrying(|carried| carried.asked = Some(Asked::new(level)))
    }

    /// The same with something else than is carried here, or in it.
    fn carrying(self, change: impl FnOnce(&mut Carried)) -> Self {
        let current = || with_stack(|stack| stack.carried().cloned()).flatten();
        let carried = match &self.0 {
            None => current(),
            Some(held) if held.whole => held.span.carried.clone(),
            Some(held) => held.span.carried.clone().or_else(current),
        };
        let mut carried = carried.map(Arc::unwrap_or_clone).unwrap_or_default();
        if self
            .0
            .as_ref()
            .is_some_and(|held| held.span.carried.is_none() && held.span.identity.trace.is_some())
        {
            // What is around belongs to another trace.
            carried.tracestate = TraceState::default();
        }
        change(&mut carried);
        match self.0 {
            None if carried.is_empty() => Self(None),
            None => {
                let mut span = Span::context(None, |_| ());
                span.carry(|new| *new = carried);
                Self(Some(Arc::new(Held { span, whole: false })))
            }
            Some(held) => {
                let mut span = held.span.copied();
                if let Some(id) = span.id {
                    subscriber::retain(id);
                }
                span.carry(|new| *new = carried);
                Self(Some(Arc::new(Held { span, whole: held.whole })))
            }
        }
    }

    /// Enters the context on this thread until the guard is dropped. Across `.await`, use
    /// [`scope`](Self::scope).
    ///
    /// ```
    /// use obs_runtime::context;
    ///
    /// let job = 7;
    /// let _inside = context! { job }.enter();
    /// tracing::info!("this line has the job, and all below do");
    /// ```
    #[must_use = "the context is left when the guard is dropped: hold it with `let _inside = ..`"]
    pub fn enter(&self) -> Entered {
        let frame = self.0.as_ref().and_then(|held| {
            let key = with_stack(|stack| stack.enter_context(&held.span, held.whole))?;
            if subscriber::compares_spans() {
                subscriber::compare_frame(key);
            }
            Some((key, held.span.id))
        });
        Entered { frame, not_send: PhantomData }
    }

    /// Runs inside the context.
    pub fn run<R>(&self, run: impl FnOnce() -> R) -> R {
        let _inside = self.enter();
        run()
    }

    /// A closure that runs inside the context whenever it is called, and wherever.
    ///
    /// ```
    /// use obs_runtime::Context;
    ///
    /// let (sender, receiver) = std::sync::mpsc::channel();
    /// sender.send(Context::current().bind(|| tracing::info!("sent here"))).expect("somebody receives");
    /// receiver.recv().expect("sent")();
    /// ```
    pub fn bind<R>(self, run: impl FnOnce() -> R) -> impl FnOnce() -> R {
        move || self.run(run)
    }

    /// A future that is polled inside the context.
    pub fn scope<F: Future>(self, future: F) -> InContext<F> {
        InContext::new(self, future)
    }

    fn carried(&self) -> Option<&Carried> {
        self.0.as_ref()?.span.carried.as_deref()
    }
}

/// Another service's span as the parent of what is opened inside.
impl From<TraceContext> for Context {
    fn from(trace: TraceContext) -> Self {
        Self::layer(Span::context(Some(trace), |_| ()))
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("trace", &self.trace()).finish_non_exhaustive()
    }
}

/// Leaves a context when dropped: of [`Context::enter`].
#[derive(Debug)]
pub struct Entered {
    /// The frame on the stack of this thread, which the guard can't leave, and the number of the span
    /// that it stands for, if that has one.
    frame: Option<(FrameKey, Option<NonZeroU64>)>,
    not_send: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let Some((key, captured)) = self.frame else { return };
        let left = with_stack(|stack| stack.pop(key)).flatten();
        // Somebody inside asked for the current span, and this context was it.
        if let Some(id) = left.and_then(|frame| frame.id).filter(|id| Some(*id) != captured) {
            subscriber::release(id);
        }
    }
}

/// Makes a [`Context`](crate::Context) of fields, in the syntax of `fields(..)` in
/// [`observe`](macro@crate::observe): `name = value`, `%` for `Display`, `?` for `Debug`, or a variable
/// alone.
///
/// Every log line and span inside has them.
///
/// ```
/// use obs_runtime::context;
///
/// # async fn work() {}
/// # async fn f(id: uuid::Uuid, tenant: String, attempt: u32) {
/// context! { request_id = %id, tenant = tenant.as_str(), attempt }.scope(work()).await;
/// # }
/// # mod uuid { pub type Uuid = u64; }
/// ```
#[macro_export]
macro_rules! context {
    ($($fields:tt)*) => { $crate::__private::context! { $crate; $($fields)* } };
}
