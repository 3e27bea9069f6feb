//! Lifetimes: named, elided, anonymous, and what is returned of what was borrowed.

use crate::{is_send, run};
use obs_runtime::observe;
use obs_tests::recorder;
use std::borrow::Cow;
use std::cell::{Ref, RefCell};
use std::rc::Rc;

#[observe]
fn first(list: &mut Vec<u8>) -> &mut u8 {
    if list.is_empty() {
        list.push(1);
    }
    &mut list[0]
}

#[observe]
fn first_or<'a>(list: &'a mut Vec<u8>, _other: &str) -> Result<&'a u8, String> {
    list.push(2);
    list.first().ok_or_else(|| "empty".into())
}

#[observe]
async fn first_in_a_future(list: &mut Vec<u8>) -> Result<&mut u8, ()> {
    std::future::ready(()).await;
    list.first_mut().ok_or(())
}

#[observe]
fn longest<'a: 'b, 'b>(a: &'a str, b: &'b str) -> &'b str {
    if a.len() > b.len() { a } else { b }
}

#[observe]
async fn two_lifetimes<'a>(a: &'a str, b: &str) -> Cow<'a, str> {
    std::future::ready(()).await;
    if b.is_empty() { Cow::Borrowed(a) } else { Cow::Owned(b.to_owned()) }
}

#[observe]
fn anonymous(cell: &RefCell<u8>) -> Ref<'_, u8> {
    cell.borrow()
}

#[observe]
fn swap<'a>(a: &mut &'a str, b: &mut &'a str) -> Result<(), ()> {
    std::mem::swap(a, b);
    Ok(())
}

#[observe]
async fn not_send(shared: Rc<u8>) -> u8 {
    std::future::ready(()).await;
    *shared
}

#[observe]
async fn returns_what_is_not_send() -> Result<Rc<u8>, ()> {
    std::future::ready(()).await;
    Ok(Rc::new(1))
}

struct Parser<'a>(&'a str);

impl<'a> Parser<'a> {
    #[observe]
    fn next(&mut self) -> Option<&'a str> {
        let (word, rest) = self.0.split_once(' ')?;
        self.0 = rest;
        Some(word)
    }

    #[observe]
    async fn rest(&mut self) -> Result<&'a str, ()> {
        std::future::ready(()).await;
        Ok(std::mem::take(&mut self.0))
    }
}

#[observe]
async fn recursive(depth: u32) -> u32 {
    if depth == 0 { 0 } else { 1 + Box::pin(recursive(depth - 1)).await }
}

#[observe]
fn recursive_sync(depth: u32) -> Result<u32, ()> {
    if depth == 0 { Ok(0) } else { Ok(1 + recursive_sync(depth - 1)?) }
}

#[test]
fn borrows_of_every_shape() {
    recorder();
    let mut list = vec![];
    *first(&mut list) = 5;
    assert_eq!(first_or(&mut list, ""), Ok(&5));
    *run(is_send(first_in_a_future(&mut list))).unwrap() = 6;
    assert_eq!(list, [6, 2]);
    assert_eq!(longest("ab", "c"), "ab");
    assert_eq!(run(is_send(two_lifetimes("a", ""))), "a");
    assert_eq!(*anonymous(&RefCell::new(3)), 3);
    let (mut a, mut b) = ("a", "b");
    swap(&mut a, &mut b).unwrap();
    assert_eq!((a, b), ("b", "a"));
    assert_eq!(run(not_send(Rc::new(1))), 1);
    assert_eq!(run(is_send(returns_what_is_not_send())), Ok(Rc::new(1)));
    let mut parser = Parser("a b c");
    assert_eq!((parser.next(), run(parser.rest())), (Some("a"), Ok("b c")));
    assert_eq!((run(is_send(recursive(3))), recursive_sync(3)), (3, Ok(3)));
}
