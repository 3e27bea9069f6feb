//! On `impl`, `trait` and `mod`: every function in it, by the block's arguments and its own.

use crate::{counted, run};
use obs_runtime::{Label, observe};
use obs_tests::recorder;

#[derive(Debug, Label)]
enum StoreError {
    Full,
}

struct Store {
    items: Vec<u32>,
}

#[observe(err(kind = StoreError), ok(level = "info"))]
impl Store {
    const LIMIT: usize = 2;

    const fn new() -> Result<Self, StoreError> {
        Ok(Self { items: Vec::new() })
    }

    fn add(&mut self, item: u32) -> Result<(), StoreError> {
        if self.items.len() >= Self::LIMIT {
            return Err(StoreError::Full);
        }
        self.items.push(item);
        Ok(())
    }

    #[observe(name = "store::first", err(level = "warn"))]
    async fn first(&self) -> Result<u32, std::fmt::Error> {
        self.items.first().copied().ok_or(std::fmt::Error)
    }

    #[observe(skip)]
    fn len(&self) -> usize {
        self.items.len()
    }
}

#[observe]
trait Greets {
    type Name: std::fmt::Display;

    fn name(&self) -> Self::Name;

    fn greet(&self) -> String {
        format!("Hello, {}", self.name())
    }

    async fn greet_later(&self) -> String {
        self.greet()
    }
}

#[observe(name = "renamed")]
impl Greets for Store {
    type Name = &'static str;

    fn name(&self) -> &'static str {
        "store"
    }
}

#[observe]
mod module {
    //! Documented inside.

    pub(super) fn outside(n: u32) -> u32 {
        inside::add(n)
    }

    #[observe(skip)]
    pub(super) fn skipped() {}

    pub(super) struct Inside<T>(pub(super) T);

    impl<T: Clone> Inside<T> {
        pub(super) fn get(&self) -> Result<T, ()> {
            Ok(self.0.clone())
        }
    }

    #[observe(skip)]
    impl Inside<()> {
        pub(super) fn not_observed(&self) {}
    }

    mod inside {
        pub(super) fn add(n: u32) -> u32 {
            n + MORE
        }

        const MORE: u32 = 1;
    }
}

#[test]
fn blocks_of_every_shape() {
    let recorder = recorder();
    let mut store = Store::new().expect("const");
    assert!(run(store.first()).is_err());
    assert!(store.add(1).is_ok() && store.add(2).is_ok() && store.add(3).is_err());
    assert_eq!(
        (store.len(), store.greet(), run(store.greet_later())),
        (2, "Hello, store".into(), "Hello, store".into())
    );
    assert_eq!((module::outside(1), module::Inside(7).get()), (2, Ok(7)));
    module::skipped();
    module::Inside(()).not_observed();

    counted("blocks::Greets::greet", "ok", 2);
    counted("blocks::module::inside::add", "ok", 1);
    counted("blocks::module::Inside::get", "ok", 1);
    let calls = |labels: &[(&str, &str)]| recorder.samples("function_calls_total", labels).len();
    assert_eq!(calls(&[("function", "shapes::blocks::Store::add"), ("error", "full")]), 1);
    assert_eq!(calls(&[("function", "store::first"), ("outcome", "error")]), 1);
    assert_eq!(calls(&[("function", "renamed::name")]), 2, "ok and panic");
    for left_out in ["Store::len", "Store::new", "module::skipped", "module::Inside::not_observed"] {
        assert_eq!(calls(&[("function", &format!("shapes::blocks::{left_out}"))]), 0, "{left_out}");
    }
    let line = &recorder.lines("shapes::blocks::Store::add")[0];
    assert_eq!(line["level"], "INFO", "as the block has it");
    let line = &recorder.lines("store::first")[0];
    assert_eq!(line["level"], "WARN", "as its own has it");
}
