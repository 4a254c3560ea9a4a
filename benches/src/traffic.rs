//! Generated events: the same for files, for Kafka and for batches in memory.
//!
//! Faults are off (no late, repeated or malformed records), so that every record must end up on time in the
//! ledger and the figures are about the usual case. Records are spread over partitions by visitor, as Kafka
//! does it by key.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use events::generate::{Generated, Generator, GeneratorConfig};
use serde::{Deserialize, Serialize};
use stream::{source::RawBatch, time::Offset};

/// Partitions of the generated traffic.
pub const PARTITIONS: usize = 4;

/// What is generated. Two of the same are the same bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    /// Number of events.
    pub events: u64,
    /// The generator's seed.
    pub seed: u64,
    /// Events per second of event time: how many lie in a window.
    pub events_per_second: f64,
}

impl Traffic {
    /// The events, in the order of their arrival.
    pub fn generate(&self) -> anyhow::Result<Generator> {
        let config = GeneratorConfig {
            events: Some(self.events),
            seed: self.seed,
            events_per_second: self.events_per_second,
            ..GeneratorConfig::default().without_faults()
        };
        Ok(Generator::new(config)?)
    }

    /// A folder below `data` with one file of JSON lines a partition; made unless it is there already.
    pub fn files(&self, data: &Path) -> anyhow::Result<Files> {
        let Traffic { events, seed, events_per_second } = self;
        let folder = data.join(format!("events-{events}-{seed}-{events_per_second}"));
        // Files with a `_` in front are no part of the data.
        let marker = folder.join("_complete.json");
        if let Ok(text) = std::fs::read(&marker)
            && let Ok(files) = serde_json::from_slice::<Files>(&text)
        {
            return Ok(Files { folder, ..files });
        }
        let failed = || format!("cannot write events below {}; is the disk full?", folder.display());
        std::fs::create_dir_all(&folder).with_context(failed)?;
        let mut outputs = Vec::new();
        for partition in 0..PARTITIONS {
            let file = File::create(folder.join(format!("part-{partition}.jsonl"))).with_context(failed)?;
            outputs.push(BufWriter::with_capacity(1 << 20, file));
        }
        let mut bytes = 0;
        for record in self.generate()? {
            let output = &mut outputs[partition_of(&record)];
            output.write_all(&record.payload).with_context(failed)?;
            output.write_all(b"\n").with_context(failed)?;
            bytes += u64::try_from(record.payload.len()).unwrap_or_default();
        }
        for output in outputs {
            output.into_inner().with_context(failed)?.sync_all().with_context(failed)?;
        }
        let files = Files { folder: folder.clone(), traffic: self.clone(), bytes };
        std::fs::write(&marker, serde_json::to_vec(&files)?).with_context(failed)?;
        Ok(files)
    }

    /// The events as raw batches of `records` each.
    pub fn batches(&self, records: usize) -> anyhow::Result<Vec<RawBatch>> {
        let mut batches = Vec::new();
        let mut batch = RawBatch::default();
        for (offset, record) in (0..).zip(self.generate()?) {
            batch.push(&record.payload, Offset::new(offset));
            if batch.len() == records {
                batches.push(std::mem::take(&mut batch));
            }
        }
        if !batch.is_empty() {
            batches.push(batch);
        }
        Ok(batches)
    }
}

/// Traffic in files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Files {
    /// The folder.
    pub folder: PathBuf,
    /// What is in it.
    pub traffic: Traffic,
    /// Bytes of all records, without line ends.
    pub bytes: u64,
}

/// FNV-1a of the key: the same on every machine and with every compiler.
fn partition_of(record: &Generated) -> usize {
    let hash = record.key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    usize::try_from(hash >> 32).unwrap_or_default() % PARTITIONS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hold_every_event_once_and_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let traffic = Traffic { events: 2_000, seed: 3, events_per_second: 100.0 };
        let files = traffic.files(folder.path()).unwrap();
        let mut lines = 0;
        for partition in 0..PARTITIONS {
            let text = std::fs::read_to_string(files.folder.join(format!("part-{partition}.jsonl"))).unwrap();
            assert!(text.lines().count() > 200, "every partition gets its share");
            lines += text.lines().count();
        }
        assert_eq!(lines, 2_000);
        let in_memory: usize = traffic.batches(300).unwrap().iter().map(RawBatch::bytes).sum();
        assert_eq!(u64::try_from(in_memory).unwrap(), files.bytes);

        let part = files.folder.join("part-0.jsonl");
        let before = std::fs::metadata(&part).unwrap().modified().unwrap();
        traffic.files(folder.path()).unwrap();
        assert_eq!(std::fs::metadata(&part).unwrap().modified().unwrap(), before);
    }
}
