//! The smallest case: a function that can't fail.
pub fn add(left: u32, right: u32) -> u32 {
    let __site = {
        use ::obs_runtime::__private as __obs;
        const __NAME: __obs::Name = ::core::concat!(::core::module_path!(), "::add");
        const __SPEC: __obs::Spec = __obs::Spec::new().infallible();
        __obs::site!(__NAME, __SPEC, INFO, [])
    };
    let mut __call = ::obs_runtime::__private::Call::enter(__site);
    let __ret = ::obs_runtime::__private::body(move || -> u32 { left + right });
    __call.leave(::obs_runtime::__private::outcome!(& __ret));
    __ret
}
