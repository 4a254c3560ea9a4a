//! State to files and back.
//!
//! A checkpoint is one folder, `epoch-N`, with an Arrow IPC file for each operator that holds state and each
//! partition that remembers keys, and `manifest.json`, which is put last, by a rename. A folder without
//! manifest is no checkpoint. The two newest are kept.
//!
//! The manifest carries a version of its format and a fingerprint of the plan: state of another script is
//! refused before anything is read, with a word on what to do.
//!
//! Left out for now: object stores, incremental state, restoring with another number of operators.

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

use super::{graph::NodeMarks, partition::Partition};
use crate::{
    error::StreamError,
    ledger::Ledger,
    operator::{Marks, Snapshot},
    time::{Epoch, Offset, PartitionId, Watermark},
};

/// Version of the format; raised whenever an older program could misread a newer checkpoint.
const FORMAT: u32 = 3;
/// Checkpoints that are kept.
const KEPT: usize = 2;

/// A partition in a checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PartitionState {
    /// The source's number in the plan.
    pub source: usize,
    /// Which partition.
    pub id: PartitionId,
    /// The next record to read; `None` if none was read yet.
    pub position: Option<Offset>,
    /// The highest event time that pushed the watermark.
    pub max_time_us: Option<i64>,
    /// Its watermark, which may be above what follows from that if it was idle for a time.
    pub watermark: Watermark,
    /// Keys already seen; in a file of their own.
    #[serde(skip)]
    pub keys: Option<RecordBatch>,
}

impl PartitionState {
    /// The state of a partition.
    pub fn of(source: usize, partition: &mut Partition) -> Result<Self, StreamError> {
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
    pub fn restore(&self, partition: &mut Partition, delay_us: i64) -> Result<(), StreamError> {
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

/// Everything that a restart needs.
#[derive(Debug, Default)]
pub struct Checkpoint {
    /// The cut.
    pub epoch: Option<Epoch>,
    /// All partitions.
    pub partitions: Vec<PartitionState>,
    /// State of every node, in order.
    pub nodes: Vec<(NodeMarks, Snapshot)>,
    /// What each sink's commit needs, in order.
    pub tokens: Vec<Vec<u8>>,
    /// The ledger at the cut.
    pub ledger: Ledger,
    /// The job's write counter.
    pub revision: u64,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    format: u32,
    plan: String,
    epoch: Epoch,
    partitions: Vec<ManifestPartition>,
    nodes: Vec<ManifestNode>,
    tokens: Vec<Vec<u8>>,
    ledger: Ledger,
    revision: u64,
}

#[derive(Serialize, Deserialize)]
struct ManifestPartition {
    #[serde(flatten)]
    state: PartitionState,
    keys: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct ManifestNode {
    watermark_in: Watermark,
    starts_in: Watermark,
    watermark_out: Watermark,
    starts_out: Watermark,
    files: Vec<String>,
}

/// A folder of checkpoints of one job.
#[derive(Clone, Debug)]
pub struct CheckpointStore {
    folder: PathBuf,
    plan: String,
}

impl CheckpointStore {
    /// The checkpoints in `folder` of the job whose plan has this fingerprint.
    pub fn new(folder: impl Into<PathBuf>, plan: impl Into<String>) -> Self {
        CheckpointStore { folder: folder.into(), plan: plan.into() }
    }

    fn failed(&self, path: &Path, what: &str, error: impl std::fmt::Display) -> StreamError {
        StreamError::State { path: path.display().to_string(), problem: format!("{what}: {error}") }
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
    pub fn write(&self, epoch: Epoch, checkpoint: &Checkpoint) -> Result<(), StreamError> {
        let folder = self.folder.join(format!("epoch-{epoch}"));
        fs::create_dir_all(&folder)
            .map_err(|e| self.failed(&folder, "cannot make the folder; check that it may be written", e))?;
        let mut partitions = Vec::new();
        for (index, partition) in checkpoint.partitions.iter().enumerate() {
            let keys = match &partition.keys {
                Some(keys) if keys.num_rows() > 0 => {
                    let name = format!("keys-{index}.arrow");
                    self.write_batch(&folder.join(&name), keys)?;
                    Some(name)
                }
                _ => None,
            };
            partitions
                .push(ManifestPartition { state: PartitionState { keys: None, ..partition.clone() }, keys });
        }
        let mut nodes = Vec::new();
        for (index, (marks, snapshot)) in checkpoint.nodes.iter().enumerate() {
            let mut files = Vec::new();
            for (part, batch) in snapshot.batches.iter().enumerate().filter(|(_, batch)| batch.num_rows() > 0)
            {
                let name = format!("node-{index}-{part}.arrow");
                self.write_batch(&folder.join(&name), batch)?;
                files.push(name);
            }
            nodes.push(ManifestNode {
                watermark_in: marks.marks_in.watermark,
                starts_in: marks.marks_in.window_starts,
                watermark_out: marks.marks_out.watermark,
                starts_out: marks.marks_out.window_starts,
                files,
            });
        }
        let manifest = Manifest {
            format: FORMAT,
            plan: self.plan.clone(),
            epoch,
            partitions,
            nodes,
            tokens: checkpoint.tokens.clone(),
            ledger: checkpoint.ledger.clone(),
            revision: checkpoint.revision,
        };
        let path = folder.join("manifest.json");
        let unfinished = folder.join("manifest.json.part");
        let text =
            serde_json::to_vec_pretty(&manifest).map_err(|e| self.failed(&path, "cannot be written", e))?;
        let written = File::create(&unfinished).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            File::open(&folder)?.sync_all()?;
            // The folder's own name, too: after a power cut the checkpoint must not be older than the sinks.
            File::open(&self.folder)?.sync_all()
        });
        written.map_err(|e| self.failed(&path, "cannot be written; check space and permissions", e))?;
        let epochs = self.epochs();
        for (_, old) in epochs.iter().rev().skip(KEPT) {
            // What cannot be removed now is removed after the next checkpoint.
            if let Err(error) = fs::remove_dir_all(old) {
                tracing::warn!(path = %old.display(), %error, "cannot remove an old checkpoint");
            }
        }
        Ok(())
    }

    fn write_batch(&self, path: &Path, batch: &RecordBatch) -> Result<(), StreamError> {
        let write = || -> Result<(), arrow::error::ArrowError> {
            let mut writer = FileWriter::try_new(BufWriter::new(File::create(path)?), &batch.schema())?;
            writer.write(batch)?;
            writer.finish()?;
            let file = writer.into_inner()?.into_inner().map_err(|e| e.into_error())?;
            file.sync_all()?;
            Ok(())
        };
        write().map_err(|e| self.failed(path, "cannot be written; check space and permissions", e))
    }

    fn read_batches(&self, path: &Path) -> Result<Vec<RecordBatch>, StreamError> {
        let read = || -> Result<Vec<RecordBatch>, arrow::error::ArrowError> {
            FileReader::try_new(BufReader::new(File::open(path)?), None)?.collect()
        };
        read().map_err(|e| self.failed(path, "cannot be read", e))
    }

    /// The newest checkpoint, if there is one.
    pub fn latest(&self) -> Result<Option<Checkpoint>, StreamError> {
        let Some((_, folder)) = self.epochs().pop_last() else { return Ok(None) };
        let path = folder.join("manifest.json");
        let bytes = fs::read(&path).map_err(|e| self.failed(&path, "cannot be read", e))?;
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|e| self.failed(&path, "is not a checkpoint's manifest", e))?;
        if manifest.format != FORMAT {
            let problem = format!(
                "the checkpoint has format {}, this program knows {FORMAT}; run the version that wrote it, or start over in another state folder",
                manifest.format
            );
            return Err(StreamError::State { path: path.display().to_string(), problem });
        }
        if manifest.plan != self.plan {
            let problem = "the checkpoint is of another script, or of an older version of this one; \
                           choose another state folder, or remove this one to start over"
                .to_owned();
            return Err(StreamError::State { path: self.folder.display().to_string(), problem });
        }
        let mut partitions = Vec::new();
        for partition in manifest.partitions {
            let mut state = partition.state;
            if let Some(name) = partition.keys {
                state.keys = self.read_batches(&folder.join(name))?.pop();
            }
            partitions.push(state);
        }
        let mut nodes = Vec::new();
        for node in manifest.nodes {
            let mut batches = Vec::new();
            for name in &node.files {
                batches.extend(self.read_batches(&folder.join(name))?);
            }
            let marks = NodeMarks {
                marks_in: Marks { watermark: node.watermark_in, window_starts: node.starts_in },
                marks_out: Marks { watermark: node.watermark_out, window_starts: node.starts_out },
            };
            nodes.push((marks, Snapshot { batches }));
        }
        Ok(Some(Checkpoint {
            epoch: Some(manifest.epoch),
            partitions,
            nodes,
            tokens: manifest.tokens,
            ledger: manifest.ledger,
            revision: manifest.revision,
        }))
    }
}
