//! From the bytes of records to Arrow columns.
//!
//! Which decoder a table has follows from its format. A [`Decoder`] is given the records of one partition in order; it builds one batch per call, of the columns
//! that its [plan](plan::DecodePlan) asks for. A record that cannot be decoded is left out of the batch and
//! reported with its reason, so that it can be set aside with its bytes; it never affects its neighbours.

pub(crate) mod csv;
pub mod json;
pub mod plan;
pub(crate) mod raw;

use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};

use self::plan::DecodePlan;
use crate::{error::StreamError, source::RawBatch, table::TableDef};

/// Decodes records into batches of a fixed schema.
pub trait Decoder: Send {
    /// The schema of the batches.
    fn schema(&self) -> SchemaRef;

    /// Decodes all records of `raw`.
    fn decode(&mut self, raw: &RawBatch) -> Result<Decoded, StreamError>;
}

/// Makes the decoders of one format.
pub trait Format: Send + Sync {
    /// A decoder of what `plan` wants of the table's records. It asks for all options that the format has; an error
    /// where one is wrong, or where a column's type cannot come from this format. Made once at planning, to find those
    /// errors, and then for each thread that reads.
    fn decoder(&self, table: &TableDef, plan: DecodePlan) -> Result<Box<dyn Decoder>, StreamError>;
}

/// What became of a raw batch.
#[derive(Debug)]
pub struct Decoded {
    /// The good records, in order.
    pub batch: RecordBatch,
    /// For each row of `batch`, the index of its record in the raw batch; rises.
    pub records: Vec<u32>,
    /// The bad ones.
    pub rejects: Vec<Reject>,
}

/// A record that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Its index in the raw batch.
    pub record: u32,
    /// Why, in words for the person who looks at the dead letters.
    pub reason: String,
}
