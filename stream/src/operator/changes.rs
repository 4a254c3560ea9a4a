//! What a batch between operators says of its rows.
//!
//! Final rows are stated once. Provisional rows are a picture of what would be written if the stream ended now, and
//! travel as changes of that picture: a row that holds no longer has been in it before, column by column as it was. A
//! stateless step makes of a change the change of its own rows, whether it filters, projects or numbers; so a row that
//! a `HAVING` no longer lets through is taken back as well as one of a session that has grown.
//!
//! ```text
//! HAVING COUNT(*) < 3        from below           to the sink
//! third row of [0, 10)       gone [0, 10) 2       gone [0, 10) 2
//!                            now  [0, 10) 3
//! ```
//!
//! Where all rows of a window come in one batch, as fixed windows and gathered ones do, they also go in one: `gone` then
//! has all that the window had and `now` all that it has. Final rows take no provisional ones back by themselves: who
//! writes a window's final rows takes its provisional ones back right behind them.

use arrow::record_batch::RecordBatch;

use crate::error::StreamError;

/// Rows on their way.
#[derive(Clone, Debug)]
pub enum Rows {
    /// Stated once and for all.
    Final(RecordBatch),
    /// A change of what is provisional.
    Provisional(Changes),
}

/// Rows that were provisional and are no more, and rows that are now. Neither batch is empty.
#[derive(Clone, Debug)]
pub struct Changes {
    /// Each was in an earlier `now` of the same stream, and has not gone since.
    pub gone: Option<RecordBatch>,
    /// Each holds until it is gone.
    pub now: Option<RecordBatch>,
}

impl Rows {
    /// Whether they are stated once and for all.
    pub fn are_final(&self) -> bool {
        matches!(self, Rows::Final(_))
    }

    /// What a stateless step makes of them; `None` where no row is left.
    pub fn try_map(
        self,
        mut step: impl FnMut(RecordBatch) -> Result<RecordBatch, StreamError>,
    ) -> Result<Option<Rows>, StreamError> {
        let mut some = |batch: RecordBatch| -> Result<Option<RecordBatch>, StreamError> {
            Ok(Some(step(batch)?).filter(|batch| batch.num_rows() > 0))
        };
        Ok(match self {
            Rows::Final(batch) => some(batch)?.map(Rows::Final),
            Rows::Provisional(Changes { gone, now }) => {
                let gone = gone.map(&mut some).transpose()?.flatten();
                let now = now.map(&mut some).transpose()?.flatten();
                (gone.is_some() || now.is_some()).then_some(Rows::Provisional(Changes { gone, now }))
            }
        })
    }
}
