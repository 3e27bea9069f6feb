//! Locks in the profile `mutex`, below the observed functions that wait for them.

use obs_runtime::observe;
use obs_runtime::profile::mutex;
use obs_runtime::sync::Mutex;
use obs_tests::recorder;
use std::time::Duration;

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
