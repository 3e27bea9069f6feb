//! A stream is counted and timed to its end, and so is a future that is returned.
use futures_core::Stream;
pub fn numbers(to: u32) -> impl Stream<Item = u32> {
    let __site = {
        use ::obs_runtime::__private as __obs;
        __obs::site!(
            __obs::concat!(__obs::module_path!(), "::numbers"), __obs::Spec::new()
            .future().infallible(), __obs::Level::INFO, []
        )
    };
    let mut __call = ::obs_runtime::__private::Call::silent();
    (&mut __call).enter(__site);
    let __made = (&mut __call).make(move || -> _ { crate::iterated(0..to) });
    return __call
        .stream(
            __made,
            |__ret: &u32| ::obs_runtime::__private::verdict(
                ::obs_runtime::__private::judge!(__ret),
                __ret,
            ),
        );
}
