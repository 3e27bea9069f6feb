//! Checks that the attribute declares, put together by the linker.

use super::registry::Routine;
use super::{CheckResult, Spec};
use std::pin::Pin;

/// All functions of the program with the attribute.
#[doc(hidden)]
#[linkme::distributed_slice]
pub static CHECKS: [Declared];

/// What a run of a check comes to.
pub(super) type Running = Pin<Box<dyn Future<Output = super::state::RunResult>>>;

/// A function with the attribute.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Declared {
    pub(super) spec: Spec,
    run: fn() -> Running,
}

impl Declared {
    /// Used by the `health_check!` macro.
    #[must_use]
    pub const fn new(spec: Spec, run: fn() -> Running) -> Self {
        Self { spec, run }
    }

    pub(super) fn routine(&self) -> Routine {
        Box::new(self.run)
    }
}

/// A run of a check, whatever that returns.
#[doc(hidden)]
pub fn run<F>(check: F) -> Running
where
    F: Future<Output: CheckResult> + 'static,
{
    Box::pin(async move { check.await.into_result() })
}

/// Puts a function among the [`CHECKS`].
#[doc(hidden)]
#[macro_export]
macro_rules! __obs_health_check {
    ($spec:expr, $check:expr) => {
        #[$crate::__private::linkme::distributed_slice($crate::__private::CHECKS)]
        #[linkme(crate = $crate::__private::linkme)]
        static CHECK: $crate::__private::DeclaredCheck =
            $crate::__private::DeclaredCheck::new($spec, || $crate::__private::run_check($check));
    };
}
