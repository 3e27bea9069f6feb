//! A label that is known only when the function has returned.
#[derive(Clone, Copy, Debug)]
pub enum Found {
    Cache,
    Disk,
}
#[automatically_derived]
impl ::obs_runtime::Label for Found {
    const CARDINALITY: ::obs_runtime::__private::usize = 2;
    fn index(&self) -> ::obs_runtime::__private::usize {
        match self {
            Self::Cache { .. } => 0,
            Self::Disk { .. } => 1,
        }
    }
    fn value(
        index: ::obs_runtime::__private::usize,
    ) -> ::obs_runtime::__private::LabelText {
        ::obs_runtime::__private::nth(&["cache", "disk"], index)
    }
}
pub fn load(key: u32) -> u32 {
    let __site = {
        use ::obs_runtime::__private as __obs;
        const __NAME: __obs::Name = __obs::concat!(__obs::module_path!(), "::load");
        const __SPEC: __obs::Spec = __obs::Spec::new()
            .result_labels(&[__obs::values::<Found>().named("found")])
            .infallible();
        const _: () = (&__SPEC).check_budget(__NAME);
        __obs::site!(__NAME, __SPEC, __obs::Level::INFO, [])
    };
    let mut __call = ::obs_runtime::__private::Call::silent();
    (&mut __call).enter(__site);
    let __ret = ::obs_runtime::__private::body(move || -> u32 { key * 2 });
    (&mut __call)
        .result_label(
            ::obs_runtime::__private::values::<Found>(),
            &{
                let ret = &__ret;
                if *ret < 10 { Found::Cache } else { Found::Disk }
            },
        );
    (&mut __call).leave_ok();
    return __ret;
}
