//! Tests of processes of their own: one that fails there fails here, and so does one that is not run there.

use obs_tests::{here, process};

#[test]
#[should_panic(expected = "on purpose")]
fn a_failure_is_shown() {
    let Some(_inside) = process::alone(here!()) else { return };
    panic!("on purpose");
}

#[test]
#[should_panic(expected = "0 passed")]
fn no_test_of_that_name_is_a_failure() {
    let _ = process::alone(format!("{}_any_more", here!()));
}

#[test]
#[should_panic(expected = "0 passed")]
fn no_test_in_a_module_of_that_name_is_a_failure() {
    let _ = process::together(format!("no_such_module::{}", here!()));
}
