use obs_runtime::{Label, observe};

#[derive(Debug, Label)]
enum Kind {
    Only,
}

#[observe(level = 7, name = "shop charge", name = "twice", kind = "sever")]
fn values() {}

#[observe(labels(flag), no_metrics, slow = "soon")]
fn conflicting(flag: bool) {}

#[observe(err(kind = Kind, none))]
fn both() -> Result<(), Kind> {
    Err(Kind::Only)
}

#[track_caller]
#[observe(err(kind = Kind))]
fn tracks_its_caller() -> Result<(), Kind> {
    Err(Kind::Only)
}

#[observe(slo(latency = "300ms", objective = 99.9))]
fn no_bucket() {}

#[observe(slo(latency = "2s", objective = 100), buckets = [0.5, 2, 1])]
fn buckets_of_its_own() {}

#[observe(slo(latency = "250ms"))]
fn no_objective() {}

fn main() {}
