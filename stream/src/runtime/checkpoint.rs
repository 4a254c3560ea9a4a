//! State to files and back.
//!
//! A checkpoint is one folder, `epoch-N`, with an Arrow IPC file for each operator that holds state and each
//! partition that remembers keys, and `manifest.json`, which is put last, by a rename. A folder without
//! manifest is no checkpoint. The two newest are kept.
//!
//! The [`manifest`] names everything by what it is ([`Identity`]), so that it can be [held against](super::compatible) a
//! script before any state is read.
//!
//! Left out for now: object stores, incremental state.

pub(crate) mod manifest;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use arrow::{
    array::{AsArray, FixedSizeBinaryArray},
    datatypes::{DataType, Field, Int64Type, Schema},
    ipc::{reader::FileReader, writer::FileWriter},
    record_batch::RecordBatch,
};
use serde::{Deserialize, Serialize};

use self::manifest::{
    FORMAT, Manifest, ManifestOperator, ManifestPartition, ManifestSource, SinkState, Version,
};
use super::{graph::NodeState, partition::Partition};
use crate::{
    error::StreamError,
    ledger::Ledger,
    operator::Snapshot,
    planner::identity::Identity,
    time::{Epoch, Offset, PartitionId, Watermark},
};

/// Checkpoints that are kept.
const KEPT: usize = 2;

/// A partition in a checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PartitionState {
    /// The source's number in the plan that runs.
    #[serde(skip)]
    pub(crate) source: usize,
    /// Which partition.
    pub(crate) id: PartitionId,
    /// The next record to read; `None` if none was read yet.
    pub(crate) position: Option<Offset>,
    /// The highest event time that pushed the watermark.
    pub(crate) max_time_us: Option<i64>,
    /// Its watermark, which may be above what follows from that if it was idle for a time.
    pub(crate) watermark: Watermark,
    /// Keys already seen; in a file of their own.
    #[serde(skip)]
    pub(crate) keys: Option<RecordBatch>,
}

impl PartitionState {
    /// The state of a partition.
    pub(crate) fn of(source: usize, partition: &mut Partition) -> Result<Self, StreamError> {
        let keys = match partition.deduplicator() {
            None => None,
            Some(deduplicator) => {
                let (buckets, hashes) = deduplicator.snapshot()?;
                let schema = Schema::new(vec![
                    Field::new("bucket", DataType::Int64, false),
                    Field::new("hash", DataType::FixedSizeBinary(16), false),
                ]);
                let columns: Vec<arrow::array::ArrayRef> =
                    vec![std::sync::Arc::new(buckets), std::sync::Arc::new(hashes)];
                Some(RecordBatch::try_new(std::sync::Arc::new(schema), columns)?)
            }
        };
        Ok(PartitionState {
            source,
            id: partition.id.clone(),
            position: partition.position,
            max_time_us: partition.max_time_us(),
            watermark: partition.progress().watermark(),
            keys,
        })
    }

    /// Gives a new partition this state.
    pub(crate) fn restore(&self, partition: &mut Partition, delay_us: i64) -> Result<(), StreamError> {
        partition.restore(self.position, self.max_time_us, delay_us);
        partition.wake(self.watermark);
        if let (Some(keys), Some(deduplicator)) = (&self.keys, partition.deduplicator()) {
            let buckets = keys.column(0).as_primitive_opt::<Int64Type>();
            let hashes = keys.column(1).as_any().downcast_ref::<FixedSizeBinaryArray>();
            let (Some(buckets), Some(hashes)) = (buckets, hashes) else {
                return Err(StreamError::internal("a checkpoint's keys have other columns"));
            };
            for row in 0..keys.num_rows() {
                deduplicator.restore(buckets.value(row), hashes.value(row));
            }
        }
        Ok(())
    }
}

/// A source in a checkpoint.
#[derive(Debug)]
pub(crate) struct SourceState {
    /// Its table.
    pub(crate) name: String,
    /// What the state is of.
    pub(crate) identity: Identity,
    /// What had been promised of it.
    pub(crate) promised: Watermark,
    /// Its partitions.
    pub(crate) partitions: Vec<PartitionState>,
}

/// An operator in a checkpoint.
#[derive(Debug)]
pub(crate) struct OperatorState {
    /// What the state is of.
    pub(crate) identity: Identity,
    /// The sinks that its rows come to.
    pub(crate) feeds: Vec<String>,
    /// The state.
    pub(crate) node: NodeState,
}

/// Everything that a restart needs.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    /// The cut.
    pub(crate) epoch: Epoch,
    /// All sources.
    pub(crate) sources: Vec<SourceState>,
    /// All operators with state.
    pub(crate) operators: Vec<OperatorState>,
    /// What each sink's commit needs.
    pub(crate) sinks: Vec<SinkState>,
    /// The same for what is set aside.
    pub(crate) dead_letters: Option<SinkState>,
    /// The ledger at the cut.
    pub(crate) ledger: Ledger,
    /// The job's write counter.
    pub(crate) revision: u64,
}

/// Nothing yet.
impl Default for Checkpoint {
    fn default() -> Self {
        Checkpoint {
            epoch: Epoch::new(0),
            sources: Vec::new(),
            operators: Vec::new(),
            sinks: Vec::new(),
            dead_letters: None,
            ledger: Ledger::default(),
            revision: 0,
        }
    }
}

/// A folder of checkpoints of one job.
#[derive(Clone, Debug)]
pub(crate) struct CheckpointStore {
    folder: PathBuf,
}

/// A checkpoint of which the manifest is known.
#[derive(Debug)]
pub(crate) struct Found {
    /// What it is of.
    pub(crate) manifest: Manifest,
    folder: PathBuf,
}

impl CheckpointStore {
    /// The checkpoints in `folder`.
    pub(crate) fn new(folder: impl Into<PathBuf>) -> Self {
        CheckpointStore { folder: folder.into() }
    }

    /// An error about the folder.
    pub(crate) fn refused(&self, problem: String) -> StreamError {
        StreamError::State { path: self.folder.display().to_string(), problem }
    }

    /// Epochs with a manifest, rising.
    fn epochs(&self) -> BTreeMap<u64, PathBuf> {
        let mut epochs = BTreeMap::new();
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let number = name.strip_prefix("epoch-").and_then(|number| number.parse().ok());
            if let Some(number) = number
                && entry.path().join("manifest.json").exists()
            {
                epochs.insert(number, entry.path());
            }
        }
        epochs
    }

    /// Writes a checkpoint and drops old ones.
    pub(crate) fn write(&self, checkpoint: &Checkpoint) -> Result<(), StreamError> {
        let folder = self.folder.join(format!("epoch-{}", checkpoint.epoch));
        fs::create_dir_all(&folder)
            .map_err(|e| failed(&folder, "cannot make the folder; check that it may be written", e))?;
        let manifest = Manifest {
            format: FORMAT,
            epoch: checkpoint.epoch,
            sources: write_sources(&folder, &checkpoint.sources)?,
            operators: write_operators(&folder, &checkpoint.operators)?,
            sinks: checkpoint.sinks.clone(),
            dead_letters: checkpoint.dead_letters.clone(),
            ledger: checkpoint.ledger.clone(),
            revision: checkpoint.revision,
        };
        self.put(&folder, &manifest)?;
        let epochs = self.epochs();
        for (_, old) in epochs.iter().rev().skip(KEPT) {
            // What cannot be removed now is removed after the next checkpoint.
            if let Err(error) = fs::remove_dir_all(old) {
                tracing::warn!(path = %old.display(), %error, "cannot remove an old checkpoint");
            }
        }
        Ok(())
    }

    /// With its manifest in place the folder becomes a checkpoint.
    fn put(&self, folder: &Path, manifest: &Manifest) -> Result<(), StreamError> {
        let path = folder.join("manifest.json");
        let unfinished = folder.join("manifest.json.part");
        let text = serde_json::to_vec_pretty(manifest).map_err(|e| failed(&path, "cannot be written", e))?;
        let written = File::create(&unfinished).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            File::open(folder)?.sync_all()?;
            // The folder's own name, too: after a power cut the checkpoint must not be older than the sinks.
            File::open(&self.folder)?.sync_all()
        });
        written.map_err(|e| failed(&path, "cannot be written; check space and permissions", e))
    }

    /// The newest checkpoint, if there is one. Only its manifest is read.
    pub(crate) fn newest(&self) -> Result<Option<Found>, StreamError> {
        let Some((_, folder)) = self.epochs().pop_last() else { return Ok(None) };
        let path = folder.join("manifest.json");
        let bytes = fs::read(&path).map_err(|e| failed(&path, "cannot be read", e))?;
        let no_manifest = |e| failed(&path, "is not a checkpoint's manifest", e);
        let version: Version = serde_json::from_slice(&bytes).map_err(no_manifest)?;
        if version.format != FORMAT {
            let problem = format!(
                "the checkpoint has format {}, this program knows {FORMAT}; run the version that wrote it, or start over in another state folder",
                version.format
            );
            return Err(StreamError::State { path: path.display().to_string(), problem });
        }
        let manifest = serde_json::from_slice(&bytes).map_err(no_manifest)?;
        Ok(Some(Found { manifest, folder }))
    }
}

impl Found {
    /// Reads the state.
    pub(crate) fn read(self) -> Result<Checkpoint, StreamError> {
        let Found { manifest, folder } = self;
        let mut sources = Vec::new();
        for ManifestSource { name, identity, promised, partitions: of_source } in manifest.sources {
            let mut partitions = Vec::new();
            for ManifestPartition { mut state, keys } in of_source {
                if let Some(file) = keys {
                    state.keys = read_batches(&folder.join(file))?.pop();
                }
                partitions.push(state);
            }
            sources.push(SourceState { name, identity, promised, partitions });
        }
        let mut operators = Vec::new();
        for ManifestOperator { identity, feeds, marks_in, marks_out, files } in manifest.operators {
            let mut batches = Vec::new();
            for file in &files {
                batches.extend(read_batches(&folder.join(file))?);
            }
            let node =
                NodeState { uid: identity.uid.clone(), marks_in, marks_out, snapshot: Snapshot { batches } };
            operators.push(OperatorState { identity, feeds, node });
        }
        Ok(Checkpoint {
            epoch: manifest.epoch,
            sources,
            operators,
            sinks: manifest.sinks,
            dead_letters: manifest.dead_letters,
            ledger: manifest.ledger,
            revision: manifest.revision,
        })
    }
}

fn write_sources(folder: &Path, sources: &[SourceState]) -> Result<Vec<ManifestSource>, StreamError> {
    let mut written = Vec::new();
    let mut files = 0;
    for source in sources {
        let mut partitions = Vec::new();
        for partition in &source.partitions {
            let mut file = None;
            if let Some(keys) = partition.keys.as_ref().filter(|keys| keys.num_rows() > 0) {
                let name = format!("keys-{files}.arrow");
                files += 1;
                write_batch(&folder.join(&name), keys)?;
                file = Some(name);
            }
            let state = PartitionState { keys: None, ..partition.clone() };
            partitions.push(ManifestPartition { state, keys: file });
        }
        let (name, identity) = (source.name.clone(), source.identity.clone());
        written.push(ManifestSource { name, identity, promised: source.promised, partitions });
    }
    Ok(written)
}

fn write_operators(folder: &Path, operators: &[OperatorState]) -> Result<Vec<ManifestOperator>, StreamError> {
    let mut written = Vec::new();
    for OperatorState { identity, feeds, node } in operators {
        let mut files = Vec::new();
        let batches = node.snapshot.batches.iter().enumerate();
        for (part, batch) in batches.filter(|(_, batch)| batch.num_rows() > 0) {
            let name = format!("{}-{part}.arrow", identity.uid);
            write_batch(&folder.join(&name), batch)?;
            files.push(name);
        }
        written.push(ManifestOperator {
            identity: identity.clone(),
            feeds: feeds.clone(),
            marks_in: node.marks_in,
            marks_out: node.marks_out,
            files,
        });
    }
    Ok(written)
}

fn failed(path: &Path, what: &str, error: impl std::fmt::Display) -> StreamError {
    StreamError::State { path: path.display().to_string(), problem: format!("{what}: {error}") }
}

fn write_batch(path: &Path, batch: &RecordBatch) -> Result<(), StreamError> {
    let write = || -> Result<(), arrow::error::ArrowError> {
        let mut writer = FileWriter::try_new(BufWriter::new(File::create(path)?), &batch.schema())?;
        writer.write(batch)?;
        writer.finish()?;
        let file = writer.into_inner()?.into_inner().map_err(|e| e.into_error())?;
        file.sync_all()?;
        Ok(())
    };
    write().map_err(|e| failed(path, "cannot be written; check space and permissions", e))
}

fn read_batches(path: &Path) -> Result<Vec<RecordBatch>, StreamError> {
    let read = || -> Result<Vec<RecordBatch>, arrow::error::ArrowError> {
        FileReader::try_new(BufReader::new(File::open(path)?), None)?.collect()
    };
    read().map_err(|e| failed(path, "cannot be read", e))
}
