//! The function that every stack observes: what it takes and what can become of it.

#[cfg(feature = "peers")]
use foundations::telemetry::metrics::LowCardinalityLabel;
use obs_runtime::Label;
#[cfg(feature = "peers")]
use prometheus_client::encoding::EncodeLabelValue;
use std::fmt;
use std::hint::black_box;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Label, serde::Serialize)]
#[cfg_attr(feature = "peers", derive(EncodeLabelValue, LowCardinalityLabel))]
pub(crate) enum Method {
    Card,
    Bank,
    Wallet,
}

impl Method {
    pub(crate) const ALL: [Self; 3] = [Self::Card, Self::Bank, Self::Wallet];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Bank => "bank",
            Self::Wallet => "wallet",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Label)]
pub(crate) enum PaymentError {
    Declined,
    Timeout,
}

impl fmt::Display for PaymentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Outcome::of(&Err(*self)).name())
    }
}

impl std::error::Error for PaymentError {}

pub(crate) type Payment = Result<u64, PaymentError>;

/// The body, which is nothing: what is measured is what is around it.
#[inline(always)]
#[allow(clippy::inline_always, reason = "it is to be part of the observed function in every stack")]
pub(crate) fn pay(amount: u64) -> Payment {
    match amount {
        0 => Err(PaymentError::Timeout),
        1..=10_000 => Ok(amount + 1),
        _ => Err(PaymentError::Declined),
    }
}

/// The same for stacks that count by outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[cfg_attr(feature = "peers", derive(EncodeLabelValue, LowCardinalityLabel))]
pub(crate) enum Outcome {
    Ok,
    Declined,
    Timeout,
}

impl Outcome {
    pub(crate) const ALL: [Self; 3] = [Self::Ok, Self::Declined, Self::Timeout];

    #[inline]
    pub(crate) fn of(payment: &Payment) -> Self {
        match payment {
            Ok(_) => Self::Ok,
            Err(PaymentError::Declined) => Self::Declined,
            Err(PaymentError::Timeout) => Self::Timeout,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Declined => "declined",
            Self::Timeout => "timeout",
        }
    }
}

/// How many series the labels make: methods, retried or not, outcomes.
pub(crate) const SERIES: usize = 18;

/// The place of a series, for stacks that keep their handles in an array.
#[inline]
pub(crate) fn series(method: Method, retry: bool, payment: &Payment) -> usize {
    (method as usize * 2 + usize::from(retry)) * 3 + Outcome::of(payment) as usize
}

/// The labels of all series, in the order of their places.
pub(crate) fn all_series() -> impl Iterator<Item = (Method, bool, Outcome)> {
    let outcomes = |method, retry| Outcome::ALL.into_iter().map(move |outcome| (method, retry, outcome));
    let retries = move |method| [false, true].into_iter().flat_map(move |retry| outcomes(method, retry));
    Method::ALL.into_iter().flat_map(retries)
}

/// Upper bounds of the duration histograms in seconds, the same for every stack that can be told.
pub(crate) const BOUNDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Calls the function so many times, with arguments that the compiler does not know.
#[inline]
pub(crate) fn call(calls: u64, charge: impl Fn(u64, Method, u32) -> Payment) {
    for _ in 0..calls {
        // Each on its own, or what is measured would be how a tuple is written in parts and read as a whole.
        let (amount, method, attempt) = (black_box(25_u64), black_box(Method::Card), black_box(1_u32));
        // By reference, or what is measured would be how the result is copied.
        let _ = black_box(&charge(amount, method, attempt));
    }
}

/// What a span is told in the rows about fields: four numbers and four short texts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Details {
    pub(crate) numbers: [u64; 4],
    pub(crate) texts: [&'static str; 4],
}

/// As [`call`], for the rows about fields.
#[inline]
pub(crate) fn call_with_details(calls: u64, charge: impl Fn(&Details) -> u64) {
    let details =
        Details { numbers: [7, 4_200, 123_456, 25], texts: ["A-17", "EUR", "eu-west-1", "gold customer"] };
    for _ in 0..calls {
        black_box(&charge(black_box(&details)));
    }
}
