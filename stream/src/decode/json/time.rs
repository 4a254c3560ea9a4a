//! The text of a date or time to a number.
//!
//! A time that nanoseconds of 64 bits do not hold is none: see [`EventTime::NANOS`].
//!
//! [`timestamp`] and [`date`] read every accepted form. [`LastDay`] reads the usual one, milliseconds in UTC, at
//! fixed places and knows the day of the last time it read; it must answer the same.

use crate::time::EventTime;

/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;
/// How a time is usually written.
const USUAL: &[u8; 24] = b"0000-00-00T00:00:00.000Z";

/// The day of the last time in the usual form: times come in order, nearly all have the day of the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastDay {
    /// `YYYY-MM-` and `DD`.
    text: (u64, u64),
    days: i64,
}

impl Default for LastDay {
    fn default() -> Self {
        // More than two bytes, so that no text is equal.
        LastDay { text: (0, u64::MAX), days: 0 }
    }
}

impl LastDay {
    /// Bytes of the usual form.
    pub(crate) const LENGTH: usize = USUAL.len();

    /// The time that `bytes` begin with, if it is written `YYYY-MM-DDTHH:MM:SS.mmmZ`, in microseconds since the
    /// Unix epoch.
    #[inline]
    pub(crate) fn timestamp(&mut self, bytes: &[u8]) -> Option<i64> {
        const SIX: u64 = 0x0606_0606_0606_0606;
        let [first, second, third] = words(bytes.first_chunk()?);
        let [_, second_zeros, third_zeros] = words(USUAL);
        let text = (first, second & 0xffff);
        // Digits become their values, what lies between them zero; the day is left out.
        let clock = (second ^ second_zeros) & !0xffff;
        let fraction = third ^ third_zeros;
        // A byte is a digit if its high half is zero, and still is after adding six.
        let clock_digits = 0xf0f0_00f0_f000_0000;
        let fraction_digits = 0x00f0_f0f0_00f0_f000;
        let wrong = (clock & !(clock_digits >> 4))
            | (clock.wrapping_add(SIX) & clock_digits)
            | (fraction & !(fraction_digits >> 4))
            | (fraction.wrapping_add(SIX) & fraction_digits);
        if wrong != 0 {
            return None;
        }
        // In each byte ten times itself and the next: the value of two digits.
        let clock_pairs = clock.wrapping_mul(10).wrapping_add(clock >> 8);
        let fraction_pairs = fraction.wrapping_mul(10).wrapping_add(fraction >> 8);
        let byte = |word: u64, index: u32| i64::try_from(word >> (index * 8) & 0xff).ok();
        let (hour, minute) = (byte(clock_pairs, 3)?, byte(clock_pairs, 6)?);
        let second = byte(fraction_pairs, 1)?;
        let millis = byte(fraction_pairs, 4)? * 10 + byte(fraction, 6)?;
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        if text != self.text {
            let days = date(bytes.get(..10)?)?;
            // The first and the last day that are not whole are left to the other way, with what lies beyond.
            if days.abs() >= EventTime::NANOS.end() / DAY_US {
                return None;
            }
            *self = LastDay { days, text };
        }
        let seconds = ((self.days * 24 + hour) * 60 + minute) * 60 + second;
        Some((seconds * 1_000 + millis) * 1_000)
    }
}

/// Three times eight bytes as numbers, the first lowest.
#[inline]
fn words(bytes: &[u8; 24]) -> [u64; 3] {
    let (words, _) = bytes.as_chunks::<8>();
    [0, 1, 2].map(|index: usize| words.get(index).map_or(0, |word| u64::from_le_bytes(*word)))
}

fn digits(bytes: &[u8]) -> Option<i64> {
    let mut value = 0_i64;
    for byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(value)
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar; `None` where there is no such date.
///
/// The arithmetic is Howard Hinnant's `days_from_civil` (<https://howardhinnant.github.io/date_algorithms.html>).
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let last = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=last).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// `YYYY-MM-DD` as days since the Unix epoch.
pub(crate) fn date(text: &[u8]) -> Option<i64> {
    match text {
        [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] => {
            days(digits(&[*y1, *y2, *y3, *y4])?, digits(&[*m1, *m2])?, digits(&[*d1, *d2])?)
        }
        _ => None,
    }
}

/// `HH:MM:SS[.fraction]`, up to nine digits, as nanoseconds since midnight.
pub(crate) fn time_of_day(text: &[u8]) -> Option<i64> {
    let [h1, h2, b':', m1, m2, b':', s1, s2, fraction @ ..] = text else { return None };
    let (hour, minute, second) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?, digits(&[*s1, *s2])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let nanos = match fraction {
        [] => 0,
        [b'.', fraction @ ..] if (1..=9).contains(&fraction.len()) => {
            digits(fraction)? * 10_i64.pow(9 - u32::try_from(fraction.len()).ok()?)
        }
        _ => return None,
    };
    Some(((hour * 60 + minute) * 60 + second) * 1_000_000_000 + nanos)
}

/// `YYYY-MM-DD[T ]HH:MM:SS[.fraction][Z|±HH:MM]` as microseconds since the Unix epoch; digits of the fraction
/// past the sixth are cut off.
pub fn timestamp(text: &[u8]) -> Option<i64> {
    let day = date(text.get(..10)?)?;
    let time = text.get(10..19)?;
    let [b'T' | b't' | b' ', h1, h2, b':', m1, m2, b':', s1, s2] = time else { return None };
    let (hour, minute, second) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?, digits(&[*s1, *s2])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut rest = &text[19..];
    let mut micros = 0;
    if let [b'.', fraction @ ..] = rest {
        let length = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if length == 0 {
            return None;
        }
        let digits = fraction[..length].iter().map(|digit| i64::from(digit - b'0'));
        for digit in digits.chain(std::iter::repeat(0)).take(6) {
            micros = micros * 10 + digit;
        }
        rest = &fraction[length..];
    }
    let offset_minutes = match rest {
        [] | [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 60 + minutes;
            if *sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    let time = (((day * 24 + hour) * 60 + minute - offset_minutes) * 60 + second) * 1_000_000 + micros;
    Some(time).filter(|time| EventTime::NANOS.contains(time))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_of_day() {
        assert_eq!(time_of_day(b"00:00:00"), Some(0));
        assert_eq!(time_of_day(b"12:34:56.789"), Some(45_296_789_000_000));
        assert_eq!(time_of_day(b"23:59:59.999999999"), Some(86_399_999_999_999));
        for text in
            ["24:00:00", "12:34", "12:34:56.", "12:34:56.1234567890", "12:34:56Z", "1:02:03", "12:60:00"]
        {
            assert_eq!(time_of_day(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn timestamps_agree_with_chrono(micros in -62_135_596_800_000_000_i64..253_402_300_799_999_999) {
            let time = chrono::DateTime::from_timestamp_micros(micros).unwrap();
            let text = time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
            let held = Some(micros).filter(|_| time.timestamp_nanos_opt().is_some());
            prop_assert_eq!(timestamp(text.as_bytes()), held);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = (timestamp(&bytes), date(&bytes));
        }

        /// Changed bytes of usual times, one after the other, so that days are remembered and forgotten.
        #[test]
        fn the_usual_form_is_read_as_any_other(
            times in prop::collection::vec(
                (
                    prop::sample::select(vec![
                        "2026-01-05T12:34:56.789Z",
                        "2026-01-06T23:59:59.999Z",
                        "2026-02-28T00:00:00.000Z",
                        "1969-12-31T23:00:00.001Z",
                    ]),
                    prop::collection::vec((0_usize..24, any::<u8>()), 0..3),
                    prop::collection::vec((0_usize..24, b'0'..=b':'), 0..3),
                ),
                1..8,
            ),
        ) {
            let mut last = LastDay::default();
            prop_assert_eq!(last.timestamp(b"\0\0\0\0\0\0\0\0\0\0T00:00:00.000Z"), None);
            for (time, any, digits) in times {
                let mut bytes = time.as_bytes().to_vec();
                for (at, byte) in any.into_iter().chain(digits) {
                    bytes[at] = byte;
                }
                // Other forms that have 24 bytes are left alone; no usual one is.
                let expected = timestamp(&bytes);
                match last.timestamp(&bytes) {
                    Some(found) => prop_assert_eq!(Some(found), expected),
                    None if bytes[10] == b'T' && bytes[19] == b'.' && bytes[23] == b'Z' => {
                        prop_assert_eq!(expected, None)
                    }
                    None => {}
                }
            }
        }
    }

    #[test]
    fn times_that_nanoseconds_do_not_hold_are_none() {
        let mut last = LastDay::default();
        for (text, is_held) in [
            ("2262-04-11T23:47:16.854Z", true),
            ("2262-04-11T23:47:16.855Z", false),
            ("1677-09-21T00:12:43.146Z", true),
            ("1677-09-21T00:12:43.145Z", false),
            ("9999-12-31T00:00:00.000Z", false),
            ("0001-01-01T00:00:00.000Z", false),
        ] {
            assert_eq!(timestamp(text.as_bytes()).is_some(), is_held, "{text}");
            assert_eq!(
                last.timestamp(text.as_bytes()).or(timestamp(text.as_bytes())).is_some(),
                is_held,
                "{text}"
            );
        }
    }

    #[test]
    fn zones_and_fractions() {
        let noon = timestamp(b"2026-01-05T12:00:00Z").unwrap();
        assert_eq!(timestamp(b"2026-01-05 12:00:00"), Some(noon));
        assert_eq!(timestamp(b"2026-01-05T13:30:00+01:30"), Some(noon));
        assert_eq!(timestamp(b"2026-01-05T12:00:00.5Z"), Some(noon + 500_000));
        assert_eq!(timestamp(b"2026-01-05T12:00:00.1234567Z"), Some(noon + 123_456));
        for bad in [
            "2026-02-29T00:00:00Z",
            "2026-01-05T24:00:00Z",
            "2026-01-05",
            "2026-01-05T12:00:00.Z",
            "2026-13-01T00:00:00Z",
        ] {
            assert_eq!(timestamp(bad.as_bytes()), None, "{bad}");
        }
    }
}
