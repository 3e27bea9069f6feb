//! Reads jemalloc's profiles: `heap_v2`, in which each stack is a line of addresses, and below it what it has allocated, in
//! all (`t*`) and by thread.
//!
//! ```text
//! heap_v2/524288
//!   t*: 2: 1048640 [3: 1572928]
//! @ 0x55d0c1a2 0x55d0b3f4
//!   t*: 2: 1048640 [3: 1572928]
//!   t0: 2: 1048640 [3: 1572928]
//!
//! MAPPED_LIBRARIES:
//! ```

use std::io::{self, BufRead};

/// Gives each stack, innermost address first, with its values: objects and bytes, ever allocated and alive. Returns for how
/// many bytes there is a sample.
pub(super) fn read(mut dump: impl BufRead, mut each: impl FnMut(&[u64], [i64; 4])) -> io::Result<i64> {
    // A thread's name may be any bytes.
    let mut line = Vec::new();
    let mut next = |line: &mut Vec<u8>| -> io::Result<bool> {
        line.clear();
        let more = dump.read_until(b'\n', line)? > 0;
        line.truncate(line.trim_ascii_end().len());
        Ok(more)
    };
    next(&mut line)?;
    let rate = std::str::from_utf8(&line).ok().and_then(|line| line.strip_prefix("heap_v2/")?.parse().ok());
    let rate: u32 = rate.filter(|rate| *rate > 0).ok_or_else(|| malformed(&line))?;
    let mut stack = Vec::new();
    while next(&mut line)? && line != b"MAPPED_LIBRARIES:" {
        if line.starts_with(b"@") {
            stack = addresses(&line).ok_or_else(|| malformed(&line))?;
        } else if let Some(counted) = line.strip_prefix(b"  t*: ") {
            // Before the first stack it is the sum of all.
            if !stack.is_empty() {
                let [in_use, ever] =
                    counts(counted).ok_or_else(|| malformed(&line))?.map(|counts| unsampled(counts, rate));
                each(&stack, [ever[0], ever[1], in_use[0], in_use[1]]);
                stack.clear();
            }
        }
    }
    Ok(rate.into())
}

fn malformed(line: &[u8]) -> io::Error {
    let shown: String = String::from_utf8_lossy(line).chars().take(80).collect();
    io::Error::new(io::ErrorKind::InvalidData, format!("this is no line of a profile: {shown:?}"))
}

/// `@ 0x55d0c1a2 0x55d0b3f4`
fn addresses(line: &[u8]) -> Option<Vec<u64>> {
    let hexadecimal = |word: &str| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok();
    std::str::from_utf8(line).ok()?.strip_prefix('@')?.split_ascii_whitespace().map(hexadecimal).collect()
}

/// `2: 1048640 [3: 1572928]`: objects and bytes, in use and ever.
fn counts(text: &[u8]) -> Option<[[u64; 2]; 2]> {
    let (in_use, ever) = std::str::from_utf8(text).ok()?.strip_suffix(']')?.split_once(" [")?;
    let pair = |text: &str| {
        let (objects, bytes) = text.split_once(": ")?;
        Some([objects.parse().ok()?, bytes.parse().ok()?])
    };
    Some([pair(in_use)?, pair(ever)?])
}

/// How many objects and bytes there were, if these are in the samples. An allocation of `size` bytes is in them with a
/// probability of `1 - exp(-size / rate)`; jemalloc has written its numbers so that the average size of a stack will do.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "it is an estimate, and saturates"
)]
fn unsampled([objects, bytes]: [u64; 2], rate: u32) -> [i64; 2] {
    if objects == 0 || bytes == 0 {
        return [0, 0];
    }
    let (objects, bytes) = (objects as f64, bytes as f64);
    let probability = -(-(bytes / objects) / f64::from(rate)).exp_m1();
    [objects, bytes].map(|value| (value / probability).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "heap_v2/524288\n  t*: 3: 1049664 [5: 2098240]\n  t0: 3: 1049664 [5: 2098240] \u{fffd}main\n\
        @ 0x55d0c1a2 0x55d0b3f4 0x7f00\n  t*: 2: 1048640 [3: 1572928]\n  t0: 2: 1048640 [3: 1572928]\n\
        @ 0x1\n  t*: 0: 0 [1: 1024]\n  t0: 0: 0 [1: 1024]\n\
        @ 0xffffffffffffffff\n  t*: 1: 1024 [1: 1024]\n\nMAPPED_LIBRARIES:\n@ not a stack\n";

    type Stacks = Vec<(Vec<u64>, [i64; 4])>;

    fn all(text: &[u8]) -> io::Result<(i64, Stacks)> {
        let mut stacks = Vec::new();
        let rate = read(text, |stack, values| stacks.push((stack.to_vec(), values)))?;
        Ok((rate, stacks))
    }

    #[test]
    fn each_stack_has_its_sum() {
        let (rate, stacks) = all(SAMPLE.as_bytes()).expect("a profile");
        assert_eq!(rate, 524_288);
        let addresses: Vec<_> = stacks.iter().map(|(addresses, _)| &addresses[..]).collect();
        assert_eq!(addresses, [&[0x55d0_c1a2, 0x55d0_b3f4, 0x7f00][..], &[1], &[u64::MAX]]);
        let [ever, ever_bytes, live, live_bytes] = stacks[0].1;
        assert!((4..=5).contains(&ever) && (3..=4).contains(&live), "{ever} {live}");
        assert!(ever_bytes > 1_572_928 && live_bytes > 1_048_640 && live_bytes < 2_000_000);
        assert_eq!(stacks[1].1[2..], [0, 0], "all freed");
        // One of 1 KiB stands for all that were not sampled, half a megabyte together.
        assert_eq!(stacks[2].1, [513, 524_800, 513, 524_800]);
    }

    #[test]
    fn large_ones_stand_for_themselves() {
        assert_eq!(unsampled([3, 3 << 30], 1 << 19), [3, 3 << 30]);
        assert_eq!(unsampled([0, 5], 1), [0, 0]);
        assert_eq!(unsampled([5, 0], 1), [0, 0]);
        assert_eq!(unsampled([u64::MAX, 1], u32::MAX), [i64::MAX, i64::MAX]);
    }

    #[test]
    fn what_is_no_profile_is_refused() {
        for (text, shown) in [
            ("", "\"\""),
            ("heap_v1/524288\n", "heap_v1"),
            ("heap_v2/0\n", "heap_v2/0"),
            ("heap_v2/x\n", "heap_v2/x"),
            ("heap_v2/1\n@ 12\n", "@ 12"),
            ("heap_v2/1\n@ 0x12345678901234567\n", "@ 0x1"),
            ("heap_v2/1\n@ 0x1\n  t*: 1: 2\n", "t*: 1: 2"),
            ("heap_v2/1\n@ 0x1\n  t*: 1: 2 [3: -4]\n", "-4"),
        ] {
            let error = all(text.as_bytes()).expect_err(text).to_string();
            assert!(error.contains("no line of a profile") && error.contains(shown), "{error}");
        }
        assert_eq!(all(b"heap_v2/1").expect("an empty one"), (1, Vec::new()));
    }

    #[test]
    fn whatever_is_in_it_nothing_breaks() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let mut text = SAMPLE.as_bytes().to_vec();
            for _ in 0..random.usize(1..6) {
                let place = random.usize(..text.len());
                match random.u8(..4) {
                    0 => text.truncate(place.max(1)),
                    1 => text[place] = random.u8(..),
                    2 => text.insert(place, b"@ :[]\n0x9*"[random.usize(..10)]),
                    _ => drop(text.drain(place..(place + random.usize(..40)).min(text.len()))),
                }
                if text.is_empty() {
                    break;
                }
            }
            if let Ok((_, stacks)) = all(&text) {
                assert!(stacks.iter().all(|(stack, _)| !stack.is_empty()));
            }
        }
    }
}
