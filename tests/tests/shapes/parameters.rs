//! Parameters: patterns, `_`, `mut`, arrays, closures, what is not used.

use crate::{counted, run};
use obs_runtime::observe;
use obs_tests::recorder;

struct Point {
    x: i32,
    y: i32,
}

#[observe]
fn patterns((a, _): (i32, String), Point { x, y: _y }: Point, [first, ..]: [i32; 3], _: Vec<u8>) -> i32 {
    a + x + first + _y
}

#[observe]
async fn patterns_in_a_future((a, _): (i32, String), Point { x, .. }: Point, &b: &i32, _: Vec<u8>) -> i32 {
    a + x + b
}

#[observe]
fn mutable(mut list: Vec<i32>, mut count: usize) -> Result<Vec<i32>, ()> {
    while count > 0 {
        count -= 1;
        list.push(0);
    }
    Ok(list)
}

#[observe]
async fn reassigned(mut text: &str) -> usize {
    let owned = text.to_uppercase();
    text = &owned;
    std::future::ready(()).await;
    text.len()
}

#[observe]
async fn grows(mut list: Vec<&str>) -> usize {
    let local = String::from("local");
    list.push(&local);
    std::future::ready(()).await;
    list.len()
}

#[observe]
fn by_reference(ref text: String, ref mut list: Vec<u8>) -> usize {
    list.push(1);
    text.len() + list.len()
}

#[observe]
fn closures(f: impl Fn(u32) -> u32, mut g: impl FnMut(u32), h: Box<dyn FnOnce() -> u32>) -> Option<u32> {
    g(f(1));
    Some(h())
}

#[observe]
fn parts_borrow_from_each_other((mut list, text): (Vec<&str>, String)) -> Result<usize, ()> {
    list.push(&text);
    Ok(list.len())
}

#[observe]
async fn parts_borrow_in_a_future((mut list, text): (Vec<&str>, String)) -> usize {
    list.push(&text);
    list.len()
}

#[observe]
fn lints_of_a_parameter(a: String, #[expect(unused_variables)] b: String) -> Result<usize, ()> {
    Ok(a.len())
}

#[observe]
fn raw_identifiers(r#type: u32, r#fn: u32) -> Result<u32, std::num::ParseIntError> {
    Ok(r#type + r#fn)
}

#[observe(fields(_used))]
fn underscores(_used: u32, _unused: String, __also: Vec<u8>) {}

#[observe]
fn with_cfg(#[cfg(test)] here: String, #[cfg(not(test))] gone: u8, there: String) -> Result<usize, ()> {
    Ok(here.len() + there.len())
}

#[test]
fn parameters_of_every_shape() {
    recorder();
    assert_eq!(patterns((1, String::new()), Point { x: 2, y: 0 }, [3, 4, 5], vec![]), 6);
    assert_eq!(run(patterns_in_a_future((1, String::new()), Point { x: 2, y: 0 }, &3, vec![])), 6);
    assert_eq!(mutable(vec![1], 2), Ok(vec![1, 0, 0]));
    assert_eq!(run(reassigned("abc")), 3);
    assert_eq!(run(grows(vec!["a"])), 2);
    assert_eq!(by_reference("ab".into(), vec![]), 3);
    let mut seen = 0;
    assert_eq!(closures(|x| x + 1, |x| seen = x, Box::new(|| 7)), Some(7));
    assert_eq!(seen, 2);
    assert_eq!(parts_borrow_from_each_other((vec![], "a".into())), Ok(1));
    assert_eq!(run(parts_borrow_in_a_future((vec![], "a".into()))), 1);
    assert_eq!(lints_of_a_parameter("a".into(), "b".into()), Ok(1));
    assert_eq!(raw_identifiers(1, 2), Ok(3));
    underscores(1, String::new(), vec![]);
    assert_eq!(with_cfg("a".into(), "bc".into()), Ok(3));
    for name in ["patterns", "patterns_in_a_future", "mutable", "reassigned", "grows", "by_reference"] {
        counted(&format!("parameters::{name}"), "ok", 1);
    }
    counted("parameters::raw_identifiers", "ok", 1);
}
