//! A future that takes a context along.

use super::Context;
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{self, Poll};

pin_project! {
    /// The future of [`Context::scope`]: polled, and dropped, inside the context.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct InContext<F> {
        context: Context,
        // Taken when it ends or is dropped: what it drops may have something to say.
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for InContext<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                let _inside = this.context.enter();
                this.future.set(None);
            }
        }
    }
}

impl<F> InContext<F> {
    pub(super) fn new(context: Context, future: F) -> Self {
        Self { context, future: Some(future) }
    }
}

impl<F: Future> Future for InContext<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let _inside = this.context.enter();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            panic!("a future was polled after it had ended");
        };
        let polled = future.poll(cx);
        if polled.is_ready() {
            this.future.set(None);
        }
        polled
    }
}
