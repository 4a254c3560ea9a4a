//! One pass over a record's bytes, the fast path.
//!
//! The scanner walks the object once, from key to key by its [memory](super::order) of what follows what. Values
//! of fields that the plan does not read are skipped, not parsed; the others go straight into the columns.
//!
//! It is allowed to give up: for a value of an unexpected type, a key with escapes, or anything that is not plain
//! JSON it answers `None`, and the [fallback](super::fallback) decides. What it does answer is what the fallback
//! would have answered; property tests hold the two against each other.
//!
//! It may look past the end of the record, since bytes are read several at once. What it finds there it refuses
//! only when it has reached the record's end, which costs one comparison instead of one a value.

use std::sync::Arc;

use super::{
    bytes::{skip_space, skip_value},
    columns::Columns,
    order::{Action, Order, START},
    read::read,
    shape::Shape,
};

/// The fast path.
#[derive(Debug)]
pub(crate) struct Scanner {
    order: Order,
}

impl Scanner {
    /// A scanner for these fields.
    pub(crate) fn new(fields: Arc<[(String, Shape)]>) -> Self {
        Scanner { order: Order::new(fields) }
    }

    /// Starts a batch.
    pub(crate) fn start(&mut self) {
        self.order.start_batch();
    }

    /// Reads the record that is the first `length` of `bytes`, and valid UTF-8, as a row of `columns`. `None` to
    /// take the row back and ask the fallback.
    pub(crate) fn scan(&mut self, bytes: &[u8], length: usize, columns: &mut Columns) -> Option<()> {
        let (mut step, mut at) = (START, 0);
        loop {
            let (next, action, value) = self.order.follow(step, bytes, at, length)?;
            step = next;
            at = match action {
                Action::Skip => skip_value(bytes, value)?,
                Action::Read(field) => read(columns.open(field)?, bytes, value)?,
                Action::End => {
                    // Whatever was read lies before this place, so all of it was the record's own.
                    let rest = skip_space(bytes.get(..length)?, value);
                    return (rest == length).then(|| columns.end_row());
                }
            };
        }
    }
}
