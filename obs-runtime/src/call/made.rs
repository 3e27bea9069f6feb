//! A future that an observed function returned: timed to its end.

use super::{Call, Running};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll};

pin_project! {
    /// The future of [`Call::future`]: as the one inside, which is kept until this one is dropped.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Made<F, L> {
        // Before the call, so that it is dropped before that ends.
        #[pin]
        future: F,
        call: Call,
        leave: L,
    }
}

impl<F, L> Made<F, L> {
    pub(super) fn new(call: Call, future: F, leave: L) -> Self {
        Self { future, call, leave }
    }
}

impl<F: Future, L: FnMut(&mut Call, &F::Output)> Future for Made<F, L> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let polled = Running::poll_inside(this.call, this.future, cx);
        if let Poll::Ready(value) = &polled {
            (this.leave)(this.call, value);
        }
        polled
    }
}
