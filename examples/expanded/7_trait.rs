//! The default methods of a trait.

use obs_runtime::observe;

#[observe]
pub trait Greets {
    fn name(&self) -> String;

    fn greet(&self) -> String {
        format!("Hello, {}", self.name())
    }
}

impl Greets for u32 {
    fn name(&self) -> String {
        self.to_string()
    }
}
