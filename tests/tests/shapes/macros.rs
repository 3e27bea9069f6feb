//! Functions made by `macro_rules!`, and other attribute macros above and below ours.

use crate::{counted, run};
use obs_runtime::observe;
use obs_tests::recorder;

macro_rules! function {
    ($(#[$attribute:meta])* $vis:vis fn $name:ident($($parameter:ident: $ty:ty),*) -> $ret:ty $body:block) => {
        $(#[$attribute])* #[observe] $vis fn $name($($parameter: $ty),*) -> $ret $body
    };
}

function! {
    /// Documented.
    pub(crate) fn made(a: u32, b: Result<u32, ()>) -> Result<u32, ()> { Ok(a + b?) }
}
function!(
    fn made_infallible(a: u32) -> u32 {
        a
    }
);

macro_rules! methods {
    ($ty:ident: $($name:ident = $value:expr),*) => {
        struct $ty;
        impl $ty {
            $(
                #[observe]
                async fn $name(&self) -> Result<u32, String> {
                    Ok($value)
                }
            )*
        }
    };
}

methods!(Made: one = 1, two = 2);

macro_rules! bail {
    ($text:literal) => {
        return Err($text.into())
    };
}

#[observe]
fn bails(when: bool) -> Result<u32, String> {
    if when {
        bail!("bailed");
    }
    Ok(1)
}

#[async_trait::async_trait]
trait Service {
    async fn call(&self, n: u32) -> Result<u32, String>;

    #[observe]
    async fn default(&self, n: u32) -> Result<u32, String> {
        self.call(n).await
    }
}

struct Below;
struct Above;

#[async_trait::async_trait]
impl Service for Below {
    #[observe]
    async fn call(&self, n: u32) -> Result<u32, String> {
        tokio::task::yield_now().await;
        if n > 5 { Err("too many".into()) } else { Ok(n) }
    }
}

#[observe]
#[async_trait::async_trait]
impl Service for Above {
    async fn call(&self, n: u32) -> Result<u32, String> {
        tokio::task::yield_now().await;
        Ok(n)
    }
}

#[observe]
#[async_recursion::async_recursion]
async fn above_recursion(n: u32) -> Result<u32, ()> {
    if n == 0 { Ok(0) } else { Ok(above_recursion(n - 1).await? + 1) }
}

#[async_recursion::async_recursion]
#[observe]
async fn below_recursion(n: u32) -> Result<u32, ()> {
    if n == 0 { Ok(0) } else { Ok(below_recursion(n - 1).await? + 1) }
}

#[observe]
#[culpa::throws(String)]
fn above_throws(n: u32) -> u32 {
    if n > 5 {
        culpa::throw!("too many".to_owned());
    }
    n
}

#[culpa::throws(String)]
#[observe]
fn below_throws(n: u32) -> u32 {
    if n > 5 {
        culpa::throw!("too many".to_owned());
    }
    n
}

#[observe(labels(large: bool = n > 100))]
#[axum::debug_handler]
async fn handler(axum::extract::Path(n): axum::extract::Path<u32>) -> Result<String, String> {
    Ok(n.to_string())
}

#[axum::debug_handler]
#[observe]
async fn handler_below(axum::extract::Path(n): axum::extract::Path<u32>) -> Result<String, String> {
    Ok(n.to_string())
}

#[tracing::instrument(skip_all)]
#[observe]
async fn instrumented(n: u32) -> Result<u32, String> {
    Ok(n)
}

#[observe]
#[tokio::test]
async fn above_a_test() -> Result<(), String> {
    tokio::task::yield_now().await;
    Ok(())
}

#[tokio::test]
#[observe]
async fn below_a_test() -> Result<(), String> {
    tokio::task::yield_now().await;
    Ok(())
}

#[tokio::test]
async fn macros_of_every_shape() {
    recorder();
    assert_eq!((made(1, Ok(2)), made_infallible(3)), (Ok(3), 3));
    assert_eq!((Made.one().await, Made.two().await), (Ok(1), Ok(2)));
    assert!(bails(true).is_err() && bails(false).is_ok());
    assert_eq!((Below.default(1).await, Above.default(2).await), (Ok(1), Ok(2)));
    assert!(Below.call(6).await.is_err());
    assert_eq!((above_recursion(3).await, below_recursion(3).await), (Ok(3), Ok(3)));
    assert!(above_throws(6).is_err() && above_throws(1).is_ok());
    assert!(below_throws(6).is_err() && below_throws(1).is_ok());
    assert_eq!(handler(axum::extract::Path(1)).await, handler_below(axum::extract::Path(1)).await);
    assert_eq!(instrumented(1).await, Ok(1));
    counted("macros::above_recursion", "ok", 4);
    counted("macros::below_recursion", "ok", 4);
    counted("macros::Above::call", "ok", 1);
    counted("macros::made", "ok", 1);
    let _: () = run(async {});
}
