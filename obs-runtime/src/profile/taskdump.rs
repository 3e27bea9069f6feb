//! tokio's own dump of its tasks, where it is compiled in: every task, observed or not, and where in its code it waits.

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::runtime::Handle;

/// A dump is taken while no worker runs a task, and one that is blocked never comes to that.
const PATIENCE: Duration = Duration::from_secs(2);

/// The runtime in which an observed future has waited first.
static RUNTIME: OnceLock<Handle> = OnceLock::new();

/// Called where a future waits.
pub(super) fn note_runtime() {
    if RUNTIME.get().is_none() {
        if let Ok(runtime) = Handle::try_current() {
            RUNTIME.get_or_init(|| runtime);
        }
    }
}

/// What it says; nothing before an observed future has waited.
pub(crate) async fn tokio_tasks() -> Option<String> {
    let Ok(dump) = tokio::time::timeout(PATIENCE, RUNTIME.get()?.dump()).await else {
        return Some(format!("\ntokio: no dump within {PATIENCE:?}, for a worker is blocked\n"));
    };
    let mut text = format!("\ntokio: {} tasks\n", dump.tasks().iter().count());
    for task in dump.tasks().iter() {
        let _ = write!(text, "\ntask {}:\n{}\n", task.id(), task.trace());
    }
    Some(text)
}
