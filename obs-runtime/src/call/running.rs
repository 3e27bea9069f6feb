//! A future's body, polled inside its call's span.

use super::Call;
use super::live::{Live, Open, Progress};
use crate::context::{FrameKey, with_stack};
use crate::subscriber;
use pin_project_lite::pin_project;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};

pin_project! {
    /// The future of [`Call::run`].
    #[derive(Debug)]
    pub struct Running<'a, F> {
        call: &'a mut Call,
        #[pin]
        future: F,
    }
}

impl<'a, F> Running<'a, F> {
    #[inline]
    pub(super) fn new(call: &'a mut Call, future: F) -> Self {
        Self { call, future }
    }
}

impl<F: Future> Future for Running<'_, F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        Self::poll_inside(this.call, this.future, cx)
    }
}

/// A call's state is its own, whatever a panic has left of the body's.
impl<F: UnwindSafe> UnwindSafe for Running<'_, F> {}
impl<F: RefUnwindSafe> RefUnwindSafe for Running<'_, F> {}

impl<F: Future> Running<'_, F> {
    /// Polls a future inside the call's span.
    #[inline]
    pub(super) fn poll_inside(call: &mut Call, future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Some(live) = &mut *call.0 else { return future.poll(cx) };
        live.progress = Progress::Polling;
        let entered = Entered::new(live);
        let poll = entered.live.is_polled();
        let polled = future.poll(cx);
        if polled.is_pending() {
            entered.live.has_to_wait(&poll);
        }
        drop(entered);
        if polled.is_pending() {
            live.progress = Progress::Begun;
            live.lift();
        }
        polled
    }
}

/// The call's span is entered until this is dropped, by a panic too.
pub(super) struct Entered<'a> {
    live: &'a mut Live,
    frame: Option<FrameKey>,
}

impl<'a> Entered<'a> {
    pub(super) fn new(live: &'a mut Live) -> Self {
        // In the first poll, which often is the last, it is entered already.
        let frame = if live.is_elsewhere() { enter(live) } else { None };
        Self { live, frame }
    }

    /// Says that the call is on this thread.
    pub(super) fn is_here(&mut self) {
        self.live.is_here();
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if self.live.is_elsewhere() {
            exit(self.live, self.frame);
        }
    }
}

/// Enters the span of a call that has waited, or that is not ours.
#[inline(never)]
fn enter(live: &mut Live) -> Option<FrameKey> {
    match &mut live.span {
        Open::Own(span) => {
            if let Some(recorded) = span.id.and_then(subscriber::recorded) {
                span.set(&recorded);
            }
            let frame = with_stack(|stack| stack.enter_poll(span));
            live.beside.iter_mut().for_each(|beside| beside.enter());
            frame
        }
        Open::Foreign(foreign) => {
            foreign.enter();
            None
        }
        Open::Nowhere | Open::Frame(_) => None,
    }
}

/// Leaves it.
#[inline(never)]
fn exit(live: &mut Live, frame: Option<FrameKey>) {
    match &mut live.span {
        Open::Own(span) => {
            live.beside.iter_mut().for_each(|beside| beside.exit());
            if let Some(frame) = frame {
                with_stack(|stack| stack.leave_poll(frame, span));
            }
        }
        Open::Foreign(foreign) => foreign.exit(),
        Open::Nowhere | Open::Frame(_) => {}
    }
}
