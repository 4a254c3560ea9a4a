//! What a generator has given out, counted.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::flaw::Flaw;
use super::{Generated, Kind};
use crate::{EventType, Topic, Traffic, wire_time};

/// Counts of the records given out so far.
///
/// `events = on_time + late + duplicates + malformed`. Counts by type and by traffic are of records that
/// read as events (not malformed), late ones and duplicates included; those by topic are of all records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// All records.
    pub events: u64,
    /// Records neither late nor duplicate nor malformed.
    pub on_time: u64,
    /// Records that came late, by at least the start of [`crate::GeneratorConfig::late_by`].
    pub late: u64,
    /// Second copies.
    pub duplicates: u64,
    /// Records that are no events.
    pub malformed: u64,
    /// Malformed records by what is wrong with them.
    pub malformed_by_flaw: BTreeMap<&'static str, u64>,
    /// Records by topic.
    pub topics: BTreeMap<&'static str, u64>,
    /// Records by event type.
    pub types: BTreeMap<&'static str, u64>,
    /// Records of people.
    pub human: u64,
    /// Records of bots.
    pub bots: u64,
    /// Records of the shop's own people.
    pub staff: u64,
    /// Records of test orders and test runs.
    pub test: u64,
    /// Orders: `purchase` records that are no second copies, of all traffic.
    pub orders: u64,
    /// Refunds: `refund` records that are no second copies.
    pub refunds: u64,
    /// Lowest event time of a well-formed record.
    #[serde(with = "wire_time::optional")]
    pub first_time: Option<DateTime<Utc>>,
    /// Highest event time of a well-formed record.
    #[serde(with = "wire_time::optional")]
    pub last_time: Option<DateTime<Utc>>,
    /// Payload bytes, without keys and headers.
    pub bytes: u64,
}

/// The running counts.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    on_time: u64,
    late: u64,
    duplicates: u64,
    flaws: [u64; 6],
    topics: [u64; 3],
    types: [u64; 10],
    traffic: [u64; 4],
    orders: u64,
    refunds: u64,
    /// Lowest and highest event time.
    times: Option<(i64, i64)>,
    bytes: u64,
    pub(crate) events: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, record: &Generated) {
        self.events += 1;
        self.bytes += record.payload.len() as u64;
        self.topics[record.topic.index()] += 1;
        match record.kind {
            Kind::OnTime => self.on_time += 1,
            Kind::Late => self.late += 1,
            Kind::Duplicate => self.duplicates += 1,
            Kind::Malformed(flaw) => {
                self.flaws[flaw as usize] += 1;
                return;
            }
        }
        self.types[record.event_type.index()] += 1;
        self.traffic[record.traffic.index()] += 1;
        if record.kind != Kind::Duplicate {
            self.orders += u64::from(record.event_type == EventType::Purchase);
            self.refunds += u64::from(record.event_type == EventType::Refund);
        }
        let (low, high) = self.times.unwrap_or((record.time_ms, record.time_ms));
        self.times = Some((low.min(record.time_ms), high.max(record.time_ms)));
    }

    pub(crate) fn summary(&self) -> Summary {
        let flaw_names = ["truncated", "not_utf8", "wrong_time_type", "no_time", "empty", "array"];
        let of = |traffic: Traffic| self.traffic[traffic.index()];
        let time = |ms: i64| DateTime::from_timestamp_millis(ms);
        Summary {
            events: self.events,
            on_time: self.on_time,
            late: self.late,
            duplicates: self.duplicates,
            malformed: self.flaws.iter().sum(),
            malformed_by_flaw: Flaw::ALL
                .into_iter()
                .map(|f| (flaw_names[f as usize], self.flaws[f as usize]))
                .collect(),
            topics: Topic::ALL.into_iter().map(|t| (t.name(), self.topics[t.index()])).collect(),
            types: EventType::ALL.into_iter().map(|t| (t.name(), self.types[t.index()])).collect(),
            human: of(Traffic::Human),
            bots: of(Traffic::Bot),
            staff: of(Traffic::Staff),
            test: of(Traffic::Test),
            orders: self.orders,
            refunds: self.refunds,
            first_time: self.times.and_then(|(low, _)| time(low)),
            last_time: self.times.and_then(|(_, high)| time(high)),
            bytes: self.bytes,
        }
    }
}
