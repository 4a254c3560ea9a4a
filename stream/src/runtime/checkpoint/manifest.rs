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
pub(crate) const FORMAT: u32 = 4;

/// The first thing to read of a manifest.
#[derive(Deserialize)]
pub(super) struct Version {
    pub(super) format: u32,
}

/// `manifest.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The version of the format.
    pub(crate) format: u32,
    /// The cut.
    pub(crate) epoch: Epoch,
    /// The sources, in no order that means anything; likewise the others.
    pub(crate) sources: Vec<ManifestSource>,
    /// Whatever else has state.
    pub(crate) operators: Vec<ManifestOperator>,
    /// The script's sinks.
    pub(crate) sinks: Vec<SinkState>,
    /// Where records were set aside.
    pub(crate) dead_letters: Option<SinkState>,
    /// The ledger at the cut.
    pub(crate) ledger: Ledger,
    /// The job's write counter.
    pub(crate) revision: u64,
}

/// A source in the manifest.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ManifestSource {
    /// Its table.
    pub(crate) name: String,
    /// What its positions and keys are of.
    pub(crate) identity: Identity,
    /// What had been promised of it.
    pub(crate) promised: Watermark,
    /// Its partitions.
    pub(crate) partitions: Vec<ManifestPartition>,
}

impl ManifestSource {
    /// Whether anything was read of it.
    pub(crate) fn was_read(&self) -> bool {
        self.partitions.iter().any(|partition| partition.state.position.is_some())
    }
}

/// A partition in the manifest.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ManifestPartition {
    /// How far it had come.
    #[serde(flatten)]
    pub(crate) state: PartitionState,
    /// The file with the keys seen.
    pub(crate) keys: Option<String>,
}

/// An operator in the manifest.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ManifestOperator {
    /// What its state is of.
    pub(crate) identity: Identity,
    /// The sinks that its rows came to, for those who read an error.
    pub(crate) feeds: Vec<String>,
    /// Given to it.
    pub(crate) marks_in: Marks,
    /// Given by it.
    pub(crate) marks_out: Marks,
    /// The files with its state.
    pub(crate) files: Vec<String>,
}

/// A sink in a checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SinkState {
    /// Its table.
    pub(crate) name: String,
    /// What the token is for.
    pub(crate) identity: Identity,
    /// What its commit needs.
    pub(crate) token: Vec<u8>,
}
