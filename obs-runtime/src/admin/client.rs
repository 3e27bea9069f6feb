//! A client's connection, which waits for the client only so long.

use super::refusal::Refusal;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// How long a connection may be without a byte read or written.
pub(super) const STILL_TIME: Duration = Duration::from_secs(30);
/// How long a client is listened to after the last answer.
const CLOSING_TIME: Duration = Duration::from_secs(2);

/// When something was last read or written, and whether the client waits for us.
#[derive(Clone)]
pub(super) struct Progress(Arc<State>);

struct State {
    moved: Mutex<Instant>,
    answering: AtomicBool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self(Arc::new(State { moved: Mutex::new(Instant::now()), answering: AtomicBool::new(false) }))
    }

    fn made(&self) {
        *self.0.moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request is being answered, or that is over.
    pub(super) fn answering(&self, answering: bool) {
        self.0.answering.store(answering, Ordering::Relaxed);
    }

    /// Since when the client has had nothing to wait for.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (!self.0.answering.load(Ordering::Relaxed)).then(|| self.last())
    }

    /// Drives a connection until it ends, or gives it up once it has been still for too long: whatever
    /// it waits for, be it that the client does not read.
    pub(super) async fn watch<F: Future>(self, connection: F) -> Option<F::Output> {
        let still = async {
            loop {
                let end = self.last() + STILL_TIME;
                if end <= Instant::now() {
                    break;
                }
                sleep_until(end).await;
            }
        };
        let (mut connection, mut still) = (pin!(connection), pin!(still));
        poll_fn(|context| {
            if let Poll::Ready(ended) = connection.as_mut().poll(context) {
                return Poll::Ready(Some(ended));
            }
            ready!(still.as_mut().poll(context));
            Refusal::Unread.count();
            Poll::Ready(None)
        })
        .await
    }
}

pub(super) struct Client<IO> {
    io: IO,
    progress: Progress,
    /// When the client is no longer listened to, once all is written.
    end: Option<Pin<Box<Sleep>>>,
}

impl<IO> Client<IO> {
    pub(super) fn new(io: IO, progress: Progress) -> Self {
        Self { io, progress, end: None }
    }

    fn noted<T>(&self, moved: Poll<T>) -> Poll<T> {
        if moved.is_ready() {
            self.progress.made();
        }
        moved
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Client<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
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

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
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
