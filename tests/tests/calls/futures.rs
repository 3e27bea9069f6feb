//! Functions that are not `async` but return a future: they are timed to its end, not to its making.

use obs_runtime::observe;
use obs_tests::recorder;
use std::pin::Pin;

#[observe(fields(id))]
fn returns_a_box(id: u64) -> Pin<Box<dyn Future<Output = Result<u64, String>> + Send>> {
    Box::pin(async move {
        tokio::task::yield_now().await;
        tracing::info!("inside");
        Err(format!("no {id}"))
    })
}

#[observe]
fn returns_opaque(fail: bool) -> impl Future<Output = Result<u64, String>> {
    async move {
        tokio::task::yield_now().await;
        if fail { Err("failed".to_owned()) } else { Ok(1) }
    }
}

/// What `#[async_trait]` makes of `async fn find(&self, id: &str) -> Result<u64, String>`.
trait Repository {
    fn find<'a: 'f, 'b: 'f, 'f>(
        &'a self,
        id: &'b str,
    ) -> Pin<Box<dyn Future<Output = Result<u64, String>> + Send + 'f>>
    where
        Self: 'f;
}

struct Memory {
    known: String,
}

impl Repository for Memory {
    #[observe(name = "memory::find", fields(id), err(level = "warn"))]
    fn find<'a: 'f, 'b: 'f, 'f>(
        &'a self,
        id: &'b str,
    ) -> Pin<Box<dyn Future<Output = Result<u64, String>> + Send + 'f>>
    where
        Self: 'f,
    {
        Box::pin(async move {
            tokio::task::yield_now().await;
            if id == self.known { Ok(1) } else { Err(format!("no {id}")) }
        })
    }
}

#[tokio::test]
async fn the_outcome_is_the_futures() {
    let recorder = recorder();
    returns_a_box(7).await.expect_err("failed");
    recorder.assert_one_call("returns_a_box", "error");
    let inside =
        recorder.lines("returns_a_box").into_iter().find(|line| line["msg"] == "inside").expect("a line");
    assert_eq!(inside["id"], 7);
    returns_opaque(true).await.expect_err("failed");
    recorder.assert_one_call("returns_opaque", "error");
    let memory = Memory { known: "a".to_owned() };
    tokio::spawn(async move { memory.find("b").await }).await.expect("no panic").expect_err("unknown");
    recorder.assert_one_call("memory::find", "error");
}

#[observe(fields(stage = "making"))]
fn has_a_part_before(fail: bool) -> impl Future<Output = ()> {
    before_the_future();
    assert!(!fail, "in the making");
    async { before_the_future() }
}

#[observe]
fn before_the_future() {
    tracing::info!("before");
}

#[observe]
fn may_be_moved() -> impl Future<Output = u8> + Unpin + Send {
    Box::pin(async { 1 })
}

#[tokio::test]
async fn what_makes_the_future_is_part_of_the_call() {
    let recorder = recorder();
    has_a_part_before(false).await;
    let parent = recorder.span("has_a_part_before").span_context.span_id();
    let below = recorder.spans("before_the_future");
    assert!(below.len() == 2 && below.iter().all(|span| span.parent_span_id == parent), "{below:#?}");
    std::panic::catch_unwind(|| drop(has_a_part_before(true))).expect_err("panicked");
    assert_eq!(recorder.calls("has_a_part_before", "panic"), 1.0);
    let mut future = may_be_moved();
    assert_eq!(std::pin::Pin::new(&mut future).await, 1);
    recorder.assert_one_call("may_be_moved", "ok");
}
