//! Writes payloads by hand: several times as fast as a serialiser, and the bytes are the same as those of
//! `serde_json` on [`crate::Event`] (tested). No text needs escaping: all are ours or checked.

use chrono::DateTime;
use uuid::Uuid;

use crate::{EventType, Traffic};

/// One event before it is written. Times are milliseconds since the Unix epoch; nil and 0 mean absent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draft {
    pub(crate) id: Uuid,
    pub(crate) source: &'static str,
    pub(crate) event_type: EventType,
    pub(crate) time_ms: i64,
    pub(crate) received_ms: i64,
    pub(crate) sent_ms: Option<i64>,
    pub(crate) session_id: Uuid,
    pub(crate) anonymous_id: Uuid,
    pub(crate) user: u32,
    pub(crate) traffic: Traffic,
    pub(crate) product_id: u32,
    pub(crate) category_id: u32,
    pub(crate) quantity: u32,
    pub(crate) price_minor: Option<u64>,
    pub(crate) cart_id: Uuid,
    pub(crate) order_id: Uuid,
    pub(crate) line: u32,
    pub(crate) value_minor: Option<u64>,
}

const DAY_MS: i64 = 86_400_000;

/// Writes drafts as JSON.
#[derive(Debug)]
pub(crate) struct Writer {
    currency: String,
    /// The last day that was written, since nearly all events share it.
    day: i64,
    date: String,
}

impl Writer {
    pub(crate) fn new(currency: &str) -> Self {
        Writer { currency: currency.to_owned(), day: i64::MIN, date: String::new() }
    }

    pub(crate) fn write(&mut self, draft: &Draft) -> Vec<u8> {
        let mut out = Vec::with_capacity(576);
        out.extend_from_slice(b"{\"id\":\"");
        uuid(&mut out, draft.id);
        out.extend_from_slice(b"\",\"source\":\"");
        out.extend_from_slice(draft.source.as_bytes());
        out.extend_from_slice(b"\",\"type\":\"");
        out.extend_from_slice(draft.event_type.name().as_bytes());
        out.extend_from_slice(b"\",\"time\":\"");
        self.time(&mut out, draft.time_ms);
        out.extend_from_slice(b"\",\"received_at\":\"");
        self.time(&mut out, draft.received_ms);
        if let Some(sent_ms) = draft.sent_ms {
            out.extend_from_slice(b"\",\"sent_at\":\"");
            self.time(&mut out, sent_ms);
        }
        out.extend_from_slice(b"\",\"schema_version\":1,\"session_id\":\"");
        uuid(&mut out, draft.session_id);
        out.extend_from_slice(b"\",\"anonymous_id\":\"");
        uuid(&mut out, draft.anonymous_id);
        if draft.user != 0 {
            out.extend_from_slice(b"\",\"user_id\":\"u");
            number(&mut out, u64::from(draft.user));
        }
        out.extend_from_slice(b"\",\"traffic\":\"");
        out.extend_from_slice(draft.traffic.name().as_bytes());
        out.push(b'"');
        for (name, value) in [
            (",\"product_id\":", draft.product_id),
            (",\"category_id\":", draft.category_id),
            (",\"quantity\":", draft.quantity),
        ] {
            if value != 0 {
                out.extend_from_slice(name.as_bytes());
                number(&mut out, u64::from(value));
            }
        }
        if let Some(price) = draft.price_minor {
            out.extend_from_slice(b",\"price_minor\":");
            number(&mut out, price);
        }
        if draft.price_minor.is_some() || draft.value_minor.is_some() {
            out.extend_from_slice(b",\"currency\":\"");
            out.extend_from_slice(self.currency.as_bytes());
            out.push(b'"');
        }
        for (name, value) in [(",\"cart_id\":\"", draft.cart_id), (",\"order_id\":\"", draft.order_id)] {
            if !value.is_nil() {
                out.extend_from_slice(name.as_bytes());
                uuid(&mut out, value);
                out.push(b'"');
            }
        }
        if draft.line != 0 {
            out.extend_from_slice(b",\"line\":");
            number(&mut out, u64::from(draft.line));
        }
        if let Some(value) = draft.value_minor {
            out.extend_from_slice(b",\"value_minor\":");
            number(&mut out, value);
        }
        out.push(b'}');
        out
    }

    /// `2026-01-05T00:00:00.000Z`
    fn time(&mut self, out: &mut Vec<u8>, time_ms: i64) {
        let day = time_ms.div_euclid(DAY_MS);
        if day != self.day {
            self.day = day;
            let midnight = DateTime::from_timestamp_millis(day * DAY_MS).unwrap_or_default();
            self.date = midnight.format("%Y-%m-%d").to_string();
        }
        let ms = time_ms.rem_euclid(DAY_MS) as u64;
        let digit = |n: u64| b'0' + (n % 10) as u8;
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
        out.extend_from_slice(self.date.as_bytes());
        out.extend_from_slice(&[
            b'T',
            digit(hour / 10),
            digit(hour),
            b':',
            digit(minute / 10),
            digit(minute),
            b':',
            digit(second / 10),
            digit(second),
            b'.',
            digit(ms / 100),
            digit(ms / 10),
            digit(ms),
            b'Z',
        ]);
    }
}

fn uuid(out: &mut Vec<u8>, id: Uuid) {
    let mut text = Uuid::encode_buffer();
    out.extend_from_slice(id.hyphenated().encode_lower(&mut text).as_bytes());
}

fn number(out: &mut Vec<u8>, mut n: u64) {
    let mut digits = [0; 20];
    let mut i = digits.len();
    loop {
        i -= 1;
        digits[i] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[i..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Event;

    #[test]
    fn the_same_bytes_as_serde() {
        let mut writer = Writer::new("EUR");
        let id = |n: u128| Uuid::from_u128(n);
        let full = Draft {
            id: id(1),
            source: "api",
            event_type: EventType::PurchaseItem,
            time_ms: 1_767_571_199_999,
            received_ms: 1_767_571_200_000,
            sent_ms: Some(1_767_571_200_001),
            session_id: id(2),
            anonymous_id: id(3),
            user: 4,
            traffic: Traffic::Staff,
            product_id: 5,
            category_id: 60,
            quantity: 7,
            price_minor: Some(0),
            cart_id: id(8),
            order_id: id(u128::MAX),
            line: 9,
            value_minor: Some(u64::from(u32::MAX) * 10),
        };
        let bare = Draft {
            sent_ms: None,
            time_ms: 0,
            user: 0,
            product_id: 0,
            category_id: 0,
            quantity: 0,
            price_minor: None,
            cart_id: Uuid::nil(),
            order_id: Uuid::nil(),
            line: 0,
            value_minor: None,
            ..full
        };
        for draft in [full, bare, Draft { value_minor: Some(10), ..bare }] {
            let bytes = writer.write(&draft);
            let event: Event = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(String::from_utf8(bytes).unwrap(), serde_json::to_string(&event).unwrap());
            assert_eq!(event.timestamp_ms(), draft.time_ms);
        }
    }
}
