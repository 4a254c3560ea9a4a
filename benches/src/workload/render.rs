//! An event's bytes. What does not change from event to event is written once and copied.

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A product's page was opened.
    ProductViewed,
    /// It was put into the cart.
    CartItemAdded,
    /// It was bought.
    OrderCompleted,
    /// A search came before it.
    SearchPerformed,
    /// It was taken out of the cart.
    CartItemRemoved,
}

impl Kind {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::ProductViewed => "product_viewed",
            Kind::CartItemAdded => "cart_item_added",
            Kind::OrderCompleted => "order_completed",
            Kind::SearchPerformed => "search_performed",
            Kind::CartItemRemoved => "cart_item_removed",
        }
    }
}

/// An event, to be written.
pub struct Parts<'a> {
    /// Random bits of its id.
    pub id: [u64; 2],
    /// What happened.
    pub kind: Kind,
    /// When, in milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// In which visit.
    pub session: &'a [u8; 32],
    /// Digits of the user's number.
    pub user: &'a [u8; 7],
    /// With which product, from 1 on.
    pub product: u16,
    /// How many of it: one digit.
    pub quantity: u32,
}

/// Up to the type; the id begins at 13.
const HEAD: [u8; 65] = *b"{\"event_id\":\"00000000-0000-4000-8000-000000000000\",\"event_type\":\"";
/// Where the bytes of an id are.
const ID_AT: [usize; 16] = [13, 15, 17, 19, 22, 24, 27, 29, 32, 34, 37, 39, 41, 43, 45, 47];
/// From the type to the product.
const MIDDLE: [u8; 112] = *b"\",\"event_time\":\"2026-01-05T00:00:00.000Z\",\
\"session_id\":\"00000000000000000000000000000000\",\"user_id\":\"u-0000000\",";
const TIME_AT: usize = 16;
const SECONDS_AT: usize = TIME_AT + 17;
const SESSION_AT: usize = 56;
const USER_AT: usize = 103;

const CATEGORIES: [&str; 8] = ["shoes", "coats", "mugs", "lamps", "books", "games", "tools", "bags"];

/// Writes events.
pub struct Render {
    head: [u8; HEAD.len()],
    middle: [u8; MIDDLE.len()],
    /// The minute that the date in `middle` shows.
    minute: i64,
    /// By product: the bytes in front of the quantity, and those behind.
    products: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Render {
    /// For products from 1 to `products`.
    pub fn new(products: u16) -> Self {
        let product = |number: u16| {
            let category = CATEGORIES[usize::from(number) % CATEGORIES.len()];
            // Between 2 and 250 euros, in no order.
            let price_cents = 199 + u32::from(number) * 7_919 % 24_800;
            let before = format!("\"product_id\":{number},\"category\":\"{category}\",\"quantity\":");
            let after =
                format!(",\"price_cents\":{price_cents},\"currency\":\"EUR\",\"page\":\"/p/{number}\"}}");
            (before.into_bytes(), after.into_bytes())
        };
        Render {
            head: HEAD,
            middle: MIDDLE,
            minute: i64::MIN,
            products: (1..=products.max(1)).map(product).collect(),
        }
    }

    /// Appends an event to `out`, without a line end.
    pub fn append(&mut self, parts: &Parts<'_>, out: &mut Vec<u8>) {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&parts.id[0].to_be_bytes());
        id[8..].copy_from_slice(&parts.id[1].to_be_bytes());
        // Version 4 and its variant.
        id[6] = 0x40 | (id[6] & 0x0f);
        id[8] = 0x80 | (id[8] & 0x3f);
        for (at, byte) in ID_AT.into_iter().zip(id) {
            self.head[at..at + 2].copy_from_slice(&HEX[usize::from(byte)]);
        }
        self.set_time(parts.time_ms);
        self.middle[SESSION_AT..SESSION_AT + 32].copy_from_slice(parts.session);
        self.middle[USER_AT..USER_AT + 7].copy_from_slice(parts.user);
        let index = usize::from(parts.product.saturating_sub(1)).min(self.products.len() - 1);
        let (before, after) = &self.products[index];
        out.reserve(HEAD.len() + 17 + MIDDLE.len() + before.len() + 1 + after.len());
        out.extend_from_slice(&self.head);
        out.extend_from_slice(parts.kind.name().as_bytes());
        out.extend_from_slice(&self.middle);
        out.extend_from_slice(before);
        out.push(digit(parts.quantity));
        out.extend_from_slice(after);
    }

    fn set_time(&mut self, time_ms: i64) {
        let (minute, rest) = (time_ms.div_euclid(60_000), time_ms.rem_euclid(60_000));
        if minute != self.minute {
            self.minute = minute;
            let (days, minutes) = (minute.div_euclid(1_440), minute.rem_euclid(1_440));
            let (year, month, day) = date(days);
            let text = format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:", minutes / 60, minutes % 60);
            // Years from 0 to 9999 have this length, and others are not asked for.
            if let Some(place) = self.middle.get_mut(TIME_AT..TIME_AT + text.len()) {
                place.copy_from_slice(text.as_bytes());
            }
        }
        let rest = u32::try_from(rest).unwrap_or_default();
        let (seconds, millis) = (rest / 1_000, rest % 1_000);
        let at = &mut self.middle[SECONDS_AT..SECONDS_AT + 6];
        at[0] = digit(seconds / 10);
        at[1] = digit(seconds);
        at[3] = digit(millis / 100);
        at[4] = digit(millis / 10);
        at[5] = digit(millis);
    }
}

/// The last decimal digit of a number.
const fn digit(number: u32) -> u8 {
    b'0' + (number % 10) as u8
}

/// Year, month and day of a day counted from 1970-01-01, by Howard Hinnant's `civil_from_days`
/// (<https://howardhinnant.github.io/date_algorithms.html>).
const fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

const HEX: [[u8; 2]; 256] = {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};

/// Sixteen bytes in hexadecimal.
pub fn hex(bytes: [u8; 16]) -> [u8; 32] {
    let mut text = [0; 32];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&HEX[usize::from(byte)]);
    }
    text
}

/// The last seven decimal digits of a number.
pub fn seven_digits(mut number: u32) -> [u8; 7] {
    let mut text = [0; 7];
    for place in text.iter_mut().rev() {
        *place = digit(number);
        number /= 10;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_written_in_full() {
        let mut out = Vec::new();
        let parts = Parts {
            id: [0x0011_2233_4455_6677, 0x8899_aabb_ccdd_eeff],
            kind: Kind::CartItemAdded,
            // A leap day.
            time_ms: 1_709_210_096_789,
            session: &hex([0xa5; 16]),
            user: &seven_digits(1_234_567),
            product: 5_000,
            quantity: 3,
        };
        Render::new(5_000).append(&parts, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"event_id":"00112233-4455-4677-8899-aabbccddeeff","event_type":"cart_item_added","#
                .to_owned()
                + r#""event_time":"2024-02-29T12:34:56.789Z","session_id":"a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5","#
                + r#""user_id":"u-1234567","product_id":5000,"category":"shoes","quantity":3,"#
                + r#""price_cents":14399,"currency":"EUR","page":"/p/5000"}"#
        );
    }
}
