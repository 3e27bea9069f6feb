//! A label that is known only when the function has returned.

use obs_runtime::{Label, observe};

#[derive(Clone, Copy, Debug, Label)]
pub enum Found {
    Cache,
    Disk,
}

#[observe(labels(found: Found = ret => if *ret < 10 { Found::Cache } else { Found::Disk }))]
pub fn load(key: u32) -> u32 {
    key * 2
}
