//! The connector `scripted`: partitions whose records come when the test says so, in batches of its choice.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use plamatio_stream::{
    StreamError, planner,
    runtime::job::Job,
    source::{Polled, RawBatch, Reader, Source, SourceFactory, StartAt},
    table::TableDef,
    time::{Offset, PartitionId},
};

use crate::{
    collect::Collected,
    run::{Done, block_on, connectors, options},
};

/// What a poll of a partition meets.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Records(Vec<Vec<u8>>),
    /// Nothing comes for so long; whether the reader has caught up with the end.
    Nothing(Duration, bool),
}

/// Polls of a moment each that bring nothing, for so many milliseconds together.
pub(crate) fn quiet(millis: usize, is_caught_up: bool) -> Vec<Step> {
    vec![Step::Nothing(Duration::from_millis(5), is_caught_up); millis / 5]
}

/// Steps of so many records.
pub(crate) fn batches(lines: &[Vec<u8>], records: usize) -> Vec<Step> {
    lines.chunks(records.max(1)).map(|chunk| Step::Records(chunk.to_vec())).collect()
}

/// The partitions of each table.
struct Scripted(BTreeMap<String, Vec<Vec<Step>>>);

struct ScriptedSource {
    partitions: Mutex<BTreeMap<PartitionId, Vec<Step>>>,
}

struct ScriptedReader {
    partitions: Vec<VecDeque<Step>>,
    offsets: Vec<i64>,
    caught_up: Vec<bool>,
}

#[async_trait::async_trait]
impl SourceFactory for Scripted {
    fn validate(&self, _: &TableDef) -> Result<(), StreamError> {
        Ok(())
    }

    async fn open(&self, table: &TableDef) -> Result<Arc<dyn Source>, StreamError> {
        let id = |partition| PartitionId { topic: "scripted".to_owned(), partition };
        let partitions =
            (0..).zip(&self.0[&table.name]).map(|(number, steps)| (id(number), steps.clone())).collect();
        Ok(Arc::new(ScriptedSource { partitions: Mutex::new(partitions) }))
    }
}

impl Source for ScriptedSource {
    fn partitions(&self) -> Vec<PartitionId> {
        self.partitions.lock().unwrap().keys().cloned().collect()
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn reader(&self, partitions: &[(PartitionId, StartAt)]) -> Result<Box<dyn Reader>, StreamError> {
        let steps = |(id, _): &(PartitionId, StartAt)| self.partitions.lock().unwrap()[id].clone().into();
        let offsets = vec![0; partitions.len()];
        let caught_up = vec![false; partitions.len()];
        Ok(Box::new(ScriptedReader {
            partitions: partitions.iter().map(steps).collect(),
            offsets,
            caught_up,
        }))
    }

    fn commit(&self, _: &BTreeMap<PartitionId, Offset>) -> Result<(), StreamError> {
        Ok(())
    }
}

impl Reader for ScriptedReader {
    fn poll(&mut self, batches: &mut [RawBatch], _: usize, _: Duration) -> Result<Polled, StreamError> {
        let (mut polled, mut takes) = (Polled::End, Duration::ZERO);
        for (index, batch) in batches.iter_mut().enumerate() {
            let Some(step) = self.partitions[index].pop_front() else { continue };
            polled = Polled::Records;
            self.caught_up[index] = matches!(step, Step::Nothing(_, true));
            match step {
                Step::Nothing(time, _) => takes = takes.max(time),
                Step::Records(records) => {
                    for record in records {
                        batch.push(&record, Offset::new(self.offsets[index]));
                        self.offsets[index] += 1;
                    }
                }
            }
        }
        std::thread::sleep(takes);
        Ok(polled)
    }

    fn drain(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn may_be_caught_up(&self, partition: usize) -> bool {
        self.caught_up[partition]
    }

    fn has_ended(&self, partition: usize) -> bool {
        self.partitions[partition].is_empty()
    }
}

/// Runs `statements` on partitions of these steps, as table `events (time, columns)` with a delay of 10 seconds.
pub(crate) fn run_steps(partitions: Vec<Vec<Step>>, columns: &str, more: &str, statements: &str) -> Done {
    run_tables([("events", partitions)], columns, more, statements)
}

/// The same of several tables.
pub(crate) fn run_tables<const N: usize>(
    tables: [(&str, Vec<Vec<Step>>); N],
    columns: &str,
    more: &str,
    statements: &str,
) -> Done {
    let mut script = String::new();
    for (name, _) in &tables {
        writeln!(
            script,
            "CREATE TABLE {name} (`time` TIMESTAMP(3), {columns}, WATERMARK FOR `time` AS `time` - INTERVAL '10' SECOND)
             WITH ('connector' = 'scripted'{more});"
        )
        .unwrap();
    }
    script.push_str(statements);
    let tables = tables.into_iter().map(|(name, partitions)| (name.to_owned(), partitions)).collect();
    let collected = Collected::default();
    let mut connectors = connectors(&collected);
    connectors.sources.register("scripted", Arc::new(Scripted(tables)));
    block_on(async {
        let plan = planner::plan(&script, &BTreeMap::new(), &connectors).await.unwrap();
        let job = Job::start(plan, &connectors, options(None)).await.unwrap();
        Done { ledger: job.wait().await.unwrap(), collected }
    })
}
