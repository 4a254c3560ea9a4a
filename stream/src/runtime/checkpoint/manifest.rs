//! What is written down of a checkpoint beside its state: what that state is of, and what must be known of it before any
//! of it is read.

use serde::{Deserialize, Serialize};

use super::PartitionState;
use crate::{
    ledger::Ledger,
    operator::Marks,
    planner::identity::Identity,
    time::{Epoch, Watermark},
};

/// Version of the format; raised whenever an older program could misread a newer checkpoint.
pub const FORMAT: u32 = 4;

/// The first thing to read of a manifest.
#[derive(Deserialize)]
pub(super) struct Version {
    pub(super) format: u32,
}

/// `manifest.json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the format.
    pub format: u32,
    /// The cut.
    pub epoch: Epoch,
    /// The sources, in no order that means anything; likewise the others.
    pub sources: Vec<ManifestSource>,
    /// Whatever else has state.
    pub operators: Vec<ManifestOperator>,
    /// The script's sinks.
    pub sinks: Vec<SinkState>,
    /// Where records were set aside.
    pub dead_letters: Option<SinkState>,
    /// The ledger at the cut.
    pub ledger: Ledger,
    /// The job's write counter.
    pub revision: u64,
}

/// A source in the manifest.
#[derive(Debug, Serialize, Deserialize)]
pub struct ManifestSource {
    /// Its table.
    pub name: String,
    /// What its positions and keys are of.
    pub identity: Identity,
    /// What had been promised of it.
    pub promised: Watermark,
    /// Its partitions.
    pub partitions: Vec<ManifestPartition>,
}

impl ManifestSource {
    /// Whether anything was read of it.
    pub fn was_read(&self) -> bool {
        self.partitions.iter().any(|partition| partition.state.position.is_some())
    }
}

/// A partition in the manifest.
#[derive(Debug, Serialize, Deserialize)]
pub struct ManifestPartition {
    /// How far it had come.
    #[serde(flatten)]
    pub state: PartitionState,
    /// The file with the keys seen.
    pub keys: Option<String>,
}

/// An operator in the manifest.
#[derive(Debug, Serialize, Deserialize)]
pub struct ManifestOperator {
    /// What its state is of.
    pub identity: Identity,
    /// The sinks that its rows came to, for those who read an error.
    pub feeds: Vec<String>,
    /// Given to it.
    pub marks_in: Marks,
    /// Given by it.
    pub marks_out: Marks,
    /// The files with its state.
    pub files: Vec<String>,
}

/// A sink in a checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SinkState {
    /// Its table.
    pub name: String,
    /// What the token is for.
    pub identity: Identity,
    /// What its commit needs.
    pub token: Vec<u8>,
}
