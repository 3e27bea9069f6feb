//! An async function: its span is entered with each poll, and dropping it is an outcome too.

use obs_runtime::observe;

#[observe]
pub async fn add(left: u32, right: u32) -> u32 {
    left + right
}
