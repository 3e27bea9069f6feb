//! Methods: every receiver, `Self`, traits with defaults, `async fn` in traits.

use crate::{is_send, run};
use obs_runtime::observe;
use obs_tests::recorder;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq)]
struct Counter {
    count: u32,
    name: String,
}

impl Counter {
    #[observe]
    fn new(name: &str) -> Self {
        Self { count: 0, name: name.to_owned() }
    }

    #[observe]
    fn by_value(self) -> Result<String, Self> {
        if self.count > 5 { Err(self) } else { Ok(self.name) }
    }

    #[observe]
    fn mutable_by_value(mut self) -> Result<Self, ()> {
        self.count += 1;
        Ok(self)
    }

    #[observe]
    fn by_reference(&self) -> Result<&str, ()> {
        Ok(&self.name)
    }

    #[observe(fields(self.count))]
    fn by_mutable_reference(&mut self) -> Result<&mut Self, ()> {
        self.count += 1;
        Ok(self)
    }

    #[observe]
    fn boxed(self: Box<Self>) -> Result<u32, Box<Self>> {
        Ok(self.count)
    }

    #[observe]
    fn counted(self: &Rc<Self>) -> Rc<Self> {
        Rc::clone(self)
    }

    #[observe]
    fn shared(self: Arc<Self>) -> Result<Arc<Self>, ()> {
        Ok(self)
    }

    #[observe]
    fn pinned(mut self: Pin<&mut Self>) -> Result<u32, ()> {
        self.count += 1;
        Ok(self.count)
    }

    #[observe]
    async fn by_value_in_a_future(mut self) -> Result<Self, ()> {
        self.count += 1;
        std::future::ready(()).await;
        Ok(self)
    }

    #[observe]
    async fn by_reference_in_a_future(&self) -> &str {
        std::future::ready(()).await;
        &self.name
    }

    #[observe]
    async fn by_mutable_reference_in_a_future(&mut self) -> Result<&mut Self, ()> {
        self.count += 1;
        Ok(self)
    }

    #[observe]
    async fn shared_in_a_future(self: Arc<Self>) -> Arc<Self> {
        std::future::ready(()).await;
        self
    }
}

trait Speaks {
    const WORD: &'static str;

    #[observe]
    fn speak(&self) -> Result<String, ()> {
        Ok(format!("{} {}", Self::WORD, self.listen()))
    }

    fn listen(&self) -> u32;

    #[observe]
    async fn whisper(&self) -> String
    where
        Self: Sync,
    {
        std::future::ready(()).await;
        Self::WORD.to_lowercase()
    }

    fn shout(&self) -> impl Future<Output = Result<String, ()>> + Send;
}

impl Speaks for Counter {
    const WORD: &'static str = "HELLO";

    #[observe]
    fn listen(&self) -> u32 {
        self.count
    }

    #[observe]
    async fn shout(&self) -> Result<String, ()> {
        Ok(Self::WORD.to_uppercase())
    }
}

#[test]
fn receivers_of_every_shape() {
    recorder();
    let mut counter = Counter::new("c");
    assert_eq!(counter.clone().by_value(), Ok("c".into()));
    assert_eq!(counter.clone().mutable_by_value().unwrap().count, 1);
    assert_eq!(counter.by_reference(), Ok("c"));
    assert_eq!(counter.by_mutable_reference().unwrap().count, 1);
    assert_eq!(Box::new(counter.clone()).boxed(), Ok(1));
    assert_eq!(Rc::new(counter.clone()).counted().count, 1);
    assert_eq!(Arc::new(counter.clone()).shared().unwrap().count, 1);
    assert_eq!(Pin::new(&mut counter).pinned(), Ok(2));
    assert_eq!(run(is_send(counter.clone().by_value_in_a_future())).unwrap().count, 3);
    assert_eq!(run(is_send(counter.by_reference_in_a_future())), "c");
    assert_eq!(run(counter.by_mutable_reference_in_a_future()).unwrap().count, 3);
    assert_eq!(run(is_send(Arc::new(counter.clone()).shared_in_a_future())).count, 3);
    assert_eq!(counter.speak(), Ok("HELLO 3".into()));
    assert_eq!(run(counter.whisper()), "hello");
    assert_eq!(run(is_send(counter.shout())), Ok("HELLO".into()));
}
