//! Calls that run for longer than they should: found while they run, by a thread that looks now and then.

use super::stacks::Stack;
use super::{millis, path, path_of, running, waiting};
use crate::clock;
use crate::site::Site;
use crate::store::functions;
use crate::threads::{self, caught};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(250);

/// How many calls of a function, by its number, are stuck. Of all that ever were.
static STUCK: Mutex<BTreeMap<usize, u64>> = Mutex::new(BTreeMap::new());

fn stuck() -> MutexGuard<'static, BTreeMap<usize, u64>> {
    STUCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A call to be told of.
struct Told {
    site: &'static Site,
    ticks: u64,
    stack: String,
}

/// Looks from now on. Functions that don't say for themselves are stuck after that long; never, if that is not set.
pub(super) fn start(default: Option<Duration>) -> io::Result<()> {
    let limits = functions().iter().map(|site| limit(site, default)).collect::<Vec<u64>>();
    if limits.iter().all(|limit| *limit == u64::MAX) {
        return Ok(());
    }
    let look = move || loop {
        thread::sleep(INTERVAL);
        // Subscribers of the application are told, and may panic: then of one call, and the others are told all the same.
        for call in look(&limits) {
            caught(|| tell(&call));
        }
    };
    threads::spawn("obs-watch", look).map(drop)
}

/// In ticks.
fn limit(site: &Site, default: Option<Duration>) -> u64 {
    #[allow(clippy::cast_precision_loss, reason = "a limit need not be exact to the nanosecond")]
    match (site.spec.stuck_nanos, default) {
        (Some(u64::MAX), _) | (None, None) => u64::MAX,
        (Some(nanos), _) => clock::ticks(nanos as f64),
        (None, Some(default)) => clock::ticks(default.as_nanos() as f64),
    }
}

/// Counts the calls that are stuck. Those that are for the first time.
fn look(limits: &[u64]) -> Vec<Told> {
    let _busy = crate::busy::now();
    let now = clock::now();
    let (mut counts, mut told) = (BTreeMap::<usize, u64>::new(), Vec::new());
    let mut is_stuck = |site: &'static Site, began: u64| {
        let shape = site.shape()?;
        let ticks = now.saturating_sub(began);
        (ticks >= *limits.get(shape.id)?).then(|| {
            *counts.entry(shape.id).or_default() += 1;
            ticks
        })
    };
    let mut waiting: Vec<(&'static Stack, u64)> = Vec::new();
    waiting::each(|call| {
        if let Some(ticks) = is_stuck(call.stack.site, call.began) {
            if call.tell_stuck() {
                waiting.push((call.stack, ticks));
            }
        }
    });
    told.extend(waiting.into_iter().map(|(stack, ticks)| Told {
        site: stack.site,
        ticks,
        stack: path(stack),
    }));
    for thread in running::all() {
        let seen = thread.seen();
        for (depth, call) in seen.iter().enumerate().filter(|(_, call)| !call.registered) {
            let Some(ticks) = is_stuck(call.site, call.began) else { continue };
            if thread.tell_stuck(depth, call.began) {
                let stack = path_of(seen[..=depth].iter().rev().map(|call| call.site));
                told.push(Told { site: call.site, ticks, stack });
            }
        }
    }
    let mut stuck = stuck();
    stuck.values_mut().for_each(|count| *count = 0);
    stuck.extend(counts);
    told
}

fn tell(call: &Told) {
    let function = call.site.function();
    tracing::warn!(
        target: "obs_runtime::profile",
        duration_ms = millis(call.ticks),
        stack = call.stack,
        "{function} is stuck",
    );
}

/// Each function of which a call has been stuck, and how many are.
#[cfg(feature = "prometheus")]
pub(crate) fn counts() -> Vec<(&'static str, i64)> {
    let mut counts: BTreeMap<&'static str, i64> = BTreeMap::new();
    for (function, count) in &*stuck() {
        if let Some(site) = functions().get(*function) {
            *counts.entry(site.function()).or_default() += i64::try_from(*count).unwrap_or(i64::MAX);
        }
    }
    counts.into_iter().collect()
}
