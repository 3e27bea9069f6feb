//! Results: `?`, early returns, closures with returns of their own, `Option` on request, types of one's own.

use crate::{counted, run};
use obs_runtime::{Label, Outcome, observe};
use obs_tests::recorder;
use std::error::Error;
use std::fmt;
use std::num::ParseIntError;

type Parsed<T = u32> = Result<T, ParseIntError>;

#[observe]
fn question_mark(text: &str) -> Parsed {
    let number: u32 = text.parse()?;
    Ok(number + 1)
}

#[observe]
async fn question_mark_in_a_future(text: &str) -> Parsed {
    std::future::ready(()).await;
    let number: u32 = text.parse()?;
    Ok(number + 1)
}

#[observe]
fn early(number: i32) -> Result<i32, String> {
    if number < 0 {
        return Err("negative".into());
    }
    let halves: Result<Vec<i32>, String> =
        (0..number).map(|n| if n > 100 { return Err("large".to_owned()) } else { Ok(n / 2) }).collect();
    Ok(halves?.len() as i32)
}

#[observe]
fn option(text: &str) -> Option<char> {
    let first = text.chars().next()?;
    Some(first)
}

#[observe(err(none))]
fn option_on_request(text: &str) -> Option<char> {
    text.chars().next()
}

#[observe(err(none, level = "warn"))]
async fn option_on_request_in_a_future(text: &str) -> Option<char> {
    text.chars().next()
}

#[observe(err(none))]
#[allow(clippy::ref_option, reason = "what is tried")]
fn option_behind_a_reference(value: &Option<u32>) -> &Option<u32> {
    value
}

#[observe(err(none))]
async fn option_in_a_box(value: Option<u32>) -> Box<Option<u32>> {
    Box::new(value)
}

#[derive(Debug, Label, PartialEq)]
enum Refusal {
    TooLarge(u32),
    Closed,
}

#[derive(Debug, PartialEq)]
enum Reply {
    Done,
    Refused(Refusal),
}

impl Outcome for Reply {
    type Error = Refusal;

    fn error(&self) -> Option<&Refusal> {
        match self {
            Self::Done => None,
            Self::Refused(refusal) => Some(refusal),
        }
    }
}

#[observe(err(kind = Refusal))]
fn own_type(size: u32) -> Reply {
    match size {
        0 => Reply::Refused(Refusal::Closed),
        1..=10 => Reply::Done,
        more => Reply::Refused(Refusal::TooLarge(more)),
    }
}

#[observe]
async fn own_type_without_kinds(size: u32) -> Reply {
    if size > 10 { Reply::Refused(Refusal::TooLarge(size)) } else { Reply::Done }
}

#[derive(Clone, Copy, Debug, Label)]
enum Parity {
    Even,
    Odd,
}

#[observe(labels(parity: Option<Parity> = ret => ret.as_ref().ok().map(|n| if n % 2 == 0 { Parity::Even } else { Parity::Odd })))]
fn labelled_by_result(text: &str) -> Parsed {
    text.parse()
}

#[observe]
fn dynamic(text: &str) -> Result<u32, Box<dyn Error>> {
    if text.is_empty() {
        return Err("empty".into());
    }
    Ok(text.parse()?)
}

struct Nothing<'a>(&'a str);

impl fmt::Debug for Nothing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[observe]
fn borrowed_error<'a>(text: &'a str) -> Result<(), Nothing<'a>> {
    Err(Nothing(text))
}

#[observe]
fn generic_error<T: fmt::Display>(error: T) -> Result<(), std::sync::mpsc::SendError<T>> {
    Err(std::sync::mpsc::SendError(error))
}

/// An error for what is `'static`, and shown for everything.
#[derive(Debug)]
struct ForStatic<T>(T);

impl<T> fmt::Display for ForStatic<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("for static")
    }
}

impl<T: fmt::Debug + 'static> Error for ForStatic<T> {}

type ResultOf<T> = Result<(), ForStatic<T>>;

struct Holds<Inner>(Inner);

impl<Inner> Holds<Inner> {
    #[observe]
    fn fails(self) -> Result<(), ForStatic<Inner>> {
        Err(ForStatic(self.0))
    }
}

#[observe]
fn borrows_its_error(text: &str) -> Result<(), ForStatic<&str>> {
    Err(ForStatic(text))
}

#[observe]
async fn borrows_its_error_in_a_future(text: &str) -> Result<(), ForStatic<&str>> {
    Err(ForStatic(text))
}

#[observe]
fn fails_by_alias<T>(value: T) -> ResultOf<T> {
    Err(ForStatic(value))
}

#[test]
fn results_of_every_shape() {
    assert!(Holds(1).fails().is_err() && borrows_its_error("a").is_err() && fails_by_alias(1).is_err());
    assert!(run(borrows_its_error_in_a_future("a")).is_err());
    let recorder = recorder();
    assert_eq!(question_mark("1"), Ok(2));
    assert!(run(question_mark_in_a_future("x")).is_err());
    assert_eq!(early(-1), Err("negative".into()));
    assert_eq!(early(4), Ok(4));
    assert_eq!((option(""), option("a")), (None, Some('a')));
    assert_eq!(option_on_request(""), None);
    assert_eq!(run(option_on_request_in_a_future("")), None);
    assert_eq!((option_behind_a_reference(&None), *run(option_in_a_box(None))), (&None, None));
    assert_eq!([own_type(0), own_type(1)], [Reply::Refused(Refusal::Closed), Reply::Done]);
    assert_eq!(run(own_type_without_kinds(11)), Reply::Refused(Refusal::TooLarge(11)));
    assert!(labelled_by_result("x").is_err());
    assert_eq!(labelled_by_result("3"), Ok(3));
    assert!(dynamic("").is_err() && borrowed_error("no").is_err() && generic_error(1).is_err());

    counted("results::question_mark", "ok", 1);
    counted("results::question_mark_in_a_future", "error", 1);
    counted("results::option", "ok", 2);
    counted("results::option_on_request", "error", 1);
    counted("results::option_on_request_in_a_future", "error", 1);
    counted("results::option_behind_a_reference", "error", 1);
    counted("results::option_in_a_box", "error", 1);
    counted("results::own_type_without_kinds", "error", 1);
    for name in ["dynamic", "borrowed_error", "generic_error"] {
        counted(&format!("results::{name}"), "error", 1);
    }
    let calls = |labels: &[(&str, &str)]| {
        let samples = recorder.samples("function_calls_total", labels);
        samples.iter().map(|(_, value)| value).sum::<f64>()
    };
    assert_eq!(calls(&[("function", "shapes::results::own_type"), ("error", "closed")]), 1.0);
    assert_eq!(calls(&[("function", "shapes::results::labelled_by_result"), ("parity", "odd")]), 1.0);
    let line = &recorder.lines("shapes::results::option_on_request")[0];
    assert_eq!((&line["level"], &line["error"]), (&"ERROR".into(), &"none".into()));
    let line = &recorder.lines("shapes::results::own_type_without_kinds")[0];
    assert_eq!(line["error"], "TooLarge(11)");
}
