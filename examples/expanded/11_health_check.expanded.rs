//! A health check: the function stays, and is put among the checks.
pub async fn queue() -> Result<(), std::fmt::Error> {
    Ok(())
}
const _: () = {
    use ::obs_runtime::__private as __obs;
    const __SPEC: __obs::CheckSpec = __obs::CheckSpec::new("queue")
        .probe(__obs::Probe::Liveness)
        .critical(false)
        .timeout(__obs::Duration::from_nanos(500000000))
        .every(__obs::Duration::from_nanos(5000000000));
    __obs::health_check!(__SPEC, queue());
};
