//! Small searches and checks over a record's bytes: where a string ends, where a number ends.
//!
//! Everything here takes a slice and a place in it and answers the place behind what it has read, or `None`
//! where that is not there. Several bytes are looked at at once, so a slice that goes on past the record is
//! read faster; what is found past the record's end is the caller's to refuse.

/// A place in a record.
pub(crate) type At = usize;

/// The place behind white space.
pub(crate) fn skip_space(bytes: &[u8], mut at: At) -> At {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// The place behind `byte`, which must be here.
pub(crate) fn expect(bytes: &[u8], at: At, byte: u8) -> Option<At> {
    (bytes.get(at) == Some(&byte)).then_some(at + 1)
}

/// The place behind `word`, which must be here.
pub(crate) fn word(bytes: &[u8], at: At, word: &[u8]) -> Option<At> {
    bytes.get(at..)?.starts_with(word).then_some(at + word.len())
}

/// The closing quote of the string whose text starts at `at`; `None` if it has escapes or control characters.
#[inline]
pub(crate) fn plain_string(bytes: &[u8], at: At) -> Option<At> {
    let end = find_special(bytes, at)?;
    (bytes[end] == b'"').then_some(end)
}

/// The first quote, backslash or control character from `at` on.
#[inline]
pub(crate) fn find_special(bytes: &[u8], mut at: At) -> Option<At> {
    while let Some(chunk) = bytes.get(at..)?.first_chunk::<8>() {
        let found = specials(u64::from_le_bytes(*chunk));
        if found != 0 {
            return usize::try_from(found.trailing_zeros() / 8).ok().map(|offset| at + offset);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)).map(|offset| at + offset)
}

/// The high bit of the first byte that is a quote, a backslash or a control character, and perhaps of later ones.
#[inline]
fn specials(word: u64) -> u64 {
    // Sets the high bit of every byte that is zero; bytes above a zero one may be set falsely.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let quotes = zero(word ^ (ONES * u64::from(b'"')));
    let slashes = zero(word ^ (ONES * u64::from(b'\\')));
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    (quotes | slashes | controls) & HIGH
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = ONES * 0x80;

/// The value of a whole number of at most seven digits without sign, and the place behind it. `None` for any
/// other number, for a whole number with fraction or exponent, and where a slice ends within eight bytes.
#[inline]
pub(crate) fn short_integer(bytes: &[u8], at: At) -> Option<(i64, At)> {
    let word = u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
    let values = word ^ (ONES * u64::from(b'0'));
    // The high bit of every byte from the first that is no digit on: up to it no sum is carried over.
    let others = (values.wrapping_add(ONES * 0x76) | values) & HIGH;
    let bits = others.trailing_zeros() & !7;
    if bits == 0 || bits == 64 {
        return None;
    }
    let next = (word >> bits) & 0xff;
    let is_whole = next != u64::from(b'.') && next | 0x20 != u64::from(b'e');
    let is_padded = bits > 8 && values & 0xff == 0;
    if !is_whole || is_padded {
        return None;
    }
    // Digits to the high end, zeros in front of them; then neighbours are added up: pairs, fours, all.
    let digits = values << (64 - bits);
    let pairs = (digits.wrapping_mul(10 * 256 + 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100 * 65_536 + 1) >> 16) & 0x0000_ffff_0000_ffff;
    let value = fours.wrapping_mul((10_000 << 32) + 1) >> 32;
    Some((i64::try_from(value).ok()?, at + usize::try_from(bits / 8).ok()?))
}

/// The end of the number at `at` by JSON's grammar, and whether it has neither fraction nor exponent.
pub(crate) fn scan_number(bytes: &[u8], mut at: At) -> Option<(At, bool)> {
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    let digits_from = |mut at: At| {
        let start = at;
        while matches!(bytes.get(at), Some(b'0'..=b'9')) {
            at += 1;
        }
        (at > start).then_some(at)
    };
    let start = at;
    at = digits_from(at)?;
    if bytes[start] == b'0' && at > start + 1 {
        return None;
    }
    let mut whole = true;
    if bytes.get(at) == Some(&b'.') {
        at = digits_from(at + 1)?;
        whole = false;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        if matches!(bytes.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        at = digits_from(at)?;
        whole = false;
    }
    Some((at, whole))
}

/// A whole number of at most 18 characters, which cannot overflow.
pub(crate) fn small_integer(text: &[u8]) -> i64 {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        digits => (1, digits),
    };
    sign * digits.iter().fold(0_i64, |value, digit| value * 10 + i64::from(digit.wrapping_sub(b'0')))
}

/// How deep a skipped value may be nested before it is left to the full parser.
const MAX_DEPTH: usize = 32;

/// The end of the value at `at`, or behind white space there, checked by JSON's grammar as far as the full parser
/// would.
#[inline(always)]
pub(crate) fn skip_value(bytes: &[u8], at: At) -> Option<At> {
    match bytes.get(at)? {
        b'"' => skip_string(bytes, at + 1),
        b'0'..=b'9' => match short_integer(bytes, at) {
            Some((_, end)) => Some(end),
            None => scan_number(bytes, at).map(|(end, _)| end),
        },
        _ => skip_any(bytes, skip_space(bytes, at), 0),
    }
}

fn skip_any(bytes: &[u8], at: At, depth: usize) -> Option<At> {
    match bytes.get(at)? {
        b'"' => skip_string(bytes, at + 1),
        b'-' | b'0'..=b'9' => scan_number(bytes, at).map(|(end, _)| end),
        b't' => word(bytes, at, b"true"),
        b'f' => word(bytes, at, b"false"),
        b'n' => word(bytes, at, b"null"),
        open @ (b'{' | b'[') if depth < MAX_DEPTH => {
            let is_object = *open == b'{';
            let close = if is_object { b'}' } else { b']' };
            let mut at = skip_space(bytes, at + 1);
            if bytes.get(at) == Some(&close) {
                return Some(at + 1);
            }
            loop {
                if is_object {
                    at = skip_string(bytes, expect(bytes, at, b'"')?)?;
                    at = skip_space(bytes, expect(bytes, skip_space(bytes, at), b':')?);
                }
                at = skip_space(bytes, skip_any(bytes, at, depth + 1)?);
                match bytes.get(at)? {
                    b',' => at = skip_space(bytes, at + 1),
                    byte if *byte == close => return Some(at + 1),
                    _ => return None,
                }
            }
        }
        _ => None,
    }
}

/// The place behind the closing quote of the string whose text starts at `at`. Escapes are stepped over: whether
/// two `\u` make a valid pair is asked only of strings that are needed.
#[inline]
pub(crate) fn skip_string(bytes: &[u8], mut at: At) -> Option<At> {
    loop {
        at = find_special(bytes, at)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at = escape(bytes, at)?;
    }
}

/// The place behind the escape at `at`.
#[cold]
fn escape(bytes: &[u8], at: At) -> Option<At> {
    match bytes.get(at..at + 2)? {
        [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't'] => Some(at + 2),
        [b'\\', b'u'] => {
            let digits = bytes.get(at + 2..at + 6)?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(at + 6)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn strings_end_where_a_plain_loop_finds_it(
            bytes in prop::collection::vec(prop::sample::select(&b"ab\"\\\x1f\x20\x7f\x80\xff\x00"[..]), 0..8),
            before in 0_usize..70,
            behind in 0_usize..70,
        ) {
            let mut text = vec![b'x'; before];
            text.extend(&bytes);
            text.extend(vec![b'y'; behind]);
            let expected = text.iter().position(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\');
            prop_assert_eq!(find_special(&text, 0), expected);
        }

        #[test]
        fn short_integers_are_those_that_rust_reads(text in "[0-9]{0,9}[-+.eE,} 0-9a-z\u{80}]{0,8}") {
            let bytes = text.as_bytes();
            let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
            if let Some((value, at)) = short_integer(bytes, 0) {
                prop_assert_eq!(at, end);
                prop_assert_eq!(text[..end].parse::<i64>(), Ok(value));
                prop_assert_eq!(scan_number(bytes, 0), Some((end, true)));
            } else if bytes.len() >= 8 && (1..8).contains(&end) && !matches!(bytes[end], b'.' | b'e' | b'E') {
                prop_assert!(end > 1 && bytes[0] == b'0', "{} was left alone", text);
            }
        }
    }
}
