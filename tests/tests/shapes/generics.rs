//! Generics, const generics, `where`, `unsafe`, `extern "C"`, and functions in functions.

use crate::run;
use obs_runtime::{Label, observe};
use obs_tests::recorder;
use std::fmt::Display;

#[observe]
fn generic<T, U>(t: T, u: U) -> Result<String, ()>
where
    T: Display,
    U: Display + Clone,
{
    Ok(format!("{t}{u}"))
}

#[observe]
async fn generic_in_a_future<T: Display + Send, const N: usize>(list: [T; N]) -> usize
where
    [T; N]: Sized,
{
    std::future::ready(()).await;
    list.iter().map(|item| item.to_string().len()).sum::<usize>() + N
}

#[observe(labels(retry: bool = attempt > 1), fields(%item))]
fn generic_with_labels<T: Display + ?Sized>(item: &T, attempt: u32) -> Result<usize, std::fmt::Error> {
    Ok(item.to_string().len() + attempt as usize)
}

#[observe(fields(item))]
fn generic_value<T: tracing::Value>(item: T) -> usize {
    size_of_val(&item)
}

#[observe(fields(item, boxed))]
fn dynamic_values(item: &dyn tracing::Value, boxed: Box<dyn tracing::Value>) -> usize {
    size_of_val(item) + size_of_val(&*boxed)
}

#[derive(Clone, Copy, Debug, Label)]
enum Side {
    Left,
    Right,
}

#[observe(labels(side), err(level = "warn"))]
async fn generic_in_a_future_with_labels<T: Default>(side: Side, _hint: Option<T>) -> Result<T, Side> {
    match side {
        Side::Left => Ok(T::default()),
        Side::Right => Err(side),
    }
}

/// # Safety
/// The pointer is valid.
#[observe]
unsafe fn dereferences(pointer: *const u8) -> Result<u8, ()> {
    Ok(unsafe { *pointer })
}

#[observe]
extern "C" fn called_from_c(a: i32, b: i32) -> i32 {
    a + b
}

#[observe]
unsafe extern "C" fn unsafe_from_c(pointer: *const i32) -> i32 {
    unsafe { *pointer }
}

#[observe]
fn outer(n: u32) -> Result<u32, ()> {
    #[observe]
    fn inner(n: u32) -> Result<u32, ()> {
        const MORE: u32 = 1;
        Ok(n + MORE)
    }
    let sum = |list: &[u32]| -> Result<u32, ()> {
        for n in list {
            if *n > 100 {
                return Err(());
            }
        }
        Ok(list.iter().sum())
    };
    sum(&[inner(n)?, 1])
}

#[observe]
pub(crate) fn with_inner_attributes(n: u32) -> Result<u32, ()> {
    #![allow(unused_variables)]
    let unused = n;
    Ok(n)
}

#[test]
fn generics_of_every_shape() {
    recorder();
    assert_eq!(generic(1, "a"), Ok("1a".into()));
    assert_eq!(run(generic_in_a_future([10, 20])), 6);
    assert_eq!(generic_with_labels("abc", 2), Ok(5));
    assert_eq!((generic_value(7_u8), dynamic_values(&7_u16, Box::new(7_u32))), (1, 6));
    assert!(run(generic_in_a_future_with_labels::<u8>(Side::Left, None)).is_ok());
    assert!(run(generic_in_a_future_with_labels::<u8>(Side::Right, None)).is_err());
    assert_eq!(unsafe { dereferences(&7) }, Ok(7));
    assert_eq!((called_from_c(1, 2), unsafe { unsafe_from_c(&3) }), (3, 3));
    assert_eq!((outer(1), with_inner_attributes(1)), (Ok(3), Ok(1)));
}
