//! `'connector' = 'workload'`: events without a disk.
//!
//! | option | meaning | default |
//! |---|---|---|
//! | `events` | number of events over all partitions | required |
//! | `rate` | events per second of event time, over all partitions | 1000 |
//! | `partitions` | partitions, from 1 to 256; each has visits of its own | 2 |
//! | `seed` | seed of everything random | 1 |
//! | `shape` | `visitors` or `open-sessions` | `visitors` |
//!
//! [`Generate`] makes the events on the thread that reads them, so making them is part of what is measured.
//! [`Rendered`] has made them before, for benches of what comes behind; the options are then those of the
//! workload that it holds, and are not looked at.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use stream::{
    error::StreamError,
    source::{Polled, RawBatch, Reader, Source, SourceFactory, StartAt},
    table::TableDef,
    time::{Offset, PartitionId},
};

use super::{Shape, Workload, generator::Generator};

/// The connector's name.
pub const CONNECTOR: &str = "workload";

/// The `WITH` options of a table over a workload.
pub fn options(workload: &Workload, partitions: u16) -> String {
    let Workload { events, seed, rate, shape } = workload;
    format!(
        "'connector' = '{CONNECTOR}', 'events' = '{events}', 'seed' = '{seed}', 'rate' = '{rate}', \
         'shape' = '{}', 'partitions' = '{partitions}'",
        shape.name()
    )
}

/// Makes events as they are read.
#[derive(Clone, Copy, Debug)]
pub struct Generate;

#[async_trait]
impl SourceFactory for Generate {
    fn validate(&self, table: &TableDef) -> Result<(), StreamError> {
        read_options(table).map(|_| ())
    }

    async fn open(&self, table: &TableDef) -> Result<Arc<dyn Source>, StreamError> {
        let (workload, partitions) = read_options(table)?;
        Ok(Arc::new(GenerateSource { workload, partitions }))
    }
}

fn read_options(table: &TableDef) -> Result<(Workload, u16), StreamError> {
    let options = &table.options;
    options.require("events")?;
    let whole = "a whole number";
    let events = options.parse_or("events", 0, whole)?;
    let partitions = options.parse_or("partitions", 2, whole)?;
    if !(1..=256).contains(&partitions) {
        return Err(options.bad("partitions", "a number from 1 to 256"));
    }
    let shape = match options.get("shape") {
        None => Shape::default(),
        Some(name) => [Shape::Visitors, Shape::OpenSessions]
            .into_iter()
            .find(|shape| shape.name() == name)
            .ok_or_else(|| options.bad("shape", "'visitors' or 'open-sessions'"))?,
    };
    let rate = options.parse_or("rate", 1_000, whole)?;
    if rate == 0 {
        return Err(options.bad("rate", "more than nothing"));
    }
    Ok((Workload { events, seed: options.parse_or("seed", 1, whole)?, rate, shape }, partitions))
}

fn partition_ids(partitions: u16) -> Vec<PartitionId> {
    (0..i32::from(partitions))
        .map(|partition| PartitionId { topic: CONNECTOR.to_owned(), partition })
        .collect()
}

/// The position that a partition is read from.
fn first(start: StartAt) -> u64 {
    match start {
        StartAt::Configured => 0,
        StartAt::Position(offset) => offset.get().max(0).unsigned_abs(),
    }
}

struct GenerateSource {
    workload: Workload,
    partitions: u16,
}

impl Source for GenerateSource {
    fn partitions(&self) -> Vec<PartitionId> {
        partition_ids(self.partitions)
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn reader(&self, partitions: &[(PartitionId, StartAt)]) -> Result<Box<dyn Reader>, StreamError> {
        let mut parts = Vec::new();
        for (id, start) in partitions {
            let mut generator = self.workload.partition(id.partition, self.partitions);
            let mut line = Vec::new();
            let mut next = 0;
            while next < first(*start) && generator.append(&mut line).is_some() {
                line.clear();
                next += 1;
            }
            parts.push(Generating { generator, next: Offset::new(i64::try_from(next).unwrap_or(i64::MAX)) });
        }
        Ok(Box::new(GenerateReader { parts, turn: 0, line: Vec::new() }))
    }

    fn commit(&self, _: &BTreeMap<PartitionId, Offset>) -> Result<(), StreamError> {
        Ok(())
    }
}

impl Workload {
    /// The events of one partition of so many.
    pub fn partition(&self, partition: i32, partitions: u16) -> Generator {
        Generator::new(self, partition.unsigned_abs(), u32::from(partitions))
    }
}

struct Generating {
    generator: Generator,
    next: Offset,
}

struct GenerateReader {
    parts: Vec<Generating>,
    turn: usize,
    line: Vec<u8>,
}

impl Reader for GenerateReader {
    fn poll(
        &mut self,
        batches: &mut [RawBatch],
        max_records: usize,
        _: Duration,
    ) -> Result<Polled, StreamError> {
        for _ in 0..self.parts.len() {
            let index = self.turn % self.parts.len();
            self.turn = index + 1;
            let (Some(part), Some(batch)) = (self.parts.get_mut(index), batches.get_mut(index)) else {
                return Err(StreamError::internal("a reader was given too few batches"));
            };
            for _ in 0..max_records {
                self.line.clear();
                if part.generator.append(&mut self.line).is_none() {
                    break;
                }
                batch.push(&self.line, part.next);
                part.next = part.next.next();
            }
            if !batch.is_empty() {
                return Ok(Polled::Records);
            }
        }
        Ok(Polled::End)
    }

    fn drain(&mut self) -> Result<(), StreamError> {
        // It is bounded as it is.
        Ok(())
    }

    fn has_ended(&self, partition: usize) -> bool {
        self.parts.get(partition).is_some_and(|part| part.generator.left() == 0)
    }
}

/// A run of records, one behind the other, and where each ends.
#[derive(Debug, Default)]
struct Run {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Run {
    fn copy(&self, batch: &mut RawBatch, first_offset: i64) {
        let mut start = 0;
        for (offset, end) in (first_offset..).zip(&self.ends) {
            batch.push(&self.bytes[start..*end], Offset::new(offset));
            start = *end;
        }
    }
}

/// Events that were made before, in one partition; clones share them.
#[derive(Clone, Debug)]
pub struct Rendered {
    runs: Arc<Vec<Run>>,
    run_records: usize,
}

impl Rendered {
    /// Makes the events, in runs of `run_records`.
    pub fn new(workload: &Workload, run_records: usize) -> Self {
        let run_records = run_records.max(1);
        let mut generator = workload.generator();
        let mut runs = vec![Run::default()];
        loop {
            if runs.last().is_some_and(|run| run.ends.len() == run_records) {
                runs.push(Run::default());
            }
            let Some(run) = runs.last_mut() else { break };
            if generator.append(&mut run.bytes).is_none() {
                break;
            }
            run.ends.push(run.bytes.len());
        }
        runs.retain(|run| !run.ends.is_empty());
        Rendered { runs: Arc::new(runs), run_records }
    }

    /// The runs as raw batches.
    pub fn batches(&self) -> Vec<RawBatch> {
        let batch = |run: &Run| {
            let mut batch = RawBatch::default();
            run.copy(&mut batch, 0);
            batch
        };
        self.runs.iter().map(batch).collect()
    }
}

#[async_trait]
impl SourceFactory for Rendered {
    fn validate(&self, table: &TableDef) -> Result<(), StreamError> {
        read_options(table).map(|_| ())
    }

    async fn open(&self, _: &TableDef) -> Result<Arc<dyn Source>, StreamError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Source for Rendered {
    fn partitions(&self) -> Vec<PartitionId> {
        partition_ids(1)
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn reader(&self, partitions: &[(PartitionId, StartAt)]) -> Result<Box<dyn Reader>, StreamError> {
        match partitions {
            [(_, StartAt::Configured)] => Ok(Box::new(RenderedReader { rendered: self.clone(), next: 0 })),
            _ => Err(StreamError::internal("events in memory are read once, by one reader, from the start")),
        }
    }

    fn commit(&self, _: &BTreeMap<PartitionId, Offset>) -> Result<(), StreamError> {
        Ok(())
    }
}

struct RenderedReader {
    rendered: Rendered,
    next: usize,
}

impl Reader for RenderedReader {
    fn poll(&mut self, batches: &mut [RawBatch], _: usize, _: Duration) -> Result<Polled, StreamError> {
        let (Some(run), [batch, ..]) = (self.rendered.runs.get(self.next), batches) else {
            return Ok(Polled::End);
        };
        let first = self.next * self.rendered.run_records;
        run.copy(batch, i64::try_from(first).unwrap_or(i64::MAX));
        self.next += 1;
        Ok(Polled::Records)
    }

    fn drain(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn has_ended(&self, _: usize) -> bool {
        self.next >= self.rendered.runs.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn table(options: &[(&str, &str)]) -> TableDef {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        TableDef {
            name: "events".to_owned(),
            columns: Vec::new(),
            watermark: None,
            primary_key: Vec::new(),
            options: stream::options::Options::new("events", options.collect()),
        }
    }

    fn read(source: &dyn Source, starts: &[(PartitionId, StartAt)]) -> Vec<Vec<(String, i64)>> {
        let mut reader = source.reader(starts).unwrap();
        let mut batches: Vec<RawBatch> = starts.iter().map(|_| RawBatch::default()).collect();
        let mut all = vec![Vec::new(); starts.len()];
        while reader.poll(&mut batches, 100, Duration::ZERO).unwrap() == Polled::Records {
            for (batch, all) in batches.iter_mut().zip(&mut all) {
                for index in 0..batch.len() {
                    let (record, offset) = batch.record(index).unwrap();
                    all.push((String::from_utf8(record.to_vec()).unwrap(), offset.get()));
                }
                batch.clear();
            }
        }
        assert!((0..starts.len()).all(|index| reader.has_ended(index)));
        all
    }

    #[tokio::test]
    async fn partitions_have_visits_of_their_own_and_are_read_on_from_a_position() {
        let source = Generate.open(&table(&[("events", "1001"), ("partitions", "3")])).await.unwrap();
        let starts: Vec<_> = source.partitions().into_iter().map(|id| (id, StartAt::Configured)).collect();
        let all = read(source.as_ref(), &starts);
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [334, 334, 333]);
        let lines: BTreeSet<&str> = all.iter().flatten().map(|(line, _)| line.as_str()).collect();
        assert_eq!(lines.len(), 1_001);
        for (partition, lines) in all.iter().enumerate() {
            let prefix = format!("\"session_id\":\"{partition:02x}");
            assert!(lines.iter().all(|(line, _)| line.contains(&prefix)));
        }
        let later = [(starts[1].0.clone(), StartAt::Position(Offset::new(200)))];
        assert_eq!(read(source.as_ref(), &later)[0], all[1][200..]);
    }

    #[tokio::test]
    async fn events_in_memory_are_those_of_the_workload() {
        let workload = Workload::new(250);
        let rendered = Rendered::new(&workload, 100);
        let source = rendered.open(&table(&[("events", "250")])).await.unwrap();
        let start = [(source.partitions().remove(0), StartAt::Configured)];
        let all = read(source.as_ref(), &start).remove(0);
        let mut generator = workload.generator();
        for (index, (text, offset)) in (0..).zip(&all) {
            let mut line = Vec::new();
            generator.append(&mut line).unwrap();
            assert_eq!((text.as_bytes(), *offset), (line.as_slice(), index));
        }
        assert_eq!(all.len(), 250);
        assert_eq!(rendered.batches().iter().map(RawBatch::len).collect::<Vec<_>>(), [100, 100, 50]);
    }

    #[test]
    fn options_are_checked() {
        let refused = |options: &[(&str, &str)]| Generate.validate(&table(options)).unwrap_err().to_string();
        assert!(refused(&[]).contains("'events'"));
        assert!(refused(&[("events", "9"), ("partitions", "0")]).contains("'partitions'"));
        assert!(refused(&[("events", "9"), ("shape", "round")]).contains("'shape'"));
    }
}
