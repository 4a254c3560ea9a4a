//! Java's patterns of dates and times (`yyyy-MM-dd HH:mm:ss.SSS`), written and read.
//!
//! Understood are `y`, `M`, `d`, `D` (day of the year), `H`, `h` with `a`, `m`, `s`, `S`, `E`, texts in quotes
//! and signs. Another letter is refused: it would mean something.

use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike};
use datafusion::common::{Result, exec_err};

/// What is wrong with a pattern, for writing or for reading times.
pub(super) fn mistake(pattern: &str, reads: bool) -> Option<String> {
    let parts = match parts(pattern) {
        Ok(parts) => parts,
        Err(error) => {
            return Some(error.strip_backtrace().trim_start_matches("Execution error: ").to_owned());
        }
    };
    let unread = parts.iter().find_map(|part| match part {
        Part::Field(letter, count) if reads && !is_read(*letter, *count) => Some(letter),
        _ => None,
    });
    unread.map(|letter| format!("a timestamp cannot be read by '{letter}' in the pattern '{pattern}'"))
}

/// Whether times can be read by so many of a letter.
fn is_read(letter: char, count: usize) -> bool {
    match letter {
        'y' | 'u' | 'd' | 'H' | 'h' | 'm' | 's' | 'S' | 'a' => true,
        'M' => count <= 2,
        _ => false,
    }
}

/// A part of a pattern: a letter and how often it stands, or text.
enum Part {
    Field(char, usize),
    Text(String),
}

fn parts(pattern: &str) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\'' {
            let mut text = String::new();
            if chars.next_if_eq(&'\'').is_some() {
                text.push('\'');
            } else {
                loop {
                    match chars.next() {
                        Some('\'') if chars.next_if_eq(&'\'').is_some() => text.push('\''),
                        Some('\'') => break,
                        Some(c) => text.push(c),
                        None => return exec_err!("the pattern '{pattern}' has a quote that is not closed"),
                    }
                }
            }
            parts.push(Part::Text(text));
        } else if c.is_ascii_alphabetic() {
            let mut count = 1;
            while chars.next_if_eq(&c).is_some() {
                count += 1;
            }
            let known = match c {
                'y' | 'u' | 'd' | 'H' | 'h' | 'm' | 's' | 'a' | 'D' => true,
                'M' | 'E' => count <= 4,
                'S' => count <= 9,
                _ => false,
            };
            if !known || count > 9 {
                return exec_err!(
                    "the pattern '{pattern}' has '{}', which is not understood. the letters are y, M, d, D, H, h, a, m, s, S and E",
                    c.to_string().repeat(count)
                );
            }
            parts.push(Part::Field(c, count));
        } else {
            parts.push(Part::Text(c.to_string()));
        }
    }
    Ok(parts)
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Writes a time.
pub(super) fn format(pattern: &str, time: NaiveDateTime) -> Result<String> {
    let mut out = String::new();
    for part in parts(pattern)? {
        let (letter, count) = match part {
            Part::Text(text) => {
                out += &text;
                continue;
            }
            Part::Field(letter, count) => (letter, count),
        };
        let number = match letter {
            'y' | 'u' if count == 2 => i64::from(time.year().rem_euclid(100)),
            'y' | 'u' => i64::from(time.year()),
            'M' if count >= 3 => {
                let name =
                    MONTHS.get(usize::try_from(time.month0()).unwrap_or(0)).copied().unwrap_or_default();
                out += if count == 3 { &name[..3] } else { name };
                continue;
            }
            'E' => {
                let day = usize::try_from(time.weekday().num_days_from_monday()).unwrap_or(0);
                let name = DAYS.get(day).copied().unwrap_or_default();
                out += if count <= 3 { &name[..3] } else { name };
                continue;
            }
            'a' => {
                out += if time.hour() < 12 { "AM" } else { "PM" };
                continue;
            }
            'S' => {
                let digits = format!("{:09}", time.nanosecond());
                out += &digits[..count];
                continue;
            }
            'M' => i64::from(time.month()),
            'd' => i64::from(time.day()),
            'D' => i64::from(time.ordinal()),
            'H' => i64::from(time.hour()),
            'h' => i64::from((time.hour() + 11) % 12 + 1),
            'm' => i64::from(time.minute()),
            _ => i64::from(time.second()),
        };
        out += &format!("{number:0count$}");
    }
    Ok(out)
}

/// Reads a time; `None` for a text that does not follow the pattern. What the pattern leaves out is the start
/// of 1970.
pub(super) fn parse(pattern: &str, text: &str) -> Result<Option<NaiveDateTime>> {
    let parts = parts(pattern)?;
    let mut fields = Fields::default();
    let mut rest = text;
    for (index, part) in parts.iter().enumerate() {
        match part {
            Part::Text(expected) => match rest.strip_prefix(expected.as_str()) {
                Some(after) => rest = after,
                None => return Ok(None),
            },
            Part::Field(letter, count) if *letter != 'a' && is_read(*letter, *count) => {
                // Fields that touch have the width of the pattern, others take all digits.
                let touches = matches!(parts.get(index + 1), Some(Part::Field(..)));
                let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                let width = match letter {
                    _ if touches => digits.min(*count),
                    // A fraction may have more digits than the pattern.
                    'S' => digits.min(9),
                    _ => digits,
                };
                let (number, after) = rest.split_at(width);
                // A fraction may also have fewer.
                if width == 0 || (width < *count && *letter != 'S') {
                    return Ok(None);
                }
                rest = after;
                let Ok(value) = number.parse::<u32>() else { return Ok(None) };
                fields.set(*letter, *count, value, width);
            }
            Part::Field('a', _) => {
                let Some((word, after)) = rest.split_at_checked(2) else { return Ok(None) };
                fields.afternoon = Some(word.eq_ignore_ascii_case("PM"));
                rest = after;
            }
            Part::Field(letter, _) => {
                return exec_err!("a timestamp cannot be read by '{letter}' in the pattern '{pattern}'");
            }
        }
    }
    Ok(if rest.trim().is_empty() { fields.time() } else { None })
}

struct Fields {
    year: u32,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
    nano: u32,
    afternoon: Option<bool>,
}

impl Default for Fields {
    fn default() -> Self {
        Fields { year: 1970, month: 1, day: 1, hour: 0, minute: 0, second: 0, nano: 0, afternoon: None }
    }
}

impl Fields {
    fn set(&mut self, letter: char, count: usize, value: u32, width: usize) {
        match letter {
            'y' | 'u' => self.year = if count == 2 && width == 2 { 2000 + value } else { value },
            'M' => self.month = value,
            'd' => self.day = value,
            'H' | 'h' => self.hour = value,
            'm' => self.minute = value,
            's' => self.second = value,
            _ => {
                let zeros = u32::try_from(9_usize.saturating_sub(width)).unwrap_or(0);
                self.nano = value.saturating_mul(10_u32.saturating_pow(zeros));
            }
        }
    }

    fn time(&self) -> Option<NaiveDateTime> {
        let hour = match self.afternoon {
            None => self.hour,
            Some(afternoon) => self.hour % 12 + if afternoon { 12 } else { 0 },
        };
        NaiveDate::from_ymd_opt(i32::try_from(self.year).ok()?, self.month, self.day)?.and_hms_nano_opt(
            hour,
            self.minute,
            self.second,
            self.nano,
        )
    }
}

/// Reads `yyyy-MM-dd`, with or without a time of the day and a fraction.
pub(super) fn parse_plain(text: &str) -> Option<NaiveDateTime> {
    let text = text.trim();
    let forms = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M"];
    forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok()).or_else(|| {
        NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().and_then(|date| date.and_hms_opt(0, 0, 0))
    })
}
