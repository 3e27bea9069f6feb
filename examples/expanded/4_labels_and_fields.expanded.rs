//! Labels, whose combinations the compiler counts, and fields, which may be anything.
#[derive(Clone, Copy, Debug)]
pub enum Method {
    Card,
    Bank,
}
#[automatically_derived]
impl ::obs_runtime::Label for Method {
    const CARDINALITY: ::obs_runtime::__private::usize = 2;
    fn index(&self) -> ::obs_runtime::__private::usize {
        match self {
            Self::Card { .. } => 0,
            Self::Bank { .. } => 1,
        }
    }
    fn value(
        index: ::obs_runtime::__private::usize,
    ) -> ::obs_runtime::__private::LabelText {
        ::obs_runtime::__private::nth(&["card", "bank"], index)
    }
}
#[derive(Debug)]
pub enum PaymentError {
    Declined(u64),
}
#[automatically_derived]
impl ::obs_runtime::Label for PaymentError {
    const CARDINALITY: ::obs_runtime::__private::usize = 1;
    fn index(&self) -> ::obs_runtime::__private::usize {
        match self {
            Self::Declined { .. } => 0,
        }
    }
    fn value(
        index: ::obs_runtime::__private::usize,
    ) -> ::obs_runtime::__private::LabelText {
        ::obs_runtime::__private::nth(&["declined"], index)
    }
}
pub async fn charge(
    order: &str,
    method: Method,
    amount: u64,
    attempt: u32,
) -> Result<u64, PaymentError> {
    let __site = {
        use ::obs_runtime::__private as __obs;
        const __NAME: __obs::Name = "shop::charge";
        const __SPEC: __obs::Spec = __obs::Spec::new()
            .future()
            .labels(
                &[
                    __obs::values::<Method>().named("method"),
                    __obs::values::<bool>().named("retry"),
                ],
            )
            .errors::<PaymentError>()
            .slow_nanos(500000000);
        const _: () = (&__SPEC).check_budget(__NAME);
        __obs::site!(__NAME, __SPEC, __obs::Level::INFO, ["order", "amount"])
    };
    let mut __call = ::obs_runtime::__private::Call::silent();
    if (&*__site).on() {
        (&mut __call)
            .begin_recorded(
                __site,
                ::obs_runtime::__private::labels()
                    .with(::obs_runtime::__private::values::<Method>(), &method)
                    .with(::obs_runtime::__private::values::<bool>(), &(attempt > 1)),
                &[
                    &::obs_runtime::__private::display(&order),
                    ::obs_runtime::__private::value(&amount),
                ],
            );
    }
    let __ret = (&mut __call)
        .run(async move {
            if false {
                return ::obs_runtime::__private::never::<Result<u64, PaymentError>>();
            }
            if amount > 100 { Err(PaymentError::Declined(amount)) } else { Ok(amount) }
        })
        .await;
    return (&mut __call)
        .leave(
            ::obs_runtime::__private::kinds_of::<
                PaymentError,
                _,
                _,
            >(&__ret, ::obs_runtime::__private::judge!(& __ret)),
            __ret,
        );
}
