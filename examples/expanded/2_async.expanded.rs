//! An async function: its span is entered with each poll, and dropping it is an outcome too.
pub async fn add(left: u32, right: u32) -> u32 {
    let __site = {
        use ::obs_runtime::__private as __obs;
        __obs::site!(
            __obs::concat!(__obs::module_path!(), "::add"), __obs::Spec::new().future()
            .infallible(), __obs::Level::INFO, []
        )
    };
    let mut __call = ::obs_runtime::__private::Call::silent();
    (&mut __call).enter(__site);
    let __ret = (&mut __call)
        .run(async move {
            if false {
                return ::obs_runtime::__private::never::<u32>();
            }
            left + right
        })
        .await;
    (&mut __call).leave_ok();
    return __ret;
}
