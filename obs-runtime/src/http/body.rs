//! A response's body that says when it has been read to its end.

use super::exchange::Exchange;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::fmt::Display;
use std::pin::Pin;
use std::task::{Context, Poll};

pin_project! {
    /// The body of an observed response: as the one inside, whose end is the end of the request's span.
    #[derive(Debug)]
    pub struct ObservedBody<B: Body> {
        // Taken when it is dropped: what it drops may have something to say.
        #[pin]
        body: Option<B>,
        exchange: Ending,
        // How many bytes have been announced that have not come yet.
        left: Option<u64>,
    }

    impl<B: Body> PinnedDrop for ObservedBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let Some(exchange) = &mut this.exchange.0 else { return };
            // One that has panicked is not asked again.
            if !std::thread::panicking() {
                // A client that has its answer need not read all of it; who writes to a client that is
                // gone has not sent all of it.
                let ended = this.body.as_ref().get_ref().as_ref().is_none_or(Body::is_end_stream);
                if !exchange.is_server() || ended {
                    return this.exchange.complete();
                }
            }
            exchange.inside(|| this.body.set(None));
        }
    }
}

/// The exchange until it has ended.
#[derive(Debug)]
struct Ending(Option<Exchange>);

impl Ending {
    fn complete(&mut self) {
        if let Some(exchange) = self.0.take() {
            exchange.complete();
        }
    }
}

impl<B: Body> ObservedBody<B> {
    /// The body of a response whose head is there.
    pub(super) fn new(body: B, exchange: Option<Exchange>, announced: Option<u64>) -> Self {
        let mut exchange = Ending(exchange);
        // Whoever sends it stops there, and does not ask for the end.
        let left = announced.or_else(|| body.size_hint().exact());
        if body.is_end_stream() || left == Some(0) {
            exchange.complete();
        }
        Self { body: Some(body), exchange, left }
    }
}

impl<B> Body for ObservedBody<B>
where
    B: Body,
    B::Error: Display,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        let Some(mut body) = this.body.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let Some(exchange) = &mut this.exchange.0 else { return body.poll_frame(cx) };
        let polled = exchange.inside(|| body.as_mut().poll_frame(cx));
        match &polled {
            Poll::Pending => {}
            Poll::Ready(None) => this.exchange.complete(),
            Poll::Ready(Some(Err(error))) => {
                if let Some(exchange) = this.exchange.0.take() {
                    exchange.fail(error);
                }
            }
            Poll::Ready(Some(Ok(frame))) => {
                if let (Some(left), Some(data)) = (this.left.as_mut(), frame.data_ref()) {
                    *left = left.saturating_sub(bytes::Buf::remaining(data) as u64);
                }
                // Nobody need ask again for what is known to be all.
                if body.is_end_stream() || *this.left == Some(0) {
                    this.exchange.complete();
                }
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}
