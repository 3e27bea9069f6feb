//! What is returned and goes on: futures and streams, timed to their end.

use crate::{counted, is_send, run};
use futures_util::{Stream, StreamExt, stream};
use obs_runtime::observe;
use obs_tests::recorder;
use std::future::Future;
use std::pin::Pin;

#[observe]
fn opaque<'a>(text: &'a str) -> impl Future<Output = Result<usize, String>> + Send + 'a {
    async move { if text.is_empty() { Err("empty".into()) } else { Ok(text.len()) } }
}

#[observe]
fn boxed(text: &str) -> Pin<Box<dyn Future<Output = usize> + Send + '_>> {
    if text.is_empty() {
        return Box::pin(std::future::ready(0));
    }
    Box::pin(async move { text.len() })
}

#[observe]
fn by_alias(text: &str) -> futures_util::future::BoxFuture<'_, Result<usize, ()>> {
    Box::pin(async move { Ok(text.len()) })
}

#[observe]
fn of_what_it_borrows<'a>(text: &'a str) -> futures_util::future::BoxFuture<'static, Result<(), &'a str>> {
    assert!(text.len() < 9);
    Box::pin(async { Ok(()) })
}

/// Not what everybody means by that name.
type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

#[observe]
fn by_an_alias_of_ones_own(text: &str) -> BoxFuture<'_, usize> {
    Box::pin(async move { Ok(text.len()) })
}

mod own {
    pub trait Stream {
        fn is_one(&self) -> bool {
            false
        }
    }
    impl Stream for u8 {}
}

#[observe]
fn of_a_trait_of_ones_own() -> impl own::Stream {
    1_u8
}

#[observe]
fn unwind_safe() -> Pin<Box<dyn Future<Output = u8> + Send + std::panic::UnwindSafe>> {
    Box::pin(std::future::ready(1))
}

#[observe]
fn unpin() -> impl Future<Output = u8> + Unpin {
    std::future::ready(1)
}

#[observe]
fn unpin_by_leaking() -> impl Future<Output = u8> {
    std::future::ready(1)
}

fn is_unpin<T: Unpin>(value: T) -> T {
    value
}

#[observe]
fn counts(to: u32) -> impl Stream<Item = u32> + Send {
    stream::iter(0..to)
}

#[observe]
fn breaks(at: u32) -> Pin<Box<dyn Stream<Item = Result<u32, String>> + Send>> {
    Box::pin(stream::iter(0..=at).map(move |n| if n == at { Err("broken".into()) } else { Ok(n) }))
}

#[observe]
fn unending() -> futures_util::stream::BoxStream<'static, u32> {
    stream::repeat(1).boxed()
}

#[test]
fn what_is_returned_is_timed_to_its_end() {
    let recorder = recorder();
    assert_eq!(run(is_send(opaque("ab"))), Ok(2));
    drop(opaque("never polled"));
    assert!(run(boxed("")) == 0 && run(by_alias("a")) == Ok(1));
    assert!(run(of_what_it_borrows("a")).is_ok());
    assert_eq!(run(by_an_alias_of_ones_own("a")), Ok(1));
    assert!(!own::Stream::is_one(&of_a_trait_of_ones_own()));
    assert_eq!((run(unwind_safe()), run(is_unpin(unpin())), run(is_unpin(unpin_by_leaking()))), (1, 1, 1));
    let items: Vec<u32> = run(is_send(counts(3)).collect());
    assert_eq!((items, counts(2).size_hint()), (vec![0, 1, 2], (2, Some(2))));
    assert_eq!(run(is_send(breaks(2)).collect::<Vec<_>>()).len(), 3);
    assert_eq!(run(unending().take(5).collect::<Vec<_>>()).len(), 5);

    let samples = |function: &str, outcome: &str| {
        let function = format!("shapes::returned::{function}");
        let samples =
            recorder.samples("function_calls_total", &[("function", &function), ("outcome", outcome)]);
        samples.iter().map(|(_, value)| *value).sum::<f64>()
    };
    assert_eq!((samples("opaque", "ok"), samples("opaque", "cancelled")), (1.0, 1.0));
    assert_eq!((samples("counts", "ok"), samples("counts", "cancelled")), (1.0, 1.0));
    counted("returned::unending", "cancelled", 1);
    counted("returned::breaks", "error", 1);
    let line = &recorder.lines("shapes::returned::breaks")[0];
    assert_eq!((&line["items"], &line["error"]), (&3.into(), &"broken".into()));
    let lines = recorder.lines("shapes::returned::counts");
    assert!(lines.iter().any(|line| line["items"] == 3 && line["outcome"] == "ok"), "{lines:?}");
}
