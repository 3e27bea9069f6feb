use obs_runtime::observe;

#[observe(lables(method), name = 3, slow = "soon", level = "loud", kind = "cliant", name)]
fn many(method: bool) {
    let _ = method;
}

#[observe(slow = "1s", slow = "2s")]
fn twice() {}

#[observe(buckets = [0.1, 0.05, 1.0, -1.0, x], budget = "many")]
fn buckets() {}

#[observe(labels(method, nobody, kind = 3, outcome: bool = true, method))]
fn labels(method: bool) {
    let _ = method;
}

#[observe(fields(level = 1, a = 1, a = 2))]
fn fields() {}

#[observe(metric = "9lives")]
fn metric() {}

#[observe(metric = "payments_total")]
fn metric_with_suffix() {}

#[observe(name = "not a path::")]
fn name() {}

#[observe(crate = obs_runtime)]
fn relative() {}

#[observe(no_metrics, labels(method))]
fn no_metrics(method: bool) {
    let _ = method;
}

#[observe(err(kinds = bool), ok(kind = bool), labels)]
fn nested() {}

fn main() {
    many(true);
    twice();
    buckets();
    labels(true);
    fields();
    metric();
    metric_with_suffix();
    name();
    relative();
    no_metrics(true);
    nested();
}
