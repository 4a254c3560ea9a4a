//! One event's six fields out of its bytes.
//!
//! The fields are expected in the order in which they are written, strings without escapes; everything else is
//! left to `serde_json`, with the same answer.

use std::borrow::Cow;

use anyhow::{Context, anyhow};
use memchr::memchr;
use serde::Deserialize;

/// What the queries look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `product_viewed`
    View,
    /// `cart_item_added`
    Addition,
    /// `order_completed`
    Order,
    /// Any other.
    Other,
}

impl Kind {
    fn of(name: &[u8]) -> Self {
        match name {
            b"product_viewed" => Kind::View,
            b"cart_item_added" => Kind::Addition,
            b"order_completed" => Kind::Order,
            _ => Kind::Other,
        }
    }
}

/// The six fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields<'a> {
    /// `event_type`
    pub kind: Kind,
    /// `event_time`, milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// `session_id`
    pub session: &'a [u8],
    /// Where that is in the line; `None` where it was written with escapes.
    pub session_at: Option<usize>,
    /// `product_id`
    pub product: i64,
    /// `quantity`
    pub quantity: i64,
    /// `price_cents`
    pub price_cents: i64,
}

impl Fields<'_> {
    /// What an order brought; 0 for other events.
    pub const fn revenue_cents(&self) -> i64 {
        match self.kind {
            Kind::Order => self.quantity.wrapping_mul(self.price_cents),
            _ => 0,
        }
    }
}

/// Reads events.
#[derive(Debug, Default)]
pub struct Scanner {
    /// The date that was read last, and its midnight: most events are of the same day.
    date: [u8; 10],
    midnight_ms: i64,
}

impl Scanner {
    /// Reads a line and hands its fields to `each`.
    pub fn scan(&mut self, line: &[u8], each: impl FnOnce(Fields<'_>)) -> anyhow::Result<()> {
        if let Some(fields) = self.expected(line) {
            each(fields);
            return Ok(());
        }
        let text = || String::from_utf8_lossy(line).into_owned();
        let event: Event<'_> = serde_json::from_slice(line).with_context(text)?;
        let time_ms = self.time(event.event_time.as_bytes());
        each(Fields {
            kind: Kind::of(event.event_type.as_bytes()),
            time_ms: time_ms.ok_or_else(|| anyhow!("not a time: {}", event.event_time))?,
            session: event.session_id.as_bytes(),
            session_at: None,
            product: event.product_id,
            quantity: event.quantity,
            price_cents: event.price_cents,
        });
        Ok(())
    }

    fn expected<'a>(&mut self, line: &'a [u8]) -> Option<Fields<'a>> {
        let mut at = At(line);
        at.pass(b"{\"event_id\":\"")?;
        at.text()?;
        at.pass(b",\"event_type\":\"")?;
        let kind = Kind::of(at.text()?);
        at.pass(b",\"event_time\":\"")?;
        let time_ms = self.time(at.text()?)?;
        at.pass(b",\"session_id\":\"")?;
        let session_at = Some(line.len() - at.0.len());
        let session = at.text()?;
        at.pass(b",\"user_id\":\"")?;
        at.text()?;
        at.pass(b",\"product_id\":")?;
        let product = at.number()?;
        at.pass(b",\"category\":\"")?;
        at.text()?;
        at.pass(b",\"quantity\":")?;
        let quantity = at.number()?;
        at.pass(b",\"price_cents\":")?;
        let price_cents = at.number()?;
        // The last two are not looked at, but the record must be whole.
        at.pass(b",\"currency\":\"")?;
        at.text()?;
        at.pass(b",\"page\":\"")?;
        at.text()?;
        let whole = at.0 == b"}" && memchr(b'\\', session).is_none();
        whole.then_some(Fields { kind, time_ms, session, session_at, product, quantity, price_cents })
    }

    /// `YYYY-MM-DDTHH:MM:SS.mmmZ`, or without the fraction.
    fn time(&mut self, text: &[u8]) -> Option<i64> {
        let (date, time) = text.split_first_chunk::<10>()?;
        if *date != self.date {
            self.midnight_ms = midnight_ms(date)?;
            self.date = *date;
        }
        let (millis, time) = match time {
            [time @ .., b'.', a, b, c, b'Z'] => (digits(&[*a, *b, *c])?, time),
            [time @ .., b'Z'] => (0, time),
            _ => return None,
        };
        let [b'T', h1, h2, b':', m1, m2, b':', s1, s2] = time else { return None };
        let (hours, minutes, seconds) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?, digits(&[*s1, *s2])?);
        Some(self.midnight_ms + ((hours * 60 + minutes) * 60 + seconds) * 1_000 + millis)
    }
}

/// A time as the events have it, in milliseconds since the Unix epoch.
pub fn time_ms(text: &str) -> Option<i64> {
    Scanner::default().time(text.as_bytes())
}

fn midnight_ms(date: &[u8; 10]) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = date else { return None };
    let (year, month, day) = (digits(&[*y1, *y2, *y3, *y4])?, digits(&[*m1, *m2])?, digits(&[*d1, *d2])?);
    // Howard Hinnant's `days_from_civil` (<https://howardhinnant.github.io/date_algorithms.html>).
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some((era * 146_097 + day_of_era - 719_468) * 86_400_000)
}

fn digits(text: &[u8]) -> Option<i64> {
    let mut value = 0;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(value)
}

/// What is left of a line.
struct At<'a>(&'a [u8]);

impl<'a> At<'a> {
    fn pass(&mut self, expected: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(expected)?;
        Some(())
    }

    /// The text up to the next quote, which is passed. A quote behind a backslash is none of ours.
    fn text(&mut self) -> Option<&'a [u8]> {
        let end = memchr(b'"', self.0)?;
        let (text, rest) = (&self.0[..end], &self.0[end + 1..]);
        self.0 = rest;
        (text.last() != Some(&b'\\')).then_some(text)
    }

    /// A whole number of at most 18 digits. What follows it must be what is expected: no more digits, no fraction.
    fn number(&mut self) -> Option<i64> {
        let (mut value, mut length) = (0, 0);
        for byte in self.0 {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 || length == 18 {
                break;
            }
            value = value * 10 + i64::from(digit);
            length += 1;
        }
        self.0 = &self.0[length..];
        (1..=18).contains(&length).then_some(value)
    }
}

/// The six fields, by a full parser.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    event_type: Cow<'a, str>,
    #[serde(borrow)]
    event_time: Cow<'a, str>,
    #[serde(borrow)]
    session_id: Cow<'a, str>,
    product_id: i64,
    quantity: i64,
    price_cents: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"event_id":"e","event_type":"order_completed","event_time":"2026-01-05T00:00:01.234Z","session_id":"s-1","user_id":"u-1","product_id":12,"category":"mugs","quantity":2,"price_cents":350,"currency":"EUR","page":"/p/12"}"#;

    fn owned(fields: Fields<'_>) -> (Kind, i64, Vec<u8>, [i64; 4]) {
        let numbers = [fields.product, fields.quantity, fields.price_cents, fields.revenue_cents()];
        (fields.kind, fields.time_ms, fields.session.to_vec(), numbers)
    }

    fn scanned(line: &str) -> (Kind, i64, Vec<u8>, [i64; 4]) {
        let mut found = None;
        Scanner::default().scan(line.as_bytes(), |fields| found = Some(owned(fields))).unwrap();
        found.unwrap()
    }

    #[test]
    fn the_expected_form_is_read_without_the_parser() {
        let fields = Scanner::default().expected(LINE.as_bytes());
        assert_eq!(fields.unwrap().session_at, LINE.find("s-1"));
        let expected = (Kind::Order, 1_767_571_201_234, b"s-1".to_vec(), [12, 2, 350, 700]);
        assert_eq!(scanned(LINE), expected);
    }

    #[test]
    fn other_forms_are_left_to_the_parser() {
        let expected = scanned(LINE);
        for (from, to) in [
            (r#""quantity":2,"price_cents":350"#, r#""price_cents":350,"quantity":2"#),
            (r#":"mugs""#, r#":"mu\"gs""#),
            (r#":"s-1""#, r#":"s\u002d1""#),
            (r#":12,"#, r#": 12,"#),
            (r#""/p/12"}"#, r#""/p/12","more":true}"#),
        ] {
            let line = LINE.replace(from, to);
            assert!(line != LINE && Scanner::default().expected(line.as_bytes()).is_none(), "{line}");
            assert_eq!(scanned(&line), expected, "{line}");
        }
        for bad in [&LINE[..100], "", "{}", &LINE.replace("350", "3.5"), &LINE.replace("T00", "T0x")] {
            assert!(Scanner::default().scan(bad.as_bytes(), |_| {}).is_err(), "{bad}");
        }
    }

    #[test]
    fn dates_are_days() {
        assert_eq!(time_ms("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(time_ms("2024-02-29T12:34:56.789Z"), Some(1_709_210_096_789));
        assert_eq!(time_ms("2000-03-01T00:00:00Z"), Some(951_868_800_000));
    }
}
