//! Locks in the profile `mutex`, below the observed functions that wait for them, at no allocation where nobody waits.
#![allow(unsafe_code, reason = "an allocator is unsafe to implement; this one only counts")]

use obs_runtime::observe;
use obs_runtime::profile::mutex;
use obs_runtime::sync::{Mutex, tokio as later};
use obs_tests::recorder;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

thread_local!(static ALLOCATIONS: Cell<u64> = const { Cell::new(0) });

struct Counting;

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

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static ORDERS: Mutex<u64> = Mutex::named("orders", 0);

#[observe]
fn outer_waits_for_orders() {
    inner_waits_for_orders();
}

#[observe]
fn inner_waits_for_orders() {
    assert!(ORDERS.try_lock_for(Duration::from_millis(5)).is_none());
}

#[test]
fn a_wait_is_below_the_observed_functions_that_it_is_in() {
    recorder();
    let guard = ORDERS.lock();
    outer_waits_for_orders();
    drop(guard);
    let profile = mutex();
    let rows = profile.rows();
    let waits: Vec<_> =
        rows.iter().filter(|(stack, values)| stack[0] == "lock orders" && values[2] > 0).collect();
    let [(stack, values)] = &*waits else { panic!("{rows:?}") };
    assert!(
        stack[1].ends_with("inner_waits_for_orders") && stack[2].ends_with("outer_waits_for_orders"),
        "{stack:?}"
    );
    assert!(values[2] == 1 && values[3] >= 5_000_000, "{values:?}");
}

#[test]
fn locks_that_are_free_allocate_nothing() {
    recorder();
    let (lock, later) = (Mutex::new(0), later::Mutex::new(0));
    let before = ALLOCATIONS.get();
    for _ in 0..1_000 {
        *lock.lock() += 1;
        *later.try_lock().expect("it is free") += 1;
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
}
