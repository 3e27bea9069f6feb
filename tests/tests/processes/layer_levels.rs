//! Log levels that change in a stack of the application's own: what the layer says follows, and what it keeps.

use obs_runtime::{Context, log_level, observe};
use obs_tests::{DEADLINE, Lines, here, process};
use std::sync::Mutex;
use tracing::Level;
use tracing_subscriber::prelude::*;

#[observe]
fn works() -> Result<(), String> {
    Ok(())
}

#[test]
fn the_layer_says_and_keeps_what_the_level_lets_through() {
    let Some(_inside) = process::alone(here!()) else { return };
    let (theirs, ours) = (Lines::default(), Lines::default());
    let fmt = tracing_subscriber::fmt::layer().json().with_writer(Mutex::new(theirs.clone()));
    tracing_subscriber::registry().with(fmt).with(obs_runtime::layer()).init();
    let _guard = obs_runtime::builder()
        .log_filter("info")
        .log_output(ours.clone())
        .no_admin()
        .init()
        .expect("the runtime finds its layer");
    let counts = |word: &str| {
        assert!(obs_runtime::flush(DEADLINE).finished, "flushed in time");
        [&theirs, &ours].map(|lines| lines.text().matches(word).count())
    };
    let speak = || {
        works().expect("it works");
        tracing::debug!("an event");
    };
    speak();
    assert_eq!(counts("works returned"), [0, 0]);
    assert_eq!(counts("an event"), [1, 0], "their filter is theirs");
    log_level::set("debug").expect("valid");
    assert_eq!(counts("log level changed"), [1, 1]);
    speak();
    assert_eq!(counts("works returned"), [1, 1]);
    assert_eq!(counts("an event"), [2, 1]);
    log_level::set("info").expect("valid");
    speak();
    assert_eq!((counts("works returned"), counts("an event")), ([1, 1], [3, 1]));
    Context::current().with_log_level(Level::DEBUG).run(speak);
    speak();
    assert_eq!((counts("works returned"), counts("an event")), ([2, 2], [5, 2]));
}
