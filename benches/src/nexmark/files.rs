//! Generated events in files.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use super::{clock::Clock, event};

/// Events of one file that follow each other: one person, three auctions and their bids.
const RUN: u64 = 50;

/// What is generated. Two of the same are the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nexmark {
    /// Events of all kinds; 46 of 50 are bids.
    pub events: u64,
    /// The generator's seed.
    pub seed: u64,
    /// Events per second of event time.
    pub events_per_second: u64,
    /// Files that they are spread over; one a thread, since a file is read by one.
    pub files: usize,
}

/// Events in files of JSON lines.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NexmarkFiles {
    /// Their folder.
    pub folder: PathBuf,
    /// What is in it.
    pub nexmark: Nexmark,
    /// Bytes of all records, without line ends.
    pub bytes: u64,
}

impl Nexmark {
    /// A folder below `data` with the files; made unless it is there already.
    pub fn files(&self, data: &Path) -> anyhow::Result<NexmarkFiles> {
        ensure!(self.files > 0, "there must be at least one file");
        let Nexmark { events, seed, events_per_second, files } = self;
        let folder = data.join(format!("nexmark-{events}-{seed}-{events_per_second}-{files}"));
        // Files with a `_` in front are no part of the data, here and on Flink.
        let marker = folder.join("_complete.json");
        if let Ok(text) = std::fs::read(&marker)
            && let Ok(made) = serde_json::from_slice::<NexmarkFiles>(&text)
            && made.nexmark == *self
        {
            return Ok(NexmarkFiles { folder, ..made });
        }
        let failed = || format!("cannot write events below {}; is the disk full?", folder.display());
        std::fs::create_dir_all(&folder).with_context(failed)?;
        let mut outputs = Vec::new();
        for file in 0..self.files {
            let file = File::create(folder.join(format!("part-{file}.jsonl"))).with_context(failed)?;
            outputs.push(BufWriter::with_capacity(1 << 20, file));
        }
        let mut clock = Clock::new(self.events_per_second);
        let mut line = Vec::new();
        let mut bytes = 0;
        let turns = u64::try_from(self.files)?;
        for number in 0..self.events {
            line.clear();
            serde_json::to_writer(&mut line, &event::event(number, self.seed, &mut clock))?;
            bytes += u64::try_from(line.len())?;
            line.push(b'\n');
            let turn = usize::try_from(number / RUN % turns)?;
            outputs[turn].write_all(&line).with_context(failed)?;
        }
        for output in outputs {
            output.into_inner().with_context(failed)?.sync_all().with_context(failed)?;
        }
        let made = NexmarkFiles { folder: folder.clone(), nexmark: self.clone(), bytes };
        std::fs::write(&marker, serde_json::to_vec(&made)?).with_context(failed)?;
        Ok(made)
    }
}
