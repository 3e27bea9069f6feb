//! The decision, made once at a trace's root, whether its spans are exported.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Which traces are exported.
///
/// The parent-based forms ask the sampler only where a trace begins, and otherwise do as the caller
/// did. A trace that is not sampled has ids all the same, in logs and in outgoing headers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampler {
    /// Every trace.
    AlwaysOn,
    /// No trace.
    AlwaysOff,
    /// This share of all traces, 0 to 1, decided by the trace id.
    TraceIdRatio(f64),
    /// As the caller did; every trace that begins here. The default.
    ParentBasedAlwaysOn,
    /// As the caller did; no trace that begins here.
    ParentBasedAlwaysOff,
    /// As the caller did; this share of the traces that begin here.
    ParentBasedTraceIdRatio(f64),
}

/// Set when the runtime starts.
static SAMPLER: OnceLock<Sampler> = OnceLock::new();

/// Whether spans go anywhere.
static EXPORTING: AtomicBool = AtomicBool::new(false);

/// Sets the sampler, once.
pub(crate) fn install(sampler: Sampler) {
    let _ = SAMPLER.set(sampler);
}

/// From now on, sampled spans are exported.
#[cfg(feature = "otlp")]
pub(crate) fn set_exporting() {
    EXPORTING.store(true, Ordering::Relaxed);
}

/// Whether an exporter runs.
#[inline]
pub(crate) fn exporting() -> bool {
    EXPORTING.load(Ordering::Relaxed)
}

/// Whether a span is sampled that has no parent in this process. Services further down heed that, whether
/// or not this one exports anything.
///
/// `remote` is the caller's decision, if there is a caller.
pub(crate) fn sampled(trace_id: u128, remote: Option<bool>) -> bool {
    current().decide(trace_id, remote)
}

/// The sampler in force.
pub(super) fn current() -> Sampler {
    SAMPLER.get().copied().unwrap_or(Sampler::ParentBasedAlwaysOn)
}

impl Sampler {
    fn decide(self, trace_id: u128, remote: Option<bool>) -> bool {
        match (self, remote) {
            (
                Self::ParentBasedAlwaysOn | Self::ParentBasedAlwaysOff | Self::ParentBasedTraceIdRatio(_),
                Some(caller),
            ) => caller,
            (Self::AlwaysOn | Self::ParentBasedAlwaysOn, _) => true,
            (Self::AlwaysOff | Self::ParentBasedAlwaysOff, _) => false,
            (Self::TraceIdRatio(ratio) | Self::ParentBasedTraceIdRatio(ratio), _) => within(trace_id, ratio),
        }
    }
}

/// Whether the low 63 bits of the id fall into the first `ratio` of their range, as other
/// OpenTelemetry SDKs decide it, so that services with the same ratio keep the same traces.
fn within(trace_id: u128, ratio: f64) -> bool {
    if ratio >= 1.0 {
        return true;
    }
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "the ratio is at least 0 and below 1, and bits are meant to be cut"
    )]
    {
        let bound = (ratio.max(0.0) * (1_u64 << 63) as f64) as u64;
        (trace_id as u64) >> 1 < bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parent_based_samplers_do_as_the_caller_did() {
        for sampler in [
            Sampler::ParentBasedAlwaysOn,
            Sampler::ParentBasedAlwaysOff,
            Sampler::ParentBasedTraceIdRatio(0.5),
        ] {
            assert!(sampler.decide(1, Some(true)));
            assert!(!sampler.decide(1, Some(false)));
        }
        assert!(Sampler::ParentBasedAlwaysOn.decide(1, None));
        assert!(!Sampler::ParentBasedAlwaysOff.decide(1, None));
        assert!(Sampler::AlwaysOn.decide(1, Some(false)));
        assert!(!Sampler::AlwaysOff.decide(1, Some(true)));
    }

    #[test]
    fn a_ratio_keeps_its_share_and_decides_alike_each_time() {
        let ids: Vec<u128> = (0..10_000_u128).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect();
        let kept = ids.iter().filter(|id| Sampler::TraceIdRatio(0.25).decide(**id, None)).count();
        assert!((2_300..2_700).contains(&kept), "{kept}");
        assert!(ids.iter().all(|id| within(*id, 1.0) && !within(*id, 0.0)));
    }
}
