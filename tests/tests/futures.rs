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
