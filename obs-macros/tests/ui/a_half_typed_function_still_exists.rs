use obs_runtime::observe;

#[observe(labels(method))]
fn half_typed(method: bool) -> u32 {
    let x = method.
}

struct Store;

#[observe]
impl Store {
    fn half_typed(&self) -> u32 {
        let x = self.
    }

    fn complete(&self) -> u32 {
        1
    }
}

#[observe]
enum NotAFunction {
    Kept,
}

fn main() {
    let _: u32 = half_typed(true);
    let _: u32 = Store.half_typed() + Store.complete();
    let _ = NotAFunction::Kept;
}
