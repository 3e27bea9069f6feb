mod allocations;
mod case;
mod payment;
mod stacks;
mod worker;
#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let c = stacks::cases().find(|c| c.work.name() == a[1] && c.stack == a[2]).unwrap();
    worker::serve(c).unwrap();
}
