//! Time stamps in the form of RFC 3339, of which all but the fraction changes once a second.

const NANOS: u64 = 1_000_000_000;

/// How long a stamp is.
pub(crate) const STAMP_BYTES: usize = 27;

/// Where the fraction's six digits stand.
const FRACTION: std::ops::Range<usize> = 20..26;

/// The last stamp made.
pub(crate) struct Stamp {
    second: u64,
    text: [u8; STAMP_BYTES],
}

impl Stamp {
    pub(crate) const NONE: Self = Self { second: u64::MAX, text: *b"0000-00-00T00:00:00.000000Z" };

    /// The stamp of a moment, to the microsecond.
    pub(crate) fn of(&mut self, unix_nanos: u64) -> &[u8; STAMP_BYTES] {
        let second = unix_nanos / NANOS;
        if second != self.second {
            self.second = second;
            let (year, month, day) = date(second / 86_400);
            let (hour, minute) = (second / 3_600 % 24, second / 60 % 60);
            for (range, number) in [
                (0..4, year),
                (5..7, month),
                (8..10, day),
                (11..13, hour),
                (14..16, minute),
                (17..19, second % 60),
            ] {
                digits(&mut self.text[range], number);
            }
        }
        let micros = unix_nanos % NANOS / 1_000;
        for (out, two) in self.text[FRACTION].chunks_exact_mut(2).zip([10_000, 100, 1]) {
            out.copy_from_slice(&two_digits(micros / two % 100));
        }
        &self.text
    }
}

/// One stamp alone.
#[cfg(feature = "health")]
pub(crate) fn rfc3339(unix_nanos: u64) -> String {
    let mut stamp = Stamp::NONE;
    String::from_utf8_lossy(stamp.of(unix_nanos)).into_owned()
}

fn digits(out: &mut [u8], mut number: u64) {
    for two in out.chunks_exact_mut(2).rev() {
        two.copy_from_slice(&two_digits(number % 100));
        number /= 100;
    }
}

/// The digits of a number below a hundred.
#[inline]
fn two_digits(number: u64) -> [u8; 2] {
    [number / 10, number % 10].map(|digit| b'0' + (digit & 0xf) as u8)
}

/// The Gregorian date of a day since 1970-01-01. Years begin in March here, so that the leap day is
/// the last one, and repeat in eras of 400.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_rfc_3339() {
        let mut stamp = Stamp::NONE;
        for (seconds, micros, expected) in [
            (0, 0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, 1, "2000-02-28T23:59:59.000001Z"),
            (951_782_400, 0, "2000-02-29T00:00:00.000000Z"),
            (951_868_800, 0, "2000-03-01T00:00:00.000000Z"),
            (1_798_761_599, 999_999, "2026-12-31T23:59:59.999999Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000000Z"),
        ] {
            let text = stamp.of(seconds * NANOS + micros * 1_000);
            assert_eq!(std::str::from_utf8(text), Ok(expected));
        }
    }
}
