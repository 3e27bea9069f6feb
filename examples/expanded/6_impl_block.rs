//! On a block, the attribute observes each function in it, and the type's name is part of theirs.

use obs_runtime::observe;

pub struct Store {
    pub items: Vec<u32>,
}

#[observe(level = "debug")]
impl Store {
    pub const fn new() -> Self {
        Self { items: Vec::new() }
    }

    pub fn add(&mut self, item: u32) -> Result<usize, String> {
        self.items.push(item);
        Ok(self.items.len())
    }

    #[observe(skip)]
    pub fn len(&self) -> usize {
        self.items.len()
    }
}
