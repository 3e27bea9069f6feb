//! Return types that bodies coerce to, and what the compiler infers from them.

use crate::{is_send, run};
use obs_runtime::observe;
use obs_tests::recorder;
use std::error::Error;
use std::fmt::{Debug, Display};

#[observe]
fn unsized_box(text: bool) -> Box<dyn Display> {
    if text {
        return Box::new("text");
    }
    Box::new(7)
}

#[observe]
fn unsized_in_a_result(text: bool) -> Result<Box<dyn Display>, Box<dyn Error>> {
    if text {
        return Ok(Box::new("text"));
    }
    Ok(Box::new(7))
}

#[observe]
async fn unsized_in_a_future(text: bool) -> Result<Box<dyn Display + Send>, Box<dyn Error + Send + Sync>> {
    if text {
        return Ok(Box::new("text"));
    }
    std::future::ready(()).await;
    Ok(Box::new("7".parse::<i32>()?))
}

#[observe]
fn source(error: &std::io::Error) -> Option<&(dyn Error + 'static)> {
    Some(error)
}

#[observe]
async fn source_in_a_future(error: &std::io::Error) -> Option<&(dyn Error + 'static)> {
    Some(error)
}

#[observe]
#[rustfmt::skip]
fn in_one_line(n: u32) -> u32 { n }

#[observe]
#[rustfmt::skip]
fn fallible_in_one_line(n: u32) -> Result<u32, String> { Ok(n) }

#[observe]
#[rustfmt::skip]
async fn future_in_one_line(n: u32) -> u32 { n }

#[observe]
fn returns(n: u32) -> u32 {
    return n;
}

#[observe]
async fn returns_in_a_future(n: u32) -> Result<u32, ()> {
    return Ok(n);
}

#[observe]
fn pointer() -> fn(&str) -> usize {
    |text| text.len()
}

#[observe]
fn closure<T: AsRef<str>>(more: u64) -> impl Fn(&T) -> u64 {
    move |text| text.as_ref().len() as u64 + more
}

#[observe]
fn closure_in_a_result<T: AsRef<str>>(more: u64) -> Result<impl Fn(&T) -> u64, String> {
    if more > 100 {
        return Err("too many".into());
    }
    Ok(move |text: &T| text.as_ref().len() as u64 + more)
}

#[observe]
async fn closure_in_a_future(more: u64) -> impl Fn(&str) -> u64 {
    move |text| text.len() as u64 + more
}

fn length(shown: &dyn Display) -> usize {
    shown.to_string().len()
}

#[observe]
async fn function_in_a_future() -> impl Fn(&dyn Display) -> usize {
    length
}

#[observe]
async fn closure_over_borrows_in_a_future() -> impl Fn(&[&str]) -> usize {
    |words: &[&str]| words.len()
}

#[observe]
async fn boxes_in_a_future() -> impl FnOnce(std::borrow::Cow<'_, str>) -> usize {
    |text: std::borrow::Cow<'_, str>| text.len()
}

fn is_unwind_safe<T: std::panic::UnwindSafe>(value: T) -> T {
    value
}

#[observe]
fn in_a_tuple<'a>(text: &'a str) -> (impl Iterator<Item = char> + 'a, impl Fn(&str) -> bool) {
    (text.chars(), |text| text.is_empty())
}

#[observe]
fn iterator<'a>(list: &'a [u32], least: u32) -> impl Iterator<Item = &'a u32> + 'a {
    list.iter().filter(move |n| **n >= least)
}

#[observe]
fn in_argument_position(shown: impl Debug, list: impl IntoIterator<Item = impl Into<u64>>) -> impl Display {
    format!("{shown:?} {}", list.into_iter().map(Into::into).sum::<u64>())
}

#[observe]
fn inferred<T: From<u8>>() -> Result<T, ()> {
    Ok(7.into())
}

#[observe]
fn collected(list: &[&str]) -> Result<Vec<u32>, std::num::ParseIntError> {
    list.iter().map(|text| text.parse()).collect()
}

trait Shape {
    type Size: Default + PartialEq + Debug;
    fn size(&self) -> Self::Size;
}

impl Shape for () {
    type Size = u8;

    #[observe]
    fn size(&self) -> Self::Size {
        1
    }
}

#[observe]
fn projection<S: Shape>(shape: &S) -> <S as Shape>::Size {
    shape.size()
}

#[observe]
async fn short_projection<S: Shape>(shape: S) -> S::Size {
    shape.size()
}

#[observe]
fn never(why: &str) -> ! {
    panic!("{why}")
}

#[observe]
async fn never_in_a_future(why: &str) -> ! {
    std::future::ready(()).await;
    panic!("{why}")
}

#[observe]
fn loops_until(mut n: u32) -> Result<u32, ()> {
    loop {
        n += 1;
        if n > 10 {
            return Ok(n);
        }
    }
}

#[observe]
async fn loops_until_in_a_future(mut n: u32) {
    loop {
        n += 1;
        if n > 10 {
            return;
        }
    }
}

#[test]
fn types_are_coerced_and_inferred_as_ever() {
    recorder();
    assert_eq!(unsized_box(true).to_string() + &unsized_box(false).to_string(), "text7");
    assert_eq!(unsized_in_a_result(false).unwrap().to_string(), "7");
    assert_eq!(run(is_send(unsized_in_a_future(false))).unwrap().to_string(), "7");
    let error = std::io::Error::other("x");
    assert!(source(&error).is_some() && run(source_in_a_future(&error)).is_some());
    assert_eq!((in_one_line(1), fallible_in_one_line(1), run(future_in_one_line(1))), (1, Ok(1), 1));
    assert_eq!((returns(1), run(returns_in_a_future(1))), (1, Ok(1)));
    assert_eq!(pointer()("abc"), 3);
    assert_eq!(closure(1)(&"abc"), 4);
    assert_eq!(closure_in_a_result(1).unwrap()(&"abc"), 4);
    assert_eq!(run(closure_in_a_future(1))("abc"), 4);
    assert_eq!(run(is_unwind_safe(function_in_a_future()))(&7), 1);
    assert_eq!(run(closure_over_borrows_in_a_future())(&["a"]), 1);
    assert_eq!(run(boxes_in_a_future())("abc".into()), 3);
    let (chars, is_empty) = in_a_tuple("ab");
    assert!(chars.count() == 2 && is_empty(""));
    assert_eq!(iterator(&[1, 2, 3], 2).count(), 2);
    assert_eq!(in_argument_position("a", [1_u32, 2]).to_string(), "\"a\" 3");
    assert_eq!(inferred::<u64>(), Ok(7));
    assert_eq!(collected(&["1", "2"]), Ok(vec![1, 2]));
    assert_eq!((projection(&()), run(short_projection(()))), (1, 1));
    assert_eq!(loops_until(1), Ok(11));
    run(loops_until_in_a_future(1));
    for panics in [(|| never("on purpose")) as fn() -> (), || run(never_in_a_future("on purpose"))] {
        std::panic::catch_unwind(panics).unwrap_err();
    }
}
