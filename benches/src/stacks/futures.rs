//! The least of an executor.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Polls until the future is ready.
#[inline]
pub(super) fn poll_to_end<F: Future>(mut future: Pin<&mut F>) -> F::Output {
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

/// Waits once: is ready when polled again.
pub(super) fn wait_once() -> impl Future<Output = ()> {
    struct Once(bool);

    impl Future for Once {
        type Output = ();

        #[inline]
        fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
        }
    }

    Once(false)
}
