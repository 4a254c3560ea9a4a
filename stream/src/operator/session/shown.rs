//! What provisional rows have shown of open sessions: to be taken back when a session has changed, has closed or was
//! joined to another.
//!
//! It is kept as Arrow's rows, a piece of memory a session: times and aggregates, but not the key, which the session
//! has. With two aggregates of a number each that is 36 bytes in a piece of 48, and a pointer of 16.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, AsArray, Int64Array},
    datatypes::{DataType, Int64Type},
    row::{RowConverter, SortField},
};

use super::{SessionRows, Sessions};
use crate::{
    error::StreamError,
    operator::aggregate::slots::words::{Slot, index},
};

/// First and last row stand in front of the aggregates.
const TIMES: usize = 2;

/// A key and a row.
type Keyed = (Option<Box<[u8]>>, Box<[u8]>);

/// Rows that were shown.
pub(super) struct Shown {
    converter: RowConverter,
    /// By slot.
    rows: Vec<Option<Box<[u8]>>>,
    /// Of sessions that were joined to others since: key and row.
    joined: Vec<Keyed>,
}

impl Shown {
    /// Of sessions with aggregates of these types.
    fn new(values: &[ArrayRef]) -> Result<Self, StreamError> {
        let types = std::iter::repeat_n(&DataType::Int64, TIMES).chain(values.iter().map(|v| v.data_type()));
        let fields = types.map(|data_type| SortField::new(data_type.clone())).collect();
        Ok(Shown { converter: RowConverter::new(fields)?, rows: Vec::new(), joined: Vec::new() })
    }

    fn take(&mut self, slot: Slot) -> Option<Box<[u8]>> {
        self.rows.get_mut(index(slot)).and_then(Option::take)
    }
}

impl Sessions {
    /// Notes what is shown of these sessions.
    pub(super) fn show(&mut self, slots: &[Slot], now: &SessionRows) -> Result<(), StreamError> {
        let shown = match &mut self.shown {
            Some(shown) => shown,
            none => none.insert(Shown::new(&now.values)?),
        };
        let time = |of: fn(&(i64, i64)) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(now.spans.iter().map(of)))
        };
        let mut columns = vec![time(|span| span.0), time(|span| span.1)];
        columns.extend(now.values.iter().cloned());
        let rows = shown.converter.convert_columns(&columns)?;
        if shown.rows.len() < self.used {
            shown.rows.resize(self.used, None);
        }
        for (slot, row) in slots.iter().zip(&rows) {
            shown.rows[index(*slot)] = Some(row.data().into());
        }
        Ok(())
    }

    /// A session is joined to another; what was shown of it is to be taken back.
    pub(super) fn join_shown(&mut self, slot: Slot) {
        let Some(shown) = &mut self.shown else { return };
        if let Some(row) = shown.take(slot) {
            shown.joined.push((self.keys.get(&self.entries[index(slot)].key).map(Box::from), row));
        }
    }

    /// What was shown of these sessions, and of those that were joined to others; none of it is any more.
    pub(super) fn take_shown(&mut self, slots: &[Slot]) -> Result<Option<SessionRows>, StreamError> {
        let Some(shown) = &mut self.shown else { return Ok(None) };
        let mut rows = std::mem::take(&mut shown.joined);
        for slot in slots {
            if let Some(row) = shown.take(*slot) {
                rows.push((self.keys.get(&self.entries[index(*slot)].key).map(Box::from), row));
            }
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let keys = self.codec.decode(rows.iter().map(|(key, _)| key.as_deref()))?;
        let parser = shown.converter.parser();
        let mut columns = shown.converter.convert_rows(rows.iter().map(|(_, row)| parser.parse(row)))?;
        let values = columns.split_off(TIMES);
        let [first, last] = columns.as_slice() else {
            return Err(StreamError::internal("what was shown of sessions has no times"));
        };
        let times =
            |column: &ArrayRef| column.as_primitive_opt::<Int64Type>().map(|times| times.values().to_vec());
        let (Some(first), Some(last)) = (times(first), times(last)) else {
            return Err(StreamError::internal("what was shown of sessions has other times"));
        };
        Ok(Some(SessionRows { spans: first.into_iter().zip(last).collect(), keys, values }))
    }
}
