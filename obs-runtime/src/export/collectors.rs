//! What is collected at a scrape, beside the store and the application's metrics.

use super::families::declared_series;
use crate::label::LabelTexts;
use crate::site::Slo;
use crate::store::functions;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::collections::BTreeMap;
use std::fmt;

/// `function_slo_objective_ratio`: what the calls of a function within that latency, in seconds, are compared with.
#[derive(Debug)]
pub(super) struct Objectives;

impl Collector for Objectives {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let objectives: BTreeMap<LabelTexts, f64> = functions()
            .iter()
            .filter_map(|site| {
                let Slo { latency_nanos, objective } = site.spec.slo?;
                #[allow(clippy::cast_precision_loss, reason = "it is a bucket's bound")]
                let latency = (latency_nanos > 0).then(|| (latency_nanos as f64 / 1e9).to_string());
                let mut labels: LabelTexts = vec![("function", site.function().into())];
                labels.extend(latency.map(|latency| ("latency", latency.into())));
                Some((labels, objective))
            })
            .collect();
        if objectives.is_empty() {
            return Ok(());
        }
        let help = "Share of calls that is to be good, and how long these take at most";
        let mut gauge =
            encoder.encode_descriptor("function_slo_objective_ratio", help, None, MetricType::Gauge)?;
        for (labels, objective) in objectives {
            ConstGauge::new(objective).encode(gauge.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// The runtime's own health: what was lost, and why.
#[derive(Debug)]
pub(super) struct Health;

impl Collector for Health {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        counter(
            encoder,
            "obs_label_values_folded",
            "Label values filed under \"other\" because their bound was reached",
            crate::bounded::folded(),
        )?;
        let help = "Fields left out because a scope had too many";
        counter(encoder, "obs_fields_dropped", help, crate::context::left_out())?;
        {
            let help = "Headers from outside that do not follow their specification";
            let mut metric =
                encoder.encode_descriptor("obs_headers_rejected", help, None, MetricType::Counter)?;
            for (header, count) in crate::propagation::rejected() {
                ConstCounter::new(count).encode(metric.encode_family(&[("header", header)])?)?;
            }
        }
        #[cfg(feature = "admin")]
        {
            let help = "Requests and connections that the admin endpoints refused";
            let name = "obs_admin_requests_refused";
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (reason, count) in crate::admin::refused() {
                ConstCounter::new(count).encode(metric.encode_family(&[("reason", reason)])?)?;
            }
        }
        #[cfg(feature = "profile")]
        {
            let help = "Calls that have been running for longer than they should";
            let mut metric =
                encoder.encode_descriptor("function_calls_stuck", help, None, MetricType::Gauge)?;
            for (function, count) in crate::profile::stuck_counts() {
                ConstGauge::new(count).encode(metric.encode_family(&[("function", function)])?)?;
            }
            let help = "Stacks of observed functions that profiles cut, because there were too many";
            counter(encoder, "obs_profile_stacks_cut", help, crate::profile::cut())?;
        }
        #[cfg(feature = "log")]
        {
            let help = "Log lines lost to a full buffer or a failing output";
            counter(encoder, "obs_log_lines_dropped", help, crate::log::dropped())?;
            let help = "Log lines that the output has taken";
            counter(encoder, "obs_log_lines_written", help, crate::log::written())?;
        }
        threads(encoder)?;
        #[cfg(feature = "profile-cpu")]
        counter(
            encoder,
            "obs_profile_samples_lost",
            "Samples of CPU profiles for which there was no room",
            crate::profile::cpu::lost(),
        )?;
        #[cfg(feature = "otlp")]
        sending(encoder)?;
        let mut gauge = |name: &str, help: &str, value: i64| {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        };
        gauge(
            "obs_declared_series",
            "Combinations of labels and outcomes that all observed functions can have",
            i64::try_from(declared_series()).unwrap_or(i64::MAX),
        )?;
        let build = ConstGauge::new(1_i64);
        let labels = crate::setup::build_labels();
        let mut metric =
            encoder.encode_descriptor("build_info", "What is running", None, build.metric_type())?;
        build.encode(metric.encode_family(&labels)?)
    }
}

/// Each health check: how it stands, and how its runs went.
#[cfg(feature = "health")]
#[derive(Debug)]
pub(super) struct Checks;

#[cfg(feature = "health")]
impl Collector for Checks {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        use crate::health::{Status, all, now};
        type Pick = fn(&(u64, u64)) -> u64;
        let now = now();
        let checks: Vec<_> = all()
            .iter()
            .map(|check| {
                let labels = [("check", check.spec.name.clone()), ("probe", check.spec.probe.name().into())];
                (labels, check.standing(now), check.counts())
            })
            .collect();
        if checks.is_empty() {
            return Ok(());
        }
        let help = "How a health check stands: one of its series is 1";
        let mut metric = encoder.encode_descriptor("health_check_status", help, None, MetricType::Gauge)?;
        for ([check, probe], standing, _) in &checks {
            for status in [Status::Pass, Status::Warn, Status::Fail] {
                let labels = [check.clone(), probe.clone(), ("status", status.as_str().into())];
                let gauge = ConstGauge::new(i64::from(standing.status == status));
                gauge.encode(metric.encode_family(&labels)?)?;
            }
        }
        let help = "How long the last run of a health check took";
        let mut metric =
            encoder.encode_descriptor("health_check_duration_seconds", help, None, MetricType::Gauge)?;
        for (labels, standing, _) in &checks {
            if let Some(run) = &standing.last {
                ConstGauge::new(run.took.as_secs_f64()).encode(metric.encode_family(labels)?)?;
            }
        }
        let counters: [(&str, &str, Pick); 2] = [
            ("health_check_runs", "Runs of a health check", |counts| counts.0),
            ("health_check_failures", "Runs of a health check that failed", |counts| counts.1),
        ];
        for (name, help, pick) in counters {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (labels, _, counts) in &checks {
                ConstCounter::new(pick(counts)).encode(metric.encode_family(labels)?)?;
            }
        }
        Ok(())
    }
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let counter = ConstCounter::new(value);
    counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)
}

/// Each long-lived thread of the runtime.
fn threads(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let threads = crate::threads::all();
    let help = "Whether a thread of the runtime is alive (1) or has ended (0)";
    let mut alive = encoder.encode_descriptor("obs_thread_alive", help, None, MetricType::Gauge)?;
    for (name, state) in &threads {
        ConstGauge::new(i64::from(state.alive)).encode(alive.encode_family(&[("thread", *name)])?)?;
    }
    let help = "Panics that a thread of the runtime has survived";
    let mut panics = encoder.encode_descriptor("obs_thread_panics", help, None, MetricType::Counter)?;
    for (name, state) in &threads {
        ConstCounter::new(state.panics).encode(panics.encode_family(&[("thread", *name)])?)?;
    }
    Ok(())
}

/// What became of what was to be sent, by signal.
#[cfg(feature = "otlp")]
fn sending(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    use super::delivery::Signal;
    let counters = [
        (Signal::Traces, "obs_spans_dropped", "Sampled spans that were not exported"),
        (
            Signal::Logs,
            "obs_log_records_dropped",
            "Log records that were not sent to the collector; their lines are elsewhere",
        ),
        (
            Signal::Metrics,
            "obs_metric_points_dropped",
            "Metric points that were not sent to the collector; their values are still here",
        ),
    ];
    for (signal, name, help) in counters {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (reason, count) in signal.drops() {
            ConstCounter::new(count).encode(metric.encode_family(&[("reason", reason)])?)?;
        }
    }
    let sent = || Signal::ALL.into_iter().filter(|signal| signal.sending());
    let help = "Batches that the collector did not take";
    let mut failures = encoder.encode_descriptor("obs_export_failures", help, None, MetricType::Counter)?;
    for signal in sent() {
        ConstCounter::new(signal.failures()).encode(failures.encode_family(&[("signal", signal.name())])?)?;
    }
    let help = "Answers of success that are not those of a collector; the batches count as delivered";
    let name = "obs_export_unreadable_answers";
    let mut unreadable = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for signal in sent() {
        ConstCounter::new(signal.unreadable())
            .encode(unreadable.encode_family(&[("signal", signal.name())])?)?;
    }
    let help = "When the collector last took a batch, in Unix time; 0 if never";
    let name = "obs_last_export_success_timestamp_seconds";
    let mut success = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for signal in sent() {
        let gauge = ConstGauge::new(signal.last_success_seconds());
        gauge.encode(success.encode_family(&[("signal", signal.name())])?)?;
    }
    Ok(())
}
