//! The smallest case: a function that can't fail.

use obs_runtime::observe;

#[observe]
pub fn add(left: u32, right: u32) -> u32 {
    left + right
}
