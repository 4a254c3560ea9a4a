//! Session windows: a key's rows with no gap over the limit between neighbours.
//!
//! A session is found in two phases. On the thread that reads them, rows become *fragments*: runs of one key's
//! rows that lie within the gap of each other ([`Fragments`]). The merge stage keeps the fragments of open
//! sessions as rows of state batches, and per key the sessions they make ([`Sessions`]): a new fragment joins
//! every session that it touches, and two sessions that it bridges become one. Accumulators are needed only
//! when a session is read, so joining sessions never merges states.
//!
//! ```text
//! gap 30        fragments of key k       [10 .. 25]   [40 .. 40]            [90 .. 95]
//!               sessions of key k        [10 ......... 40] ends 70          [90 .. 95] ends 125
//! ```
//!
//! A session closes when the watermark passes its end (its last row plus the gap). State: per fragment one
//! state row, per open session about 100 bytes and its key; fragments of long sessions are merged when they
//! are many. Closed sessions leave holes in the state batches, which are rewritten when half of them is holes.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap},
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, Int64Array, TimestampMicrosecondArray, UInt64Array},
    compute::{concat_batches, interleave_record_batch, take, take_record_batch},
    datatypes::{DataType, Field, Schema, SchemaRef},
    record_batch::{RecordBatch, RecordBatchOptions},
    row::{RowConverter, SortField},
};
use datafusion::{logical_expr::EmitTo, physical_plan::aggregates::group_values::GroupValues};

use super::{
    Partial,
    aggregate::{Accumulators, Aggregation, Inputs},
};
use crate::error::StreamError;

/// Fragments of a session beyond this are merged into one.
const MAX_FRAGMENTS: usize = 8;
/// State batches are rewritten when more rows than this, and more than half of all, are holes.
const MIN_HOLES: usize = 4_096;
/// State batches are rewritten when there are more than this, so that reading a session stays cheap.
const MAX_CHUNKS: usize = 256;

/// The columns in front of keys and states: first and last row of the fragment.
const TIME_COLUMNS: usize = 2;

fn fragment_schema(aggregation: &Aggregation) -> SchemaRef {
    let time = |name: &str| Arc::new(Field::new(name, DataType::Int64, false));
    let mut fields = vec![time("first_us"), time("last_us")];
    fields.extend(aggregation.state_schema().fields().iter().cloned());
    Arc::new(Schema::new(fields))
}

/// Rows made into fragments, on the thread that reads them.
pub struct Fragments {
    aggregation: Aggregation,
    schema: SchemaRef,
    gap_us: i64,
    keys: Option<Box<dyn GroupValues>>,
    accumulators: Accumulators,
    /// The fragment that a key's next row is most likely to extend.
    current: Vec<usize>,
    fragments: Vec<Fragment>,
    key_of_row: Vec<usize>,
    fragment_of_row: Vec<usize>,
    rows: u64,
}

struct Fragment {
    key: usize,
    first_us: i64,
    last_us: i64,
}

impl Fragments {
    /// No rows yet.
    pub fn new(aggregation: Aggregation, gap_us: i64) -> Result<Self, StreamError> {
        Ok(Fragments {
            schema: fragment_schema(&aggregation),
            gap_us,
            keys: aggregation.groups()?,
            accumulators: aggregation.accumulators()?,
            aggregation,
            current: Vec::new(),
            fragments: Vec::new(),
            key_of_row: Vec::new(),
            fragment_of_row: Vec::new(),
            rows: 0,
        })
    }

    /// Counts a batch; `times` has the event time of each row, none NULL.
    pub fn update(
        &mut self,
        batch: &RecordBatch,
        times: &TimestampMicrosecondArray,
    ) -> Result<(), StreamError> {
        const NONE: usize = usize::MAX;
        let inputs: Inputs = self.aggregation.inputs(batch)?;
        let keys = match &mut self.keys {
            Some(keys) => {
                keys.intern(inputs.keys(), &mut self.key_of_row)?;
                keys.len()
            }
            None => {
                self.key_of_row.clear();
                self.key_of_row.resize(batch.num_rows(), 0);
                1
            }
        };
        self.current.resize(keys, NONE);
        self.fragment_of_row.clear();
        for (&key, &time) in self.key_of_row.iter().zip(times.values()) {
            let current = self.current[key];
            let fits = self.fragments.get_mut(current).filter(|fragment| {
                time >= fragment.first_us.saturating_sub(self.gap_us)
                    && time <= fragment.last_us.saturating_add(self.gap_us)
            });
            let index = match fits {
                Some(fragment) => {
                    fragment.first_us = fragment.first_us.min(time);
                    fragment.last_us = fragment.last_us.max(time);
                    current
                }
                None => {
                    self.fragments.push(Fragment { key, first_us: time, last_us: time });
                    self.current[key] = self.fragments.len() - 1;
                    self.fragments.len() - 1
                }
            };
            self.fragment_of_row.push(index);
        }
        self.rows += u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
        self.accumulators.update(&inputs, &self.fragment_of_row, self.fragments.len())
    }

    /// Takes everything out.
    pub fn take(&mut self) -> Result<Vec<Partial>, StreamError> {
        if self.fragments.is_empty() {
            return Ok(Vec::new());
        }
        let key_arrays = match &mut self.keys {
            Some(keys) => keys.emit(EmitTo::All)?,
            None => Vec::new(),
        };
        let key_index: UInt64Array = self
            .fragments
            .iter()
            .map(|f| u64::try_from(f.key).unwrap_or(u64::MAX))
            .collect::<Vec<_>>()
            .into();
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(self.fragments.iter().map(|f| f.first_us))),
            Arc::new(Int64Array::from_iter_values(self.fragments.iter().map(|f| f.last_us))),
        ];
        for array in &key_arrays {
            columns.push(take(array, &key_index, None)?);
        }
        columns.extend(self.accumulators.take_states()?);
        let states = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        self.fragments.clear();
        self.current.clear();
        Ok(vec![Partial { pane_us: 0, states, rows: std::mem::take(&mut self.rows) }])
    }
}

/// A state row: batch and row number.
type At = (usize, usize);

/// An open session of one key.
#[derive(Debug)]
struct Session {
    first_us: i64,
    last_us: i64,
    parts: Vec<At>,
    /// Changed since provisional rows were last asked for.
    changed: bool,
}

/// A state batch and how many of its rows are still part of a session.
struct Chunk {
    batch: RecordBatch,
    live: usize,
}

/// Sessions that were read: `(first, last)` of each, key columns, aggregate columns.
pub struct SessionRows {
    /// First and last row of each session.
    pub spans: Vec<(i64, i64)>,
    /// Key columns.
    pub keys: Vec<ArrayRef>,
    /// Aggregate columns.
    pub values: Vec<ArrayRef>,
}

/// The open sessions of all keys.
pub struct Sessions {
    aggregation: Aggregation,
    schema: SchemaRef,
    gap_us: i64,
    converter: RowConverter,
    sessions: HashMap<Arc<[u8]>, Vec<Session>, ahash::RandomState>,
    /// One entry or more a session: a time at which it may be over. Later rows do not move entries; what comes
    /// up too early is put back.
    expiry: BinaryHeap<Reverse<(i64, Arc<[u8]>)>>,
    /// How many open sessions start when.
    starts: BTreeMap<i64, usize>,
    chunks: Vec<Chunk>,
    holes: usize,
}

impl Sessions {
    /// No sessions yet.
    pub fn new(aggregation: Aggregation, gap_us: i64) -> Result<Self, StreamError> {
        let fields =
            aggregation.key_schema().fields().iter().map(|f| SortField::new(f.data_type().clone())).collect();
        Ok(Sessions {
            schema: fragment_schema(&aggregation),
            gap_us,
            converter: RowConverter::new(fields)?,
            aggregation,
            // Fixed seeds: iteration order must not differ from run to run where it could reach the output.
            sessions: HashMap::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4)),
            expiry: BinaryHeap::new(),
            starts: BTreeMap::new(),
            chunks: Vec::new(),
            holes: 0,
        })
    }

    /// The earliest start of an open session.
    pub fn earliest_start(&self) -> Option<i64> {
        self.starts.keys().next().copied()
    }

    /// Number of open sessions.
    pub fn len(&self) -> usize {
        self.starts.values().sum()
    }

    /// Whether no session is open.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    fn keys_of(&self, batch: &RecordBatch) -> Result<Vec<Arc<[u8]>>, StreamError> {
        let keys = self.aggregation.key_schema().fields().len();
        if keys == 0 {
            return Ok(vec![Arc::from([].as_slice()); batch.num_rows()]);
        }
        let rows = self.converter.convert_columns(&batch.columns()[TIME_COLUMNS..TIME_COLUMNS + keys])?;
        Ok(rows.iter().map(|row| Arc::from(row.as_ref())).collect())
    }

    /// Adds fragments.
    pub fn merge(&mut self, batch: RecordBatch) -> Result<(), StreamError> {
        let keys = self.keys_of(&batch)?;
        let (firsts, lasts) = (int64(&batch, 0)?.clone(), int64(&batch, 1)?.clone());
        let chunk = self.chunks.len();
        self.chunks.push(Chunk { live: batch.num_rows(), batch });
        let mut crowded = Vec::new();
        for (row, key) in keys.into_iter().enumerate() {
            let (first_us, last_us) = (firsts.value(row), lasts.value(row));
            let sessions = self.sessions.entry(Arc::clone(&key)).or_default();
            let mut joined = Session { first_us, last_us, parts: vec![(chunk, row)], changed: true };
            let mut expires = true;
            let mut index = 0;
            while index < sessions.len() {
                let other = &sessions[index];
                let touches = joined.first_us <= other.last_us.saturating_add(self.gap_us)
                    && other.first_us <= joined.last_us.saturating_add(self.gap_us);
                if !touches {
                    index += 1;
                    continue;
                }
                let mut other = sessions.swap_remove(index);
                forget_start(&mut self.starts, other.first_us);
                joined.first_us = joined.first_us.min(other.first_us);
                joined.last_us = joined.last_us.max(other.last_us);
                other.parts.append(&mut joined.parts);
                joined.parts = other.parts;
                // The other session's entry will come up and be put back; another is not needed.
                expires = false;
                // The joined session is wider now: look at all of them again.
                index = 0;
            }
            *self.starts.entry(joined.first_us).or_default() += 1;
            if expires {
                self.expiry.push(Reverse((joined.last_us.saturating_add(self.gap_us), Arc::clone(&key))));
            }
            if joined.parts.len() > MAX_FRAGMENTS {
                crowded.push((Arc::clone(&key), joined.first_us));
            }
            sessions.push(joined);
        }
        self.merge_crowded(&crowded)?;
        if (self.holes > MIN_HOLES && self.holes * 2 > self.rows()) || self.chunks.len() > MAX_CHUNKS {
            self.rewrite()?;
        }
        Ok(())
    }

    fn rows(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.batch.num_rows()).sum()
    }

    /// Merges the fragments of sessions that have many.
    fn merge_crowded(&mut self, crowded: &[(Arc<[u8]>, i64)]) -> Result<(), StreamError> {
        let mut found: Vec<(Arc<[u8]>, i64)> = Vec::new();
        let mut groups: Vec<Vec<At>> = Vec::new();
        let mut spans = Vec::new();
        for (key, first_us) in crowded {
            // A later fragment of the same batch may have joined the session on; then it is listed again.
            let session =
                self.sessions.get_mut(key).and_then(|all| all.iter_mut().find(|s| s.first_us == *first_us));
            if let Some(session) = session.filter(|session| session.parts.len() > MAX_FRAGMENTS) {
                groups.push(std::mem::take(&mut session.parts));
                spans.push((session.first_us, session.last_us));
                found.push((Arc::clone(key), *first_us));
            }
        }
        if found.is_empty() {
            return Ok(());
        }
        let (keys, mut accumulators) = self.gather(&groups)?;
        let states = accumulators.take_states()?;
        let batch = self.fragment_batch(&spans, keys, states)?;
        let chunk = self.chunks.len();
        self.chunks.push(Chunk { live: batch.num_rows(), batch });
        for (row, (key, first_us)) in found.iter().enumerate() {
            let session =
                self.sessions.get_mut(key).and_then(|all| all.iter_mut().find(|s| s.first_us == *first_us));
            if let Some(session) = session {
                session.parts = vec![(chunk, row)];
            }
        }
        for part in groups.into_iter().flatten() {
            self.release(part);
        }
        Ok(())
    }

    fn release(&mut self, (chunk, _): At) {
        let chunk = &mut self.chunks[chunk];
        chunk.live -= 1;
        self.holes += 1;
        if chunk.live == 0 {
            self.holes -= chunk.batch.num_rows();
            chunk.batch = RecordBatch::new_empty(chunk.batch.schema());
        }
    }

    fn fragment_batch(
        &self,
        spans: &[(i64, i64)],
        keys: Vec<ArrayRef>,
        states: Vec<ArrayRef>,
    ) -> Result<RecordBatch, StreamError> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(spans.iter().map(|(first, _)| *first))),
            Arc::new(Int64Array::from_iter_values(spans.iter().map(|(_, last)| *last))),
        ];
        columns.extend(keys);
        columns.extend(states);
        let options = RecordBatchOptions::new().with_row_count(Some(spans.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }

    /// Merges the states of each group of parts; the keys are those of each group's first part.
    fn gather(&self, groups: &[Vec<At>]) -> Result<(Vec<ArrayRef>, Accumulators), StreamError> {
        let keys = self.aggregation.key_schema().fields().len();
        let mut accumulators = self.aggregation.accumulators()?;
        if groups.is_empty() {
            let empty = RecordBatch::new_empty(Arc::clone(&self.schema));
            return Ok((empty.columns()[TIME_COLUMNS..TIME_COLUMNS + keys].to_vec(), accumulators));
        }
        // Interleave takes the batches that are used; numbering only those keeps it cheap.
        let mut used: BTreeMap<usize, usize> = BTreeMap::new();
        for (chunk, _) in groups.iter().flatten() {
            let next = used.len();
            used.entry(*chunk).or_insert(next);
        }
        let mut batches = vec![None; used.len()];
        for (chunk, index) in &used {
            batches[*index] = Some(&self.chunks[*chunk].batch);
        }
        let batches: Vec<&RecordBatch> = batches.into_iter().flatten().collect();
        let mut places = Vec::new();
        let mut group_of_row = Vec::new();
        let mut first_of_group = Vec::with_capacity(groups.len());
        for (group, parts) in groups.iter().enumerate() {
            first_of_group.push(u64::try_from(places.len()).unwrap_or(u64::MAX));
            for (chunk, row) in parts {
                places.push((used[chunk], *row));
                group_of_row.push(group);
            }
        }
        let rows = interleave_record_batch(&batches, &places)?;
        accumulators.merge(&rows.columns()[TIME_COLUMNS + keys..], &group_of_row, groups.len())?;
        let first_of_group = UInt64Array::from(first_of_group);
        let keys = rows.columns()[TIME_COLUMNS..TIME_COLUMNS + keys]
            .iter()
            .map(|array| take(array, &first_of_group, None))
            .collect::<Result<_, _>>()?;
        Ok((keys, accumulators))
    }

    /// Closes the sessions whose end `is_over`, and hands over their rows in order of end, start and key.
    pub fn close(&mut self, is_over: impl Fn(i64) -> bool) -> Result<SessionRows, StreamError> {
        let mut closing = Vec::new();
        while let Some(Reverse((end_us, _))) = self.expiry.peek() {
            if !is_over(*end_us) {
                break;
            }
            let Some(Reverse((end_us, key))) = self.expiry.pop() else { break };
            let Some(sessions) = self.sessions.get_mut(&key) else { continue };
            let gap_us = self.gap_us;
            let mut back = None;
            let mut index = 0;
            while index < sessions.len() {
                let end = sessions[index].last_us.saturating_add(gap_us);
                if is_over(end) {
                    let session = sessions.swap_remove(index);
                    closing.push((end, session.first_us, Arc::clone(&key), session));
                } else {
                    if end > end_us && back.is_none_or(|b| end < b) {
                        back = Some(end);
                    }
                    index += 1;
                }
            }
            if sessions.is_empty() {
                self.sessions.remove(&key);
            } else if let Some(end) = back {
                self.expiry.push(Reverse((end, key)));
            }
        }
        closing.sort_by(|a, b| (a.0, a.1, &a.2).cmp(&(b.0, b.1, &b.2)));
        for (_, first_us, ..) in &closing {
            forget_start(&mut self.starts, *first_us);
        }
        let sessions: Vec<Session> = closing.into_iter().map(|(.., session)| session).collect();
        let rows = self.read(sessions.iter())?;
        for part in sessions.iter().flat_map(|session| &session.parts) {
            self.release(*part);
        }
        Ok(rows)
    }

    fn read<'a>(&self, sessions: impl Iterator<Item = &'a Session>) -> Result<SessionRows, StreamError> {
        let (mut spans, mut groups) = (Vec::new(), Vec::new());
        for session in sessions {
            spans.push((session.first_us, session.last_us));
            groups.push(session.parts.clone());
        }
        let (keys, mut accumulators) = self.gather(&groups)?;
        let values = accumulators.evaluate()?;
        Ok(SessionRows { spans, keys, values })
    }

    /// The open sessions as of now: all of them, or those that changed since the last call.
    pub fn provisional(&mut self, all: bool) -> Result<SessionRows, StreamError> {
        let mut wanted: Vec<(&Arc<[u8]>, &Session)> = self
            .sessions
            .iter()
            .flat_map(|(key, sessions)| sessions.iter().map(move |session| (key, session)))
            .filter(|(_, session)| all || session.changed)
            .collect();
        wanted.sort_by(|a, b| (a.1.last_us, a.1.first_us, a.0).cmp(&(b.1.last_us, b.1.first_us, b.0)));
        let rows = self.read(wanted.into_iter().map(|(_, session)| session))?;
        for session in self.sessions.values_mut().flatten() {
            session.changed = false;
        }
        Ok(rows)
    }

    /// Rewrites the state batches into one without holes.
    fn rewrite(&mut self) -> Result<(), StreamError> {
        let batch = self.live_batch()?;
        self.chunks = vec![Chunk { live: batch.num_rows(), batch }];
        self.holes = 0;
        Ok(())
    }

    /// All live state rows in one batch; the sessions' parts point into it afterwards.
    fn live_batch(&mut self) -> Result<RecordBatch, StreamError> {
        let mut starts = Vec::with_capacity(self.chunks.len());
        let mut total = 0;
        for chunk in &self.chunks {
            starts.push(total);
            total += chunk.batch.num_rows();
        }
        let all = concat_batches(&self.schema, self.chunks.iter().map(|chunk| &chunk.batch))?;
        let mut live: Vec<u64> = Vec::new();
        for session in self.sessions.values_mut().flatten() {
            for (chunk, row) in &mut session.parts {
                live.push(u64::try_from(starts[*chunk] + *row).unwrap_or(u64::MAX));
                (*chunk, *row) = (0, live.len() - 1);
            }
        }
        Ok(take_record_batch(&all, &UInt64Array::from(live))?)
    }

    /// The state as one batch of fragments, which [`merge`](Self::merge) takes back.
    pub fn snapshot(&mut self) -> Result<RecordBatch, StreamError> {
        self.rewrite()?;
        Ok(self.chunks[0].batch.clone())
    }
}

fn forget_start(starts: &mut BTreeMap<i64, usize>, first_us: i64) {
    if let Some(count) = starts.get_mut(&first_us) {
        *count -= 1;
        if *count == 0 {
            starts.remove(&first_us);
        }
    }
}

fn int64(batch: &RecordBatch, column: usize) -> Result<&Int64Array, StreamError> {
    let array = batch.column(column);
    array.as_any().downcast_ref().ok_or_else(|| {
        StreamError::internal(format!("a session fragment's time is a {} column", array.data_type()))
    })
}
