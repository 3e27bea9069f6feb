//! A stream that an observed function returned: counted and timed to its end.

use super::ended::Details;
use super::{Call, End};
use crate::outcome::Verdict;
use crate::trace::{Attribute, SpanError};
use futures_core::Stream;
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll};

pin_project! {
    /// The stream of [`Call::stream`]. The last item says whether it failed; one that is dropped before its end
    /// was cancelled.
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct Streamed<S, F> {
        // Taken when it is dropped: what it drops may have something to say.
        #[pin]
        stream: Option<S>,
        flow: Flow,
        verdict: F,
    }

    impl<S, F> PinnedDrop for Streamed<S, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let flow = this.flow;
            flow.call.make(|| this.stream.set(None));
            if let Some(end) = flow.call.dropped() {
                flow.end(end);
            }
        }
    }
}

/// What has become of the call so far.
#[derive(Debug)]
struct Flow {
    call: Call,
    items: u64,
    /// What was wrong with the last item.
    failed: Option<SpanError>,
}

impl Flow {
    fn note(&mut self, verdict: &Verdict<'_>) {
        self.items += 1;
        self.failed = match verdict {
            Verdict::Ok => None,
            Verdict::Error { error, type_name, .. } => {
                Some(SpanError { kind: None, text: error.text(), exception: Some(type_name) })
            }
        };
    }

    fn end(&mut self, end: End<'_>) {
        let items = i64::try_from(self.items).unwrap_or(i64::MAX);
        let mut details =
            Details { counted: Some(("items", Attribute::Number(items))), ..Details::default() };
        self.call.end(end, Some(&mut details));
    }
}

impl<S, F> Streamed<S, F> {
    pub(super) fn new(call: Call, stream: S, verdict: F) -> Self {
        Self { stream: Some(stream), flow: Flow { call, items: 0, failed: None }, verdict }
    }
}

impl<S: Stream, F: Fn(&S::Item) -> Verdict<'_>> Stream for Streamed<S, F> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        let Some(stream) = this.stream.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let polled = this.flow.call.make(|| stream.poll_next(cx));
        match &polled {
            Poll::Pending => {}
            Poll::Ready(Some(item)) => this.flow.note(&(this.verdict)(item)),
            Poll::Ready(None) => {
                let failed = this.flow.failed.take();
                let end = failed.as_ref().map_or(End::Ok, |failed| End::Error {
                    kind: 0,
                    error: crate::outcome::ErrorRef::Text(&failed.text),
                    type_name: failed.exception.unwrap_or_default(),
                });
                this.flow.end(end);
            }
        }
        polled
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.as_ref().map_or((0, Some(0)), Stream::size_hint)
    }
}
