//! Names: nothing that is generated meets a name of the user's, whatever is in scope.

#![allow(non_camel_case_types, non_upper_case_globals, dead_code, unused_imports, unused_macros)]

use obs_tests::recorder;

/// Everything that the prelude brings, and that generated code might name, means something else here.
mod shadowed {
    mod core {}
    mod std {}
    mod alloc {}
    mod tracing {}
    mod obs_runtime {}
    mod obs_macros {}
    mod linkme {}
    pub struct Ok;
    pub struct Err;
    pub struct Some;
    pub struct None;
    pub struct Option;
    pub struct Result;
    pub struct Box;
    pub struct String;
    pub struct Vec;
    pub struct Call;
    pub struct Site;
    pub struct Spec;
    pub struct Level;
    pub struct Outcome;
    pub struct Verdict;
    pub trait Send {}
    pub trait Sync {}
    pub trait Sized {}
    pub trait Fn {}
    pub trait FnOnce {}
    pub trait Future {}
    pub trait Into {}
    pub trait From {}
    pub trait Default {}
    pub trait Debug {}
    pub trait Display {}
    pub trait Error {}
    pub trait Clone {}
    pub trait Copy {}
    pub trait Drop {}
    type u8 = ();
    type u64 = ();
    type usize = ();
    type bool = ();
    type str = ();
    const SITE: () = ();
    const NAMES: () = ();
    const __NAME: () = ();
    const __SPEC: () = ();
    static SITES: () = ();
    fn body() {}
    fn drop() {}

    macro_rules! concat {
        ($($any:tt)*) => {
            compile_error!("the user's")
        };
    }
    macro_rules! module_path {
        ($($any:tt)*) => {
            compile_error!("the user's")
        };
    }
    macro_rules! file {
        ($($any:tt)*) => {
            compile_error!("the user's")
        };
    }
    macro_rules! line {
        ($($any:tt)*) => {
            compile_error!("the user's")
        };
    }
    macro_rules! site {
        ($($any:tt)*) => {
            compile_error!("the user's")
        };
    }
    macro_rules! outcome {
        ($($any:tt)*) => {
            compile_error!("the user's")
        };
    }
    macro_rules! names {
        ($($any:tt)*) => {
            compile_error!("the user's")
        };
    }
    macro_rules! panic {
        ($($any:tt)*) => {
            compile_error!("the user's")
        };
    }
    macro_rules! unreachable {
        ($($any:tt)*) => {
            compile_error!("the user's")
        };
    }

    pub type Failed = ::core::result::Result<u32, ::std::string::String>;

    #[::obs_runtime::observe]
    pub fn sync(text: &::core::primitive::str) -> Failed {
        match text {
            "" => ::core::result::Result::Err(::std::string::String::new()),
            _ => ::core::result::Result::Ok(1),
        }
    }

    #[::obs_runtime::observe(labels(flag: ::core::primitive::bool = text.is_empty()), fields(text, size = text.len()), slow = "1s")]
    pub async fn future(text: &::core::primitive::str) -> Failed {
        ::core::result::Result::Ok(text.len() as u32)
    }

    #[::obs_runtime::observe]
    pub fn infallible(n: u32) -> u32 {
        n
    }

    #[::obs_runtime::observe(err(none))]
    pub fn none(n: u32) -> ::core::option::Option<u32> {
        ::core::option::Option::Some(n)
    }

    #[::obs_runtime::observe]
    pub fn boxed()
    -> ::core::pin::Pin<::std::boxed::Box<dyn ::core::future::Future<Output = u32> + ::core::marker::Send>>
    {
        ::std::boxed::Box::pin(async { 1 })
    }

    #[derive(::obs_runtime::Label)]
    pub enum Kind {
        First,
        Second(u32),
    }

    #[::obs_runtime::observe(err(kind = Kind))]
    pub fn kinds(n: u32) -> ::core::result::Result<(), Kind> {
        if n > 1 {
            ::core::result::Result::Err(Kind::Second(n))
        } else {
            ::core::result::Result::Err(Kind::First)
        }
    }

    pub fn context() -> ::obs_runtime::Context {
        ::obs_runtime::context! { a = 1, b = %2 }
    }
}

/// A user's trait with methods of the names that are used inside.
trait EverythingHasIt {
    fn outcome(&self) -> u8 {
        1
    }
    fn error(&self) -> u8 {
        2
    }
    fn leave(&self) -> u8 {
        3
    }
    fn begin(&self) {}
    fn run(&self) {}
    fn on(&self) {}
    fn with(&self) {}
    fn into(&self) {}
    fn enter(&self) {}
    fn make(&self) {}
}

impl<T: ?Sized> EverythingHasIt for T {}

/// The same by value.
trait EverythingHasItByValue: Sized {
    fn on(self, n: u8) -> u8 {
        n
    }
    fn check_budget(self) {}
    fn call(self) {}
}

impl<T> EverythingHasItByValue for T {}

#[obs_runtime::observe(budget = 100, fields(n))]
fn by_value(n: u32) -> Result<u32, ()> {
    Ok(n)
}

#[obs_runtime::observe(labels(flag: bool = n > 1), fields(n))]
fn methods(n: u32) -> Result<u32, String> {
    if n > 5 { Err(n.to_string()) } else { Ok(n) }
}

/// Parameters and locals of the names that are used inside.
#[obs_runtime::observe(fields(__call, __ret, __site))]
fn locals(__call: u32, __ret: u32, __site: u32, __obs: u32, call: u32, ret: u32) -> Result<u32, ()> {
    let (__failed, __kind, __future, __made) = (1, 2, 3, 4);
    Ok(__call + __ret + __site + __obs + call + ret + __failed + __kind + __future + __made)
}

#[obs_runtime::observe]
async fn locals_in_a_future(__call: u32, __ret: u32, __site: String) -> Result<u32, ()> {
    std::future::ready(()).await;
    Ok(__call + __ret + __site.len() as u32)
}

#[test]
fn names_do_not_meet() {
    recorder();
    assert!(shadowed::sync("").is_err());
    assert_eq!(crate::run(shadowed::future("abc")), Ok(3));
    assert_eq!((shadowed::infallible(2), crate::run(shadowed::boxed())), (2, 1));
    assert!(shadowed::none(1).is_some() && shadowed::kinds(2).is_err());
    shadowed::context().run(|| ());
    assert_eq!((methods(7), methods(1)), (Err("7".to_owned()), Ok(1)));
    assert_eq!(by_value(1), Ok(1));
    assert_eq!(locals(1, 1, 1, 1, 1, 1), Ok(16));
    assert_eq!(crate::run(locals_in_a_future(1, 1, "a".to_owned())), Ok(3));
    crate::counted("hygiene::shadowed::sync", "error", 1);
}
