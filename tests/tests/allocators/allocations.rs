//! A call that is only counted allocates nothing, whatever its labels and outcome.

use crate::Allocator;
use obs_runtime::{Bounded, Label, observe, sync};
use obs_tests::{here, process, recorder};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local!(static ALLOCATIONS: Cell<u64> = const { Cell::new(0) });

pub(crate) struct Counting;

// SAFETY: every call is handed on to the system's allocator as it is; counting touches a plain cell.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System.alloc` above, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn allocations(run: impl Fn()) -> u64 {
    // The first calls make the thread's cells.
    run();
    let before = ALLOCATIONS.get();
    for _ in 0..1_000 {
        run();
    }
    ALLOCATIONS.get() - before
}

#[derive(Clone, Copy, Debug, Label)]
enum Method {
    Card,
    Bank,
}

#[derive(Clone, Copy, Debug, Label)]
enum Failure {
    Declined,
}

struct Tenant;

#[observe(no_span, no_log, labels(method, tenant: Bounded<Tenant, 4> = tenant.into()), err(kind = Failure))]
fn counted(method: Method, tenant: &str, fail: bool) -> Result<u32, Failure> {
    if fail { Err(Failure::Declined) } else { Ok(u32::from(tenant.is_empty())) }
}

#[observe(no_span, no_log, labels(method))]
async fn counted_async(method: Method) -> Method {
    method
}

#[observe(fields(amount))]
fn with_span(amount: u64) -> u64 {
    amount
}

#[test]
fn the_metrics_path_does_not_allocate() {
    let Some(_inside) = process::alone(here!()) else { return };
    Allocator::Counting.choose();
    let _recorder = recorder();
    let sync = allocations(|| {
        let _ = counted(Method::Card, "acme", false);
        let _ = counted(Method::Bank, "somebody else", true);
    });
    assert_eq!(sync, 0);
    let future = allocations(|| {
        let waker = std::task::Waker::noop();
        let future = std::pin::pin!(counted_async(Method::Bank));
        assert!(future.poll(&mut std::task::Context::from_waker(waker)).is_ready());
    });
    assert_eq!(future, 0);
    // The allocator does count: a span that is exported owns its fields.
    assert!(allocations(|| assert_eq!(with_span(1), 1)) > 0);
}

#[test]
fn locks_that_are_free_do_not_allocate() {
    let Some(_inside) = process::alone(here!()) else { return };
    Allocator::Counting.choose();
    let _recorder = recorder();
    let (lock, later) = (sync::Mutex::new(0), sync::tokio::Mutex::new(0));
    let locked = allocations(|| {
        *lock.lock() += 1;
        *later.try_lock().expect("it is free") += 1;
    });
    assert_eq!(locked, 0);
}
