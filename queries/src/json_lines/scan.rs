//! Reads a JSON-lines file into Arrow batches, in parallel byte ranges.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, RecordBatchOptions, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use object_store::path::Path;
use object_store::{DynObjectStore, ObjectStoreExt as _};
use tracing::warn;

use super::line::{Value, read_line};
use super::profile::{ColumnType, Profile};

/// Bytes read at a time, and about the size of one batch's input.
const BLOCK_BYTES: u64 = 2 << 20;
/// A range smaller than this is not worth a partition.
const MIN_RANGE_BYTES: u64 = 8 << 20;

/// A JSON-lines file as it was when it was opened.
#[derive(Debug)]
pub(crate) struct JsonLinesTable {
    file: Arc<File>,
    schema: SchemaRef,
}

#[derive(Debug)]
struct File {
    store: Arc<DynObjectStore>,
    path: Path,
    table: String,
    /// Bytes that hold whole lines.
    readable: u64,
    columns: HashMap<String, (usize, ColumnType)>,
}

impl JsonLinesTable {
    pub(super) fn new(store: Arc<DynObjectStore>, path: Path, table: String, profile: &Profile) -> Self {
        let fields: Vec<_> =
            profile.columns().map(|(name, column)| Field::new(name, column.data_type(), true)).collect();
        let columns = profile
            .columns()
            .enumerate()
            .map(|(at, (name, column))| (name.to_owned(), (at, column)))
            .collect();
        let file = File { store, path, table, readable: profile.readable(), columns };
        Self { file: Arc::new(file), schema: Arc::new(Schema::new(fields)) }
    }
}

#[async_trait]
impl TableProvider for JsonLinesTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(projection) => Arc::new(self.schema.project(projection)?),
            None => Arc::clone(&self.schema),
        };
        let wanted = session.config().target_partitions() as u64;
        let ranges = self.file.readable.div_ceil(MIN_RANGE_BYTES).min(wanted).max(1);
        let malformed =
            Arc::new(Malformed { running: AtomicUsize::new(ranges as usize), lines: AtomicU64::new(0) });
        let bound = |range: u64| self.file.readable / ranges * range;
        let partitions = (0..ranges)
            .map(|range| {
                let end = if range + 1 == ranges { self.file.readable } else { bound(range + 1) };
                Arc::new(Range {
                    file: Arc::clone(&self.file),
                    schema: Arc::clone(&schema),
                    start: bound(range),
                    end,
                    malformed: Arc::clone(&malformed),
                }) as Arc<dyn PartitionStream>
            })
            .collect();
        Ok(Arc::new(StreamingTableExec::try_new(schema, partitions, None, [], false, limit)?))
    }
}

/// Counts skipped lines over all ranges of a scan; the last range to end reports them.
#[derive(Debug)]
struct Malformed {
    running: AtomicUsize,
    lines: AtomicU64,
}

/// The lines that start in `[start, end)`.
#[derive(Debug, Clone)]
struct Range {
    file: Arc<File>,
    /// The projected schema.
    schema: SchemaRef,
    start: u64,
    end: u64,
    malformed: Arc<Malformed>,
}

impl PartitionStream for Range {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let reader = Reader {
            range: self.clone(),
            rows: Rows::new(&self.file, &self.schema),
            // The line that a range begins in belongs to the range before, also when the range
            // begins exactly at a line: reading one byte earlier tells the two apart.
            skip_first: self.start > 0,
            line_start: self.start.saturating_sub(1),
            fetched: self.start.saturating_sub(1),
            buffer: Vec::new(),
        };
        let batches = futures::stream::try_unfold(reader, |mut reader| async move {
            let batch = reader.next_batch().await?;
            if batch.is_none() {
                reader.report();
            }
            Ok(batch.map(|batch| (batch, reader)))
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}

struct Reader {
    range: Range,
    rows: Rows,
    skip_first: bool,
    /// Offset in the file of the first byte of `buffer`, which is the start of a line.
    line_start: u64,
    fetched: u64,
    buffer: Vec<u8>,
}

impl Reader {
    async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let file = Arc::clone(&self.range.file);
        while self.line_start < self.range.end {
            let block_end = file.readable.min(self.fetched + BLOCK_BYTES);
            if self.fetched < block_end {
                let block = file.store.get_range(&file.path, self.fetched..block_end).await?;
                self.buffer.extend_from_slice(&block);
                self.fetched = block_end;
            }
            self.take_lines(&file);
            if self.rows.count > 0 {
                return self.rows.finish(&self.range.schema).map(Some);
            }
        }
        Ok(None)
    }

    /// Moves the whole lines of the buffer into rows; at the end of the file the rest is a line.
    fn take_lines(&mut self, file: &File) {
        let mut at = 0;
        while self.line_start < self.range.end {
            let rest = &self.buffer[at..];
            let (line, used) = match memchr::memchr(b'\n', rest) {
                Some(length) => (&rest[..length], length + 1),
                None if self.fetched >= file.readable => (rest, rest.len().max(1)),
                None => break,
            };
            if self.skip_first {
                self.skip_first = false;
            } else if !line.trim_ascii().is_empty() && !self.rows.add(file, line) {
                self.range.malformed.lines.fetch_add(1, Ordering::Relaxed);
            }
            at = (at + used).min(self.buffer.len());
            self.line_start += used as u64;
        }
        self.buffer.drain(..at);
    }

    fn report(&self) {
        let malformed = &self.range.malformed;
        if malformed.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            let lines = malformed.lines.load(Ordering::Acquire);
            if lines > 0 {
                warn!(table = %self.range.file.table, lines, "malformed lines were skipped");
            }
        }
    }
}

/// Rows being built, in the order of the projected schema.
struct Rows {
    builders: Vec<Builder>,
    /// For each column of the file, its place in `builders`.
    places: Vec<Option<usize>>,
    count: usize,
}

enum Builder {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Time(TimestampMicrosecondBuilder),
    Text(StringBuilder),
}

impl Rows {
    fn new(file: &File, projected: &Schema) -> Self {
        let mut places = vec![None; file.columns.len()];
        let mut builders = Vec::new();
        for field in projected.fields() {
            if let Some((column, column_type)) = file.columns.get(field.name()) {
                places[*column] = Some(builders.len());
                builders.push(Builder::new(*column_type));
            }
        }
        Self { builders, places, count: 0 }
    }

    /// Adds the line as a row, or nothing and false when it is malformed. Whether a line counts
    /// does not depend on the projection, so every known key is checked.
    fn add(&mut self, file: &File, line: &[u8]) -> bool {
        let mut row: Vec<Option<Value<'_>>> = vec![None; self.builders.len()];
        let mut fits = true;
        let whole = read_line(line, |key, value| {
            if let Some((column, column_type)) = file.columns.get(key) {
                fits &= column_type.fits(value);
                if let Some(place) = self.places[*column] {
                    row[place] = Some(value);
                }
            }
        });
        if !(whole && fits) {
            return false;
        }
        for (builder, value) in self.builders.iter_mut().zip(row) {
            builder.append(value);
        }
        self.count += 1;
        true
    }

    fn finish(&mut self, schema: &SchemaRef) -> Result<RecordBatch> {
        let columns = self.builders.iter_mut().map(Builder::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.count)));
        Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
    }
}

impl Builder {
    fn new(column: ColumnType) -> Self {
        match column {
            ColumnType::Bool => Self::Bool(BooleanBuilder::new()),
            ColumnType::Int => Self::Int(Int64Builder::new()),
            ColumnType::Float => Self::Float(Float64Builder::new()),
            ColumnType::Time => {
                Self::Time(TimestampMicrosecondBuilder::new().with_data_type(column.data_type()))
            }
            ColumnType::Text => Self::Text(StringBuilder::new()),
        }
    }

    fn append(&mut self, value: Option<Value<'_>>) {
        match self {
            Self::Bool(builder) => builder.append_option(value.and_then(Value::bool)),
            Self::Int(builder) => builder.append_option(value.and_then(Value::int)),
            Self::Float(builder) => builder.append_option(value.and_then(Value::float)),
            Self::Time(builder) => builder.append_option(value.and_then(Value::micros)),
            Self::Text(builder) => builder.append_option(value.and_then(Value::text)),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Bool(builder) => Arc::new(builder.finish()),
            Self::Int(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Time(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
        }
    }
}
