//! Which observed calls are alive, where, and since when.

use super::model::{Frame, Label, ValueType};
use super::{Profile, running, waiting};
use crate::clock;
use crate::text::escaped;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

const TYPES: &[ValueType] = &[("age", "nanoseconds"), ("goroutine", "count")];

/// What a call is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Running,
    Waiting,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
        }
    }
}

/// Calls in the same place, doing the same.
#[derive(Debug, Default)]
struct Group {
    count: u64,
    /// Nanoseconds since they began: of all, and of the oldest and the youngest.
    ages: u64,
    oldest: u64,
    youngest: u64,
    /// The longest that one of them has been waiting.
    waited: u64,
}

impl Group {
    fn add(&mut self, age: u64, waited: u64) {
        self.youngest = if self.count == 0 { age } else { self.youngest.min(age) };
        self.oldest = self.oldest.max(age);
        self.waited = self.waited.max(waited);
        self.ages = self.ages.saturating_add(age);
        self.count += 1;
    }
}

/// By stack, outermost function first.
type Groups = BTreeMap<(Vec<Frame>, State), Group>;

/// Which observed calls are alive, by stack of observed functions: futures that wait (`state` is `waiting`), and calls that
/// threads are in (`running`), each with how long ago it began (`age`). Of calls inside one another the innermost is
/// listed, with the others on its stack, and its age is that of the outermost one.
///
/// A future is listed from its first wait on. Those younger than `min_age` are left out.
///
/// ```
/// use std::time::Duration;
///
/// let old = obs_runtime::profile::tasks(Duration::from_secs(60));
/// ```
#[must_use]
pub fn tasks(min_age: Duration) -> Profile {
    let mut profile = Profile::new(TYPES, SystemTime::now());
    for ((stack, state), group) in groups(min_age) {
        let label = Label { key: "state", value: state.name().into() };
        let values = [group.ages, group.count].map(|value| i64::try_from(value).unwrap_or(i64::MAX));
        profile.add(stack, vec![label], &values);
    }
    profile
}

/// The same as [`tasks()`] to read: most frequent stacks first, innermost function first.
#[must_use]
pub fn tasks_text(min_age: Duration) -> String {
    let mut groups: Vec<_> = groups(min_age).into_iter().collect();
    groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.count));
    let total = |state| -> u64 {
        groups.iter().filter(|((_, of), _)| *of == state).map(|(_, group)| group.count).sum()
    };
    let mut text = format!("{} waiting, {} running\n", total(State::Waiting), total(State::Running));
    for ((stack, state), group) in &groups {
        let seconds = |nanos: u64| Duration::from_nanos(nanos).as_secs_f64();
        let (oldest, youngest) = (seconds(group.oldest), seconds(group.youngest));
        let _ = match group.count {
            1 => write!(text, "\n1 {}, for {oldest:.3} s", state.name()),
            count => write!(text, "\n{count} {}, for {youngest:.3} to {oldest:.3} s", state.name()),
        };
        if *state == State::Waiting {
            let _ = write!(text, ", up to {:.3} s without a poll", seconds(group.waited));
        }
        text.push_str(":\n");
        for frame in stack {
            let (function, file) = (escaped(frame.function.as_str()), escaped(frame.file.as_str()));
            let _ = writeln!(text, "    {function} ({file}:{})", frame.line);
        }
    }
    text
}

fn groups(min_age: Duration) -> Groups {
    let min_age = u64::try_from(min_age.as_nanos()).unwrap_or(u64::MAX);
    let now = clock::now();
    let age = |began: u64| clock::nanos(now.saturating_sub(began));
    // By the stack's place in memory at first: there may be very many calls.
    let mut waiting: BTreeMap<usize, (&'static super::Stack, Group)> = BTreeMap::new();
    waiting::each(|call| {
        let Some(since) = call.waits_since() else { return };
        if age(call.began) >= min_age {
            let place = std::ptr::from_ref(call.stack).addr();
            let (_, group) = waiting.entry(place).or_insert_with(|| (call.stack, Group::default()));
            group.add(age(call.began), age(since));
        }
    });
    let mut groups = Groups::new();
    for (stack, group) in waiting.into_values() {
        groups.insert((stack.frames(), State::Waiting), group);
    }
    for thread in running::all() {
        let seen = thread.seen();
        if let Some(outermost) = seen.first().filter(|outermost| age(outermost.began) >= min_age) {
            let stack = seen.iter().rev().map(|call| Frame::of(call.site)).collect();
            groups.entry((stack, State::Running)).or_default().add(age(outermost.began), 0);
        }
    }
    groups
}
