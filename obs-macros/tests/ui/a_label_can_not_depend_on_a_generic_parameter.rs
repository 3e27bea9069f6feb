use obs_runtime::{Label, observe};

#[observe(labels(method))]
fn charge<M: Label>(method: M) {
    let _ = method;
}

struct Service;

impl Service {
    #[observe(labels(me: Self = self))]
    fn call(&self) {}
}

fn main() {
    charge(true);
    Service.call();
}
