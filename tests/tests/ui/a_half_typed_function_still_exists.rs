use obs_runtime::observe;

#[observe(labels(method))]
fn half_typed(method: bool) -> u32 {
    let x = method.
}

#[observe]
trait NotAFunction {
    fn declared(&self);
}

fn main() {
    let _: u32 = half_typed(true);
}
