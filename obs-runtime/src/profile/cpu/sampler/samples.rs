//! Samples as the handler leaves them: records of words, one behind the other.

use crate::profile::cpu::LOST;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// 16 MiB, of which memory is taken as far as it is written to.
const WORDS: usize = 2 << 20;

static BUFFER: [AtomicU64; WORDS] = [const { AtomicU64::new(0) }; WORDS];
static USED: AtomicUsize = AtomicUsize::new(0);

/// The first word of a record has how many addresses there are, and these.
const WRITTEN: u64 = 1 << 63;
const CUT: u64 = 1 << 62;

/// The words before the addresses.
const HEAD: usize = 7;

/// Who was interrupted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Who {
    /// The site of the observed call, or 0.
    pub(super) site: usize,
    /// Its trace, or 0.
    pub(super) trace: u128,
    pub(super) thread: u64,
    /// The thread's name, up to a zero.
    pub(super) name: [u8; 16],
    /// Whether there were more frames.
    pub(super) cut: bool,
}

/// Keeps a sample, if there is room. Fit for a handler of signals.
pub(super) fn put(who: &Who, addresses: &[u64]) {
    let length = HEAD + addresses.len();
    let place = USED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
        used.checked_add(length).filter(|end| *end <= WORDS)
    });
    let Ok(start) = place else {
        LOST.fetch_add(1, Ordering::Relaxed);
        return;
    };
    let Some(record) = BUFFER.get(start..start + length) else { return };
    let (trace, name) = (halves(who.trace), halves(u128::from_ne_bytes(who.name)));
    let head = [who.site as u64, trace.0, trace.1, who.thread, name.0, name.1];
    for (word, value) in record[1..].iter().zip(head.iter().chain(addresses)) {
        word.store(*value, Ordering::Relaxed);
    }
    let cut = if who.cut { CUT } else { 0 };
    record[0].store(WRITTEN | cut | addresses.len() as u64, Ordering::Release);
}

/// Shows all samples, oldest first.
pub(super) fn each(mut show: impl FnMut(Who, Vec<u64>)) {
    let mut rest = &BUFFER[..USED.load(Ordering::Relaxed).min(WORDS)];
    while let Some((first, behind)) = rest.split_first() {
        let first = first.load(Ordering::Acquire);
        let addresses = usize::try_from(first & !(WRITTEN | CUT)).unwrap_or(usize::MAX);
        // One that is not written is of a thread that is held up in the handler; nobody knows where it ends.
        if first & WRITTEN == 0 || behind.len() < HEAD - 1 + addresses {
            return;
        }
        let (record, next) = behind.split_at(HEAD - 1 + addresses);
        let word = |index: usize| record[index].load(Ordering::Relaxed);
        let who = Who {
            site: usize::try_from(word(0)).unwrap_or(0),
            trace: whole(word(1), word(2)),
            thread: word(3),
            name: whole(word(4), word(5)).to_ne_bytes(),
            cut: first & CUT != 0,
        };
        show(who, (HEAD - 1..record.len()).map(word).collect());
        rest = next;
    }
}

/// Forgets all samples. Nobody is in the handler.
pub(super) fn clear() {
    let used = USED.load(Ordering::Relaxed).min(WORDS);
    BUFFER[..used].iter().for_each(|word| word.store(0, Ordering::Relaxed));
    USED.store(0, Ordering::Relaxed);
}

#[allow(clippy::cast_possible_truncation, reason = "the halves of a word")]
fn halves(whole: u128) -> (u64, u64) {
    ((whole >> 64) as u64, whole as u64)
}

fn whole(high: u64, low: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::cpu::tests::alone;

    #[test]
    fn what_has_no_room_is_counted() {
        let _alone = alone();
        clear();
        let addresses: Vec<u64> = (0..128).collect();
        let room = WORDS / (HEAD + addresses.len());
        let who = |number: usize| Who {
            site: number,
            trace: u128::MAX - number as u128,
            thread: number as u64,
            name: *b"a name of sixtee",
            cut: number.is_multiple_of(2),
        };
        let before = LOST.load(Ordering::Relaxed);
        for number in 0..room + 10 {
            put(&who(number), &addresses);
        }
        assert_eq!(LOST.load(Ordering::Relaxed) - before, 10);
        // There is room for one with less to say.
        put(&who(room), &[]);
        let mut number = 0;
        each(|found, found_addresses| {
            assert_eq!(found, who(number));
            assert!(found_addresses == addresses || number == room);
            number += 1;
        });
        assert_eq!(number, room + 1);
        clear();
        each(|found, _| panic!("{found:?}"));
    }
}
