//! Metric families of its own, with bounds and an objective.
pub fn look_up(key: u32) -> Option<u32> {
    let __site = {
        use ::obs_runtime::__private as __obs;
        const __NAME: __obs::Name = __obs::concat!(__obs::module_path!(), "::look_up");
        const __SPEC: __obs::Spec = __obs::Spec::new()
            .stays()
            .metric("lookups")
            .infallible()
            .buckets(&[0.001, 0.01, 0.1])
            .slo(__obs::Slo {
                latency_nanos: 10000000,
                objective: 0.995,
            });
        __obs::site!(__NAME, __SPEC, __obs::Level::INFO, [])
    };
    let mut __call = ::obs_runtime::__private::Call::silent();
    (&mut __call).enter(__site);
    { (key > 3).then_some(key) }
}
