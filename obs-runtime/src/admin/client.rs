//! A client's connection, which waits for the client only so long.

use super::refusal::Refusal;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::mem;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// How long a connection may be without a byte read or written.
pub(super) const STILL_TIME: Duration = Duration::from_secs(30);
/// How long a client is listened to after the last answer.
const CLOSING_TIME: Duration = Duration::from_secs(2);

/// The part of its life that a connection is in, which decides whether it gives its place to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No complete request has arrived since the last answer.
    Arriving,
    /// A complete request waits for its turn.
    Queued,
    /// A handler makes the answer.
    Serving,
    /// The answer is complete, and the client has not taken all of it.
    Writing,
}

/// The state of a connection, shared by its task and the server.
#[derive(Clone)]
pub(super) struct Progress(Arc<State>);

struct State {
    /// When a byte was last read or written.
    moved: Mutex<Instant>,
    stage: Mutex<Stage>,
    waiting: AtomicBool,
    closed: Notify,
}

/// A phase and its beginning.
struct Stage {
    phase: Phase,
    since: Instant,
    /// Held from the turn of a request until its answer is written.
    turn: Option<OwnedSemaphorePermit>,
}

impl Progress {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let stage = Stage { phase: Phase::Arriving, since: now, turn: None };
        let (waiting, closed) = (AtomicBool::new(false), Notify::new());
        Self(Arc::new(State { moved: Mutex::new(now), stage: Mutex::new(stage), waiting, closed }))
    }

    fn made(&self) {
        *self.0.moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.0.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The phase and its beginning.
    pub(super) fn phase(&self) -> (Phase, Instant) {
        let stage = self.stage();
        (stage.phase, stage.since)
    }

    /// The same, unless it has the turn of a request. Turns bound the number of those.
    pub(super) fn phase_without_turn(&self) -> Option<(Phase, Instant)> {
        let stage = self.stage();
        stage.turn.is_none().then_some((stage.phase, stage.since))
    }

    fn enter(&self, phase: Phase, turn: Option<OwnedSemaphorePermit>) {
        let mut stage = self.stage();
        // A slow client stays as old as it is.
        if stage.phase != phase {
            stage.since = Instant::now();
        }
        let before = mem::replace(&mut stage.turn, turn);
        stage.phase = phase;
        drop(stage);
        drop(before);
    }

    /// The head of a request has arrived, and its body may follow.
    pub(super) fn arrives(&self) {
        self.enter(Phase::Arriving, None);
    }

    /// The request is complete, and waits for its turn.
    pub(super) fn queues(&self) {
        self.enter(Phase::Queued, None);
    }

    /// The request is complete, and has its turn, or needs none.
    pub(super) fn is_served(&self, turn: Option<OwnedSemaphorePermit>) {
        self.enter(Phase::Serving, turn);
    }

    /// All of the answer has been handed to hyper.
    pub(super) fn is_answered(&self) {
        let mut stage = self.stage();
        (stage.phase, stage.since) = (Phase::Writing, Instant::now());
    }

    /// hyper has nothing left to write.
    fn is_written(&self) {
        if self.phase().0 == Phase::Writing {
            self.enter(Phase::Arriving, None);
        }
    }

    /// Ends the connection, whatever it does.
    pub(super) fn close(&self) {
        self.0.closed.notify_one();
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// What is being answered takes its time, until this is dropped, so that nothing has to move. In return, the client may
    /// not have said that it has no more to say: that is how it looks when it hangs up, too, and then the answer is given up.
    pub(super) fn waits(&self) -> Waits {
        self.0.waiting.store(true, Ordering::Relaxed);
        Waits(self.clone())
    }

    fn is_waiting(&self) -> bool {
        self.0.waiting.load(Ordering::Relaxed)
    }

    /// Drives a connection until it ends. Gives it up once it has been [closed](Self::close) or still for too long: whatever
    /// it waits for, be it that the client does not read.
    pub(super) async fn watch<F: Future>(self, connection: F) -> Option<F::Output> {
        let still = async {
            loop {
                let last = if self.is_waiting() { Instant::now() } else { self.last() };
                let end = last + STILL_TIME;
                if end <= Instant::now() {
                    break;
                }
                sleep_until(end).await;
            }
        };
        let closed = self.0.closed.notified();
        let (mut connection, mut still, mut closed) = (pin!(connection), pin!(still), pin!(closed));
        poll_fn(|context| {
            if let Poll::Ready(ended) = connection.as_mut().poll(context) {
                return Poll::Ready(Some(ended));
            }
            if closed.as_mut().poll(context).is_ready() {
                return Poll::Ready(None);
            }
            ready!(still.as_mut().poll(context));
            Refusal::Unread.count();
            Poll::Ready(None)
        })
        .await
    }
}

/// What it takes time for is under way.
pub(super) struct Waits(Progress);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.0.waiting.store(false, Ordering::Relaxed);
        self.0.made();
    }
}

pub(super) struct Client<IO> {
    io: IO,
    progress: Progress,
    /// What came while the client was waiting: the start of its next request.
    early: Option<u8>,
    /// When the client is no longer listened to, once all is written.
    end: Option<Pin<Box<Sleep>>>,
}

impl<IO> Client<IO> {
    pub(super) fn new(io: IO, progress: Progress) -> Self {
        Self { io, progress, early: None, end: None }
    }

    fn noted<T>(&self, moved: Poll<T>) -> Poll<T> {
        if moved.is_ready() {
            self.progress.made();
        }
        moved
    }
}

impl<IO: AsyncRead + Unpin> Client<IO> {
    /// Whether the client is still there, and wakes up once it is not.
    fn look(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.early.is_some() {
            return Ok(());
        }
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        match Pin::new(&mut self.io).poll_read(context, &mut buffer) {
            Poll::Pending => Ok(()),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) => {
                self.early = buffer.filled().first().copied();
                self.early.map(drop).ok_or_else(|| io::ErrorKind::ConnectionAborted.into())
            }
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Client<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(byte) = self.early.take() {
            buffer.put_slice(&[byte]);
            return self.noted(Poll::Ready(Ok(())));
        }
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        self.noted(read)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Client<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.noted(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.noted(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    /// hyper comes here whenever it is woken and has nothing left to write. While it has a request answered, it does not
    /// read.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.progress.is_written();
        if self.progress.is_waiting() {
            self.look(context)?;
        }
        Pin::new(&mut self.io).poll_flush(context)
    }

    /// Says that nothing more comes, and listens until the client does: a connection that is closed with
    /// bytes unread is reset, and the reset may overtake the answer that says why.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { io, end, .. } = &mut *self;
        let end = if let Some(end) = end {
            end
        } else {
            ready!(Pin::new(&mut *io).poll_shutdown(context))?;
            end.insert(Box::pin(sleep(CLOSING_TIME)))
        };
        let mut bytes = [0; 1024];
        while end.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut *io).poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}
