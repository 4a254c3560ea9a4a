//! Sessions: a table of the open ones, swept whenever the watermark has come ten seconds further.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
};

use anyhow::ensure;

use super::{GAP_MS, SessionRow, hash::Mixing, scan::Kind};

/// The longest id that has room.
const ID_BYTES: usize = 36;
/// How far the watermark goes between two sweeps.
const SWEEP_MS: i64 = 10_000;

/// A session's id and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    hash: u64,
    id: [u8; ID_BYTES],
    length: u8,
}

impl Key {
    /// The key of an id with this hash.
    pub fn new(id: &[u8], hash: u64) -> anyhow::Result<Self> {
        ensure!(id.len() <= ID_BYTES, "a session id of {} bytes; at most {ID_BYTES} are expected", id.len());
        let mut bytes = [0; ID_BYTES];
        bytes[..id.len()].copy_from_slice(id);
        Ok(Key { hash, id: bytes, length: id.len().to_le_bytes()[0] })
    }

    /// The id.
    pub fn id(&self) -> &[u8] {
        &self.id[..usize::from(self.length)]
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

#[derive(Clone, Copy, Debug)]
struct Session {
    first_ms: i64,
    last_ms: i64,
    revenue_cents: i64,
    views: u32,
    additions: u32,
}

impl Session {
    /// The same moment with nothing counted.
    const fn empty(self) -> Self {
        Session { revenue_cents: 0, views: 0, additions: 0, ..self }
    }

    fn touches(&self, other: &Session) -> bool {
        self.first_ms <= other.last_ms + GAP_MS && other.first_ms <= self.last_ms + GAP_MS
    }

    fn add(&mut self, other: &Session) {
        self.first_ms = self.first_ms.min(other.first_ms);
        self.last_ms = self.last_ms.max(other.last_ms);
        self.revenue_cents += other.revenue_cents;
        self.views += other.views;
        self.additions += other.additions;
    }

    fn row(&self, key: &Key) -> SessionRow {
        SessionRow {
            start_ms: self.first_ms,
            end_ms: self.last_ms + GAP_MS,
            session: String::from_utf8_lossy(key.id()).into_owned(),
            views: self.views.into(),
            additions: self.additions.into(),
            revenue_cents: self.revenue_cents,
        }
    }
}

#[derive(Debug)]
struct Visitor {
    /// The newest session.
    session: Session,
    /// Whether `Sessions::older` may have more of them.
    has_older: bool,
}

/// The open sessions.
#[derive(Debug)]
pub struct Sessions {
    visitors: HashMap<Key, Visitor, Mixing>,
    /// Sessions of a visitor before the newest: until the watermark has passed them, an event that comes out
    /// of order may still bridge the gap.
    older: HashMap<Key, Vec<Session>, Mixing>,
    sweep_at_ms: i64,
}

impl Default for Sessions {
    fn default() -> Self {
        Sessions { visitors: HashMap::default(), older: HashMap::default(), sweep_at_ms: i64::MIN }
    }
}

impl Sessions {
    /// Counts an event.
    pub fn add(&mut self, key: Key, time_ms: i64, kind: Kind, revenue_cents: i64) {
        let event = Session {
            first_ms: time_ms,
            last_ms: time_ms,
            revenue_cents,
            views: u32::from(kind == Kind::View),
            additions: u32::from(kind == Kind::Addition),
        };
        let visitor =
            self.visitors.entry(key).or_insert_with(|| Visitor { session: event.empty(), has_older: false });
        if !visitor.has_older && visitor.session.touches(&event) {
            visitor.session.add(&event);
            return;
        }
        // Rare: all of the visitor's sessions are looked at.
        let mut apart = self.older.remove(&key).unwrap_or_default();
        apart.push(visitor.session);
        let mut joined = event;
        while let Some(index) = apart.iter().position(|session| session.touches(&joined)) {
            joined.add(&apart.swap_remove(index));
        }
        apart.push(joined);
        apart.sort_unstable_by_key(|session| session.first_ms);
        if let Some(newest) = apart.pop() {
            visitor.session = newest;
        }
        visitor.has_older = !apart.is_empty();
        if visitor.has_older {
            self.older.insert(key, apart);
        }
    }

    /// Closes sessions whose end lies below the watermark. It looks for them when that pays, and at the end of
    /// time.
    pub fn advance(&mut self, watermark_ms: i64, mut each: impl FnMut(SessionRow)) {
        if watermark_ms < self.sweep_at_ms {
            return;
        }
        self.sweep_at_ms = watermark_ms.saturating_add(SWEEP_MS);
        let is_over = |session: &Session| session.last_ms + GAP_MS < watermark_ms;
        self.older.retain(|key, sessions| {
            sessions.retain(|session| {
                if is_over(session) {
                    each(session.row(key));
                }
                !is_over(session)
            });
            !sessions.is_empty()
        });
        for (key, visitor) in self.visitors.extract_if(|_, visitor| is_over(&visitor.session)) {
            each(visitor.session.row(&key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(events: &[(&str, i64)]) -> Vec<(String, i64, i64, i64)> {
        let mut sessions = Sessions::default();
        for (id, time) in events {
            let key = Key::new(id.as_bytes(), super::super::hash::of_bytes(id.as_bytes())).unwrap();
            sessions.add(key, *time, Kind::View, 0);
        }
        let mut rows = Vec::new();
        sessions.advance(i64::MAX, |row| rows.push((row.session, row.start_ms, row.end_ms, row.views)));
        rows.sort();
        rows
    }

    fn row(id: &str, start: i64, end: i64, views: i64) -> (String, i64, i64, i64) {
        (id.to_owned(), start, end, views)
    }

    #[test]
    fn a_gap_of_more_than_thirty_seconds_splits() {
        let found = rows(&[("a", 0), ("b", 5), ("a", 30_000), ("a", 60_001), ("b", 30_006)]);
        let expected = [
            row("a", 0, 60_000, 2),
            row("a", 60_001, 90_001, 1),
            row("b", 5, 30_005, 1),
            row("b", 30_006, 60_006, 1),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_event_out_of_order_bridges() {
        assert_eq!(rows(&[("a", 0), ("a", 31_000), ("a", 29_500)]), [row("a", 0, 61_000, 3)]);
        assert_eq!(rows(&[("a", 40_000), ("a", 0)]), [row("a", 0, 30_000, 1), row("a", 40_000, 70_000, 1)]);
        let three = [("a", 0), ("a", 40_000), ("a", 80_000), ("a", 20_000), ("a", 60_000)];
        assert_eq!(rows(&three), [row("a", 0, 110_000, 5)]);
    }

    #[test]
    fn what_the_watermark_has_passed_is_closed() {
        let mut sessions = Sessions::default();
        let key = Key::new(b"a", 1).unwrap();
        sessions.add(key, 0, Kind::Order, 70);
        sessions.add(key, 100_000, Kind::Addition, 0);
        let mut rows = Vec::new();
        sessions.advance(30_000, |row| rows.push(row));
        assert!(rows.is_empty(), "a row at the end would still belong to it");
        sessions.advance(50_000, |row| rows.push(row));
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].end_ms, rows[0].revenue_cents), (30_000, 70));
        sessions.advance(i64::MAX, |row| rows.push(row));
        assert_eq!((rows[1].start_ms, rows[1].additions), (100_000, 1));
    }
}
