//! Metric families of its own, with bounds and an objective.
pub fn look_up(key: u32) -> Option<u32> {
    let __site = {
        use ::obs_runtime::__private as __obs;
        __obs::site!(
            __obs::concat!(__obs::module_path!(), "::look_up"), __obs::Spec::new()
            .stays().metric("lookups").infallible().buckets(& [0.001, 0.01, 0.1])
            .slo(__obs::Slo { latency_nanos : 10000000, objective : 0.995 }),
            __obs::Level::INFO, []
        )
    };
    let mut __call = ::obs_runtime::__private::Call::silent();
    (&mut __call).enter(__site);
    { (key > 3).then_some(key) }
}
