//! The standard workload: a shop's events as JSON, one a line, about 290 bytes, eleven fields.
//!
//! ```json
//! {"event_id":"5f0c…","event_type":"product_viewed","event_time":"2026-01-05T00:00:00.123Z",
//!  "session_id":"9b1e…","user_id":"u-1234567","product_id":1234,"category":"shoes","quantity":1,
//!  "price_cents":1999,"currency":"EUR","page":"/p/1234"}
//! ```
//!
//! | what | how |
//! |---|---|
//! | event types | `product_viewed` 75 %, `cart_item_added` 15 %, `order_completed` 4 %, `search_performed` and `cart_item_removed` the rest |
//! | products | 5,000, the n-th most popular one 1/n times as often as the first |
//! | visits | 1 to 15 events, 8 on average, most gaps 0.5 to 8.7 s, one in twenty 20 to 90 s, so that a session window of 30 s splits some of them |
//! | visits at a time | follow from the rate: about seven seconds' worth of events |
//! | order | an event's time lies up to 2 s before its place in the file says, for every eighth event; 63 ms for the others. No event is late where the watermark trails by more than 2 s |
//!
//! [`Shape::OpenSessions`] makes every event the only one of its visit instead.
//!
//! The same [`Workload`] is the same bytes on every machine. A partition has visits of its own: session ids
//! begin with its number.
//!
//! | module | what |
//! |---|---|
//! | [`generator`] | which event comes next |
//! | [`render`] | its bytes |
//! | [`random`] | numbers |
//! | [`source`] | the connector `workload`: events made where they are read, or kept in memory |
//!
//! Left out: late, repeated and malformed records. They are tested, and their cost is not the usual case.

pub mod generator;
pub mod random;
pub mod render;
pub mod source;

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use self::generator::Generator;

/// Which visits there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Visitors who look around.
    #[default]
    Visitors,
    /// Every event another visit.
    OpenSessions,
}

impl Shape {
    /// As it is written in options.
    pub const fn name(self) -> &'static str {
        match self {
            Shape::Visitors => "visitors",
            Shape::OpenSessions => "open-sessions",
        }
    }
}

/// What is generated. Two of the same are the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Workload {
    /// Number of events.
    pub events: u64,
    /// Seed of everything random.
    pub seed: u64,
    /// Events per second of event time: how many lie in a window.
    pub rate: u64,
    /// Which visits there are.
    pub shape: Shape,
}

impl Workload {
    /// Events of visitors at 1,000 a second.
    pub const fn new(events: u64) -> Self {
        Workload { events, seed: 1, rate: 1_000, shape: Shape::Visitors }
    }

    /// So many sessions that are open at once, with a gap of 30 s: all of them begin within 25 s.
    pub fn open_sessions(sessions: u64) -> Self {
        let rate = sessions.div_ceil(25).max(1);
        Workload { rate, shape: Shape::OpenSessions, ..Workload::new(sessions) }
    }

    /// All of it, in the order of arrival.
    pub fn generator(&self) -> Generator {
        Generator::new(self, 0, 1)
    }

    /// One file of JSON lines below `data`; made unless it is there already.
    pub fn file(&self, data: &Path) -> anyhow::Result<EventFile> {
        let Workload { events, seed, rate, shape } = self;
        let folder = data.join(format!("workload-{events}-{seed}-{rate}-{}", shape.name()));
        // Written last: without it the file may be a part.
        let marker = folder.join("_complete.json");
        let path = folder.join("events.jsonl");
        if let Ok(text) = std::fs::read(&marker)
            && let Ok(file) = serde_json::from_slice::<EventFile>(&text)
            && file.workload == *self
        {
            return Ok(EventFile { path, ..file });
        }
        let failed = || format!("cannot write events below {}; is the disk full?", folder.display());
        std::fs::create_dir_all(&folder).with_context(failed)?;
        let mut output = BufWriter::with_capacity(1 << 20, File::create(&path).with_context(failed)?);
        let (mut generator, mut line, mut bytes) = (self.generator(), Vec::new(), 0);
        while generator.append(&mut line).is_some() {
            bytes += u64::try_from(line.len()).unwrap_or_default();
            line.push(b'\n');
            output.write_all(&line).with_context(failed)?;
            line.clear();
        }
        output.into_inner().with_context(failed)?.sync_all().with_context(failed)?;
        let file = EventFile { path, workload: self.clone(), bytes };
        std::fs::write(&marker, serde_json::to_vec(&file)?).with_context(failed)?;
        Ok(file)
    }
}

/// A workload in a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventFile {
    /// The file.
    pub path: PathBuf,
    /// What is in it.
    pub workload: Workload,
    /// Bytes of all records, without line ends.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::*;

    fn events(workload: &Workload) -> Vec<Value> {
        let mut generator = workload.generator();
        let mut all = Vec::new();
        let mut line = Vec::new();
        while let Some(event) = generator.append(&mut line) {
            let value: Value = serde_json::from_slice(&line).unwrap();
            assert_eq!(value["session_id"].as_str().unwrap().as_bytes(), event.session);
            assert_eq!(millis(&value), event.time_ms);
            all.push(value);
            line.clear();
        }
        all
    }

    fn millis(event: &Value) -> i64 {
        let text = event["event_time"].as_str().unwrap();
        stream::decode::json::value::timestamp(text.as_bytes()).unwrap() / 1_000
    }

    #[test]
    fn events_are_as_described() {
        const FIELDS: [&str; 11] = [
            "event_id",
            "event_type",
            "event_time",
            "session_id",
            "user_id",
            "product_id",
            "category",
            "quantity",
            "price_cents",
            "currency",
            "page",
        ];
        let workload = Workload::new(100_000);
        let all = events(&workload);
        assert_eq!(all.len(), 100_000);
        let first = all[0].as_object().unwrap();
        assert_eq!(first.len(), FIELDS.len());
        let text = first.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect::<Vec<_>>();
        assert!((270..310).contains(&text.join(",").len()), "{text:?}");
        let mut line = Vec::new();
        workload.generator().append(&mut line);
        let places = FIELDS.map(|name| {
            let name = format!("\"{name}\":");
            line.windows(name.len()).position(|part| part == name.as_bytes()).unwrap()
        });
        assert!(places.is_sorted());

        let mut types: BTreeMap<&str, usize> = BTreeMap::new();
        let mut products: BTreeMap<i64, usize> = BTreeMap::new();
        for event in &all {
            *types.entry(event["event_type"].as_str().unwrap()).or_default() += 1;
            *products.entry(event["product_id"].as_i64().unwrap()).or_default() += 1;
        }
        let share = |name: &str| types[name] * 100 / all.len();
        assert!((74..=76).contains(&share("product_viewed")), "{types:?}");
        assert!((14..=16).contains(&share("cart_item_added")), "{types:?}");
        assert!((3..=4).contains(&share("order_completed")), "{types:?}");
        assert_eq!(types.len(), 5);
        assert!(products.len() > 4_000 && products.len() <= 5_000);
        assert!(products[&1] > 5 * products[&20], "the first is the most popular");

        let ids: BTreeSet<&str> = all.iter().map(|event| event["event_id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), all.len());
    }

    #[test]
    fn time_runs_at_the_rate_with_little_disorder() {
        let all = events(&Workload { rate: 200, ..Workload::new(20_000) });
        let start = generator::START_MS;
        let mut highest = i64::MIN;
        let mut most = 0;
        for (index, event) in (0..).zip(&all) {
            let (time, place) = (millis(event), start + index * 5);
            assert!((place - 2_000..=place).contains(&time), "event {index} at {time}");
            highest = highest.max(time);
            most = most.max(highest - time);
        }
        assert!((1_500..=2_000).contains(&most), "{most}");
    }

    #[test]
    fn visits_have_gaps_and_some_are_longer_than_thirty_seconds() {
        let all = events(&Workload::new(200_000));
        let mut visits: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        for event in &all {
            visits.entry(event["session_id"].as_str().unwrap()).or_default().push(millis(event));
        }
        // Visits that began early have ended when the events end.
        let early = |times: &&Vec<i64>| times[0] < generator::START_MS + 60_000;
        let lengths: Vec<usize> = visits.values().filter(early).map(Vec::len).collect();
        let mean = lengths.iter().sum::<usize>() * 10 / lengths.len();
        assert!((60..=90).contains(&mean), "{mean} tenths of an event a visit");
        let split = visits.values().filter(early).filter(|times| {
            let mut times = (*times).clone();
            times.sort_unstable();
            times.windows(2).any(|pair| pair[1] - pair[0] > 30_000)
        });
        assert!(split.count() * 100 / lengths.len() > 10);
    }

    #[test]
    fn open_sessions_are_open_at_once() {
        let all = events(&Workload::open_sessions(10_000));
        let ids: BTreeSet<&str> = all.iter().map(|event| event["session_id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), all.len());
        let times: Vec<i64> = all.iter().map(millis).collect();
        assert!(times.iter().max().unwrap() - times.iter().min().unwrap() < 30_000);
    }

    #[test]
    fn a_file_holds_every_event_and_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let workload = Workload::new(2_000);
        let file = workload.file(folder.path()).unwrap();
        let text = std::fs::read_to_string(&file.path).unwrap();
        assert_eq!(text.lines().count(), 2_000);
        assert_eq!(u64::try_from(text.len()).unwrap(), file.bytes + 2_000);

        let before = std::fs::metadata(&file.path).unwrap().modified().unwrap();
        workload.file(folder.path()).unwrap();
        assert_eq!(std::fs::metadata(&file.path).unwrap().modified().unwrap(), before);
    }
}
