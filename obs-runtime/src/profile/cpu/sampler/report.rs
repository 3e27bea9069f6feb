//! From samples to a profile.

use super::samples::{self, Who};
use crate::profile::model::{Frame, Label, Text};
use crate::profile::symbols::Symbols;
use crate::profile::{Profile, running};
use std::collections::HashMap;
use std::time::{Duration, SystemTime};

/// Stands for the frames that were left out, at the outer end of a stack.
const TRUNCATED: &str = "[truncated]";

pub(super) fn empty(hz: u32, taken: SystemTime) -> Profile {
    const CPU: (&str, &str) = ("cpu", "nanoseconds");
    let mut profile = Profile::new(&[("samples", "count"), CPU], taken);
    profile.period = Some((CPU, 1_000_000_000 / i64::from(hz)));
    profile
}

/// Adds the samples that there are. The time of a sample is its share of what the process has used: a kernel that
/// takes fewer samples than were asked for takes no time away.
pub(super) fn fill(profile: &mut Profile, used: Duration, lost: u64) {
    let mut counts: HashMap<(Who, Vec<u64>), u64> = HashMap::new();
    samples::each(|who, addresses| *counts.entry((who, addresses)).or_default() += 1);
    let taken = u128::from(counts.values().sum::<u64>() + lost);
    let all = counts.keys().flat_map(|(_, addresses)| returns(addresses));
    let symbols = Symbols::of(all);
    for ((who, addresses), count) in counts {
        let nanos = used.as_nanos() * u128::from(count) / taken.max(1);
        let values = [saturated(count), saturated(nanos)];
        profile.add(stack(&addresses, who.cut, &symbols), labels(&who), &values);
    }
}

fn stack(addresses: &[u64], cut: bool, symbols: &Symbols) -> Vec<Frame> {
    let mut stack: Vec<Frame> =
        returns(addresses).flat_map(|address| symbols.frames(address)).cloned().collect();
    if cut {
        stack.push(Frame { function: TRUNCATED.into(), file: "".into(), line: 0, address: 0 });
    }
    stack
}

/// Return addresses, which the innermost one is not yet: there a thread was interrupted.
fn returns(addresses: &[u64]) -> impl Iterator<Item = u64> {
    addresses.iter().enumerate().map(|(depth, address)| address.saturating_add(u64::from(depth == 0)))
}

fn labels(who: &Who) -> Vec<Label> {
    let mut labels = Vec::new();
    if let Some(site) = running::resolve(who.site) {
        labels.push(Label { key: "function", value: site.function().into() });
    }
    if who.trace != 0 {
        labels.push(Label { key: "trace_id", value: format!("{:032x}", who.trace).into() });
    }
    labels.push(Label { key: "thread", value: thread(who) });
    labels
}

/// A thread's name, or its number if it has none.
fn thread(who: &Who) -> Text {
    let name = who.name.split(|byte| *byte == 0).next().unwrap_or_default();
    if name.is_empty() {
        who.thread.to_string().into()
    } else {
        String::from_utf8_lossy(name).into_owned().into()
    }
}

fn saturated(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}
