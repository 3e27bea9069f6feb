//! Parameters and locals are dropped in the order of the plain function.

use crate::run;
use obs_runtime::observe;
use obs_tests::recorder;
use std::cell::RefCell;

thread_local!(static DROPPED: RefCell<String> = const { RefCell::new(String::new()) });

struct Noisy(&'static str);

impl Drop for Noisy {
    fn drop(&mut self) {
        DROPPED.with_borrow_mut(|dropped| dropped.push_str(self.0));
    }
}

fn dropped<R>(call: impl FnOnce() -> R) -> String {
    drop(call());
    DROPPED.take()
}

/// The same body, plain and observed, as functions of every kind.
macro_rules! alike {
    ($($name:ident($($parameters:tt)*) { $($body:tt)* } called($($arguments:expr),*);)*) => {
        mod plain {
            use super::Noisy;
            $(pub(super) mod $name {
                use super::Noisy;
                #[allow(unused_variables, unused_assignments, unused_mut)]
                pub fn sync($($parameters)*) -> Result<(), Noisy> { $($body)* }
                #[allow(unused_variables, unused_assignments, unused_mut)]
                pub fn infallible($($parameters)*) { let _: Result<(), Noisy> = (|| -> Result<(), Noisy> { Ok(()) })(); }
                #[allow(unused_variables, unused_assignments, unused_mut)]
                pub async fn future($($parameters)*) -> Result<(), Noisy> { $($body)* }
            })*
        }
        mod observed {
            use super::Noisy;
            $(pub(super) mod $name {
                use super::Noisy;
                use obs_runtime::observe;
                #[allow(unused_variables, unused_assignments, unused_mut)]
                #[observe]
                pub fn sync($($parameters)*) -> Result<(), Noisy> { $($body)* }
                #[allow(unused_variables, unused_assignments, unused_mut)]
                #[observe]
                pub fn infallible($($parameters)*) { let _: Result<(), Noisy> = (|| -> Result<(), Noisy> { Ok(()) })(); }
                #[allow(unused_variables, unused_assignments, unused_mut)]
                #[observe]
                pub async fn future($($parameters)*) -> Result<(), Noisy> { $($body)* }
            })*
        }
        #[test]
        fn in_the_same_order() {
            recorder();
            $(
                assert_eq!(
                    dropped(|| observed::$name::sync($($arguments),*)),
                    dropped(|| plain::$name::sync($($arguments),*)),
                    "{}", stringify!($name)
                );
                assert_eq!(
                    dropped(|| observed::$name::infallible($($arguments),*)),
                    dropped(|| plain::$name::infallible($($arguments),*)),
                    "{}, infallible", stringify!($name)
                );
                assert_eq!(
                    dropped(|| run(observed::$name::future($($arguments),*))),
                    dropped(|| run(plain::$name::future($($arguments),*))),
                    "{}, in a future", stringify!($name)
                );
                assert_eq!(
                    dropped(|| observed::$name::future($($arguments),*)),
                    dropped(|| plain::$name::future($($arguments),*)),
                    "{}, never polled", stringify!($name)
                );
            )*
        }
    };
}

alike! {
    all_used(a: Noisy, b: Noisy, c: Noisy) {
        let _local = Noisy("l");
        let _ = (&b, &a, &c);
        Ok(())
    } called(Noisy("a"), Noisy("b"), Noisy("c"));

    some_used(a: Noisy, b: Noisy, _c: Noisy, d: Noisy, _: Noisy) {
        let _local = Noisy("l");
        let _ = &b;
        Ok(())
    } called(Noisy("a"), Noisy("b"), Noisy("c"), Noisy("d"), Noisy("e"));

    some_moved(a: Noisy, b: Noisy, c: Noisy) {
        let _first = Noisy("l");
        drop(b);
        let _second = (Noisy("m"), &a);
        if c.0 == "c" {
            return Err(c);
        }
        Ok(())
    } called(Noisy("a"), Noisy("b"), Noisy("c"));

    mutable(mut a: Noisy, b: Noisy, mut c: Noisy) {
        a.0 = "A";
        c = Noisy("C");
        let _ = &b;
        Ok(())
    } called(Noisy("a"), Noisy("b"), Noisy("c"));

    patterns((a, _): (Noisy, Noisy), b: Noisy, [c, ..]: [Noisy; 2], d: Noisy) {
        let _local = Noisy("l");
        let _ = (&d, &a, &b, &c);
        Ok(())
    } called((Noisy("a"), Noisy("w")), Noisy("b"), [Noisy("c"), Noisy("x")], Noisy("d"));

    ignored(a: Noisy, _: Noisy, (_, b): (Noisy, Noisy), _unused: (Noisy, u8)) {
        let _ = (&a, &b);
        Ok(())
    } called(Noisy("a"), Noisy("w"), (Noisy("x"), Noisy("b")), (Noisy("y"), 1));

    unused_parts((a, _b): (Noisy, Noisy), x: Noisy, (_y, z): (Noisy, Noisy)) {
        let _ = (&z, &a, &x);
        Ok(())
    } called((Noisy("a"), Noisy("b")), Noisy("x"), (Noisy("y"), Noisy("z")));

    parts_alone([_a, b, _c]: [Noisy; 3]) {
        let _ = &b;
        Ok(())
    } called([Noisy("a"), Noisy("b"), Noisy("c")]);

    by_reference(a: Noisy, ref b: Noisy, ref mut c: Noisy) {
        let _ = (&a, b, c);
        Ok(())
    } called(Noisy("a"), Noisy("b"), Noisy("c"));

    in_a_format(a: Noisy, name: String, b: Noisy) {
        let _text = format!("{name}");
        let _ = (&b, &a);
        Ok(())
    } called(Noisy("a"), String::new(), Noisy("b"));
}

struct Both {
    first: Noisy,
    second: Noisy,
}

impl Both {
    fn plain(self, other: Noisy) -> Result<(), ()> {
        let _ = (&self.second, &other);
        Ok(())
    }

    #[observe]
    fn observed(self, other: Noisy) -> Result<(), ()> {
        let _ = (&self.second, &other);
        Ok(())
    }

    async fn plain_in_a_future(self, other: Noisy) {
        let _ = &other;
        drop(self.second);
    }

    #[observe]
    async fn observed_in_a_future(self, other: Noisy) {
        let _ = &other;
        drop(self.second);
    }
}

#[test]
fn self_is_the_last() {
    recorder();
    let both = || Both { first: Noisy("1"), second: Noisy("2") };
    assert!(both().first.0 == "1");
    DROPPED.take();
    assert_eq!(dropped(|| both().observed(Noisy("o"))), dropped(|| both().plain(Noisy("o"))));
    assert_eq!(
        dropped(|| run(both().observed_in_a_future(Noisy("o")))),
        dropped(|| run(both().plain_in_a_future(Noisy("o"))))
    );
}
