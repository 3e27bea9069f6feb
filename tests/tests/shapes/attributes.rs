//! Attributes: what the function has besides ours stays in force.

use crate::{counted, run};
use obs_runtime::observe;
use obs_tests::recorder;
use std::panic::Location;

#[observe]
#[track_caller]
fn who_asks() -> &'static Location<'static> {
    Location::caller()
}

#[track_caller]
#[observe]
fn who_asks_and_may_fail(fail: bool) -> Result<u32, String> {
    let line = Location::caller().line();
    if fail {
        return Err("early".into());
    }
    let parsed: u32 = line.to_string().parse().map_err(|_| "no number")?;
    Ok(parsed)
}

#[track_caller]
#[observe]
fn fails_with_a_question_mark() -> Result<u32, std::num::ParseIntError> {
    let number: u32 = "x".parse()?;
    Ok(number)
}

#[track_caller]
#[observe]
fn unwraps(option: Option<u32>) -> u32 {
    option.unwrap()
}

/// Documented.
#[observe]
#[inline(always)]
#[must_use = "it is all it does"]
fn must_be_used() -> Result<u32, ()> {
    Ok(1)
}

#[observe]
#[cold]
#[deprecated = "for the test"]
fn old() {}

#[observe]
#[cfg(not(test))]
fn not_there() {
    compile_error!("not compiled");
}

#[observe]
#[cfg_attr(test, allow(unused_variables))]
fn allowed(unused: u32) {}

#[test]
fn attributes_of_every_shape() {
    let recorder = recorder();
    assert_eq!(who_asks().line(), line!());
    assert_eq!(who_asks_and_may_fail(false), Ok(line!()));
    assert!(who_asks_and_may_fail(true).is_err());
    assert!(fails_with_a_question_mark().is_err());
    assert_eq!((unwraps(Some(1)), must_be_used()), (1, Ok(1)));
    #[allow(deprecated)]
    old();
    allowed(1);
    counted("attributes::who_asks", "ok", 1);
    counted("attributes::fails_with_a_question_mark", "error", 1);
    let lines = recorder.lines("shapes::attributes::who_asks_and_may_fail");
    assert!(lines.iter().any(|line| line["outcome"] == "error" && line["error"] == "early"), "{lines:?}");
}

#[test]
fn a_panic_keeps_its_place() {
    recorder();
    let first = line!();
    #[observe]
    fn panics() -> Result<u32, ()> {
        panic!("here")
    }
    #[observe]
    async fn panics_in_a_future() -> u32 {
        panic!("here")
    }
    let last = line!();
    static PLACES: std::sync::Mutex<Vec<u32>> = std::sync::Mutex::new(Vec::new());
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let place = info.location().filter(|place| place.file() == file!());
        PLACES.lock().expect("no panic").extend(place.map(Location::line));
        before(info);
    }));
    std::panic::catch_unwind(|| panics()).unwrap_err();
    std::panic::catch_unwind(|| run(panics_in_a_future())).unwrap_err();
    std::panic::catch_unwind(|| unwraps(None)).unwrap_err();
    let called = line!() - 1;
    let places = PLACES.lock().expect("no panic").clone();
    assert_eq!(places.iter().filter(|place| (first..last).contains(place)).count(), 2, "{places:?}");
    assert!(places.contains(&called), "{called} is not among {places:?}");
}
