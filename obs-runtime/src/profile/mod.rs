//! Where time, memory and waiting go: five profiles in the format of `go tool pprof`.
//!
//! | profile | what it shows | feature |
//! |---|---|---|
//! | `profile` | [which functions burn CPU time](cpu) | `profile-cpu` |
//! | `heap` | [what is alive in memory](heap()), and who has allocated it | `profile-heap` |
//! | `tasks` | [which observed calls are alive](tasks()), where, and since when | `profile` |
//! | `block` | [where they wait](block()), and which polls take long | `profile` |
//! | `mutex` | [who waits for locks](mutex()), for whom, and how long they are held | `profile`, `sync` |

mod block;
#[cfg(feature = "profile-cpu")]
pub mod cpu;
#[cfg(feature = "profile-heap")]
mod heap;
#[cfg(feature = "sync")]
pub(crate) mod locks;
mod minus;
mod model;
mod pprof;
mod running;
mod slow;
mod stacks;
mod stuck;
#[cfg(feature = "profile-svg")]
mod svg;
#[cfg(any(feature = "profile-cpu", feature = "profile-heap"))]
mod symbols;
#[cfg(all(feature = "admin", tokio_unstable, tokio_taskdump))]
mod taskdump;
#[cfg(not(all(feature = "admin", tokio_unstable, tokio_taskdump)))]
#[path = "no_taskdump.rs"]
mod taskdump;
mod tasks;
#[cfg(feature = "admin")]
mod text;
mod waiting;

pub use block::block;
#[cfg(all(feature = "profile-heap", feature = "admin"))]
pub(crate) use heap::available as heap_available;
#[cfg(feature = "profile-heap")]
pub(crate) use heap::unsampled;
#[cfg(feature = "profile-heap")]
pub use heap::{HeapError, heap};
#[cfg(feature = "profile-heap")]
#[doc(hidden)]
pub use heap::{MALLOC_CONF, MallocConf};
#[cfg(feature = "sync")]
pub use locks::mutex;
pub use model::Profile;
pub(crate) use running::Depth;
pub(crate) use stacks::Stack;
#[cfg(feature = "prometheus")]
pub(crate) use stacks::cut;
#[cfg(feature = "prometheus")]
pub(crate) use stuck::counts as stuck_counts;
#[cfg(feature = "admin")]
pub(crate) use taskdump::tokio_tasks;
pub use tasks::{tasks, tasks_text};
#[cfg(feature = "admin")]
pub(crate) use text::text;
pub(crate) use waiting::Waits;

use crate::site::Site;
use std::io;
use std::time::Duration;

/// Looks at calls from now on: polls that take so long are slow, and calls that don't say for themselves stuck.
pub(crate) fn start(slow_poll: Option<Duration>, stuck_after: Option<Duration>) -> io::Result<()> {
    slow::set_limit(slow_poll.map(|limit| u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX)));
    stuck::start(stuck_after)
}

/// Stands for a thread whose allocations are not sampled, where nothing samples them.
#[cfg(all(not(feature = "profile-heap"), any(feature = "admin", feature = "profile-cpu")))]
#[must_use]
pub(crate) struct Unsampled;

/// Has the heap profile leave out the memory that the calling thread needs for a profile, until the result is dropped.
#[cfg(all(not(feature = "profile-heap"), any(feature = "admin", feature = "profile-cpu")))]
pub(crate) fn unsampled() -> Unsampled {
    Unsampled
}

/// The observed functions that this thread is in.
pub(crate) fn stack_here() -> Option<&'static Stack> {
    running::own().and_then(running::Running::whole_stack)
}

/// Ticks in milliseconds, to three digits behind the point.
#[allow(clippy::cast_precision_loss, reason = "it is shown to three digits")]
fn millis(ticks: u64) -> f64 {
    (crate::clock::nanos(ticks) / 1_000) as f64 / 1e3
}

/// A stack on one line, innermost function first.
fn path(stack: &'static Stack) -> String {
    path_of(stack.sites())
}

fn path_of(sites: impl Iterator<Item = &'static Site>) -> String {
    sites.map(Site::function).collect::<Vec<_>>().join(" < ")
}
