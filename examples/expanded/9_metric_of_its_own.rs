//! Metric families of its own, with bounds and an objective.

use obs_runtime::observe;

#[observe(metric = "lookups", buckets = [0.001, 0.01, 0.1], slo(latency = "10ms", objective = 99.5))]
pub fn look_up(key: u32) -> Option<u32> {
    (key > 3).then_some(key)
}
