//! The streaming operators and what flows between them.
//!
//! An operator is fed rows and watermarks and writes rows and watermarks; it reads no clock, no environment
//! and no global. It runs on one thread at a time and is called in this order:
//!
//! ```text
//! restore? (process | partial | watermark | emit | snapshot)*
//! ```
//!
//! - [`Operator::process`] takes rows. *Final* rows are stated once and never change. *Provisional* rows are a
//!   picture of what would be written if the stream ended now, and come as [changes] of that picture.
//! - [`Operator::partial`] takes partial aggregates that compute threads made ([`window_aggregate`] only).
//! - [`Operator::watermark`] promises what rows can still come, and must pass a promise on. Windows close here.
//! - [`Operator::emit`] asks for what has changed of the provisional rows: after the operators upstream have been asked.
//!   An operator that nobody asks remembers nothing of them.
//! - [`Operator::snapshot`] gives the state as Arrow batches, [`Operator::restore`] takes it into a new operator.
//!
//! | operator | state |
//! |---|---|
//! | [`step`]: filter, projection, [`assign`] to windows, [`unnest`] | none |
//! | [`window_aggregate`]: tumbling, hopping and session windows | panes or sessions that are open |
//! | [`interval_join`]: rows of two streams that lie near each other in time | rows that may still meet others |
//! | [`time_order`]: rows in the order of their time, numbered | rows that are not in order yet; a count for each key |
//! | [`first_rows`]: `LIMIT` | how many rows have come |
//! | [`rank`]: `ROW_NUMBER` within a window | none: windows come whole |
//! | [`whole`]: whatever is computed of whole windows: functions `OVER` them, joins on equal windows | the rows of windows that are not complete |

pub mod aggregate;
pub mod assign;
pub mod changes;
pub mod first_rows;
pub mod hop;
pub mod interval_join;
pub mod rank;
pub mod session;
pub mod step;
pub mod time_order;
pub mod unnest;
pub mod whole;
pub mod window_aggregate;

use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};

pub use self::changes::{Changes, Rows};
use crate::{error::StreamError, time::Watermark};

/// What is promised about the rows to come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Marks {
    /// No row to come has an event time (or, behind a window aggregate, a window end) below this.
    pub watermark: Watermark,
    /// No row to come has a window start below this. Equal to `watermark` before the first window.
    pub window_starts: Watermark,
}

impl Marks {
    /// Nothing is promised.
    pub const START: Marks = Marks { watermark: Watermark::START, window_starts: Watermark::START };

    /// The marks of a source.
    pub const fn source(watermark: Watermark) -> Self {
        Marks { watermark, window_starts: watermark }
    }

    /// The weaker of two promises, field by field.
    #[must_use]
    pub fn min(self, other: Marks) -> Marks {
        Marks {
            watermark: self.watermark.min(other.watermark),
            window_starts: self.window_starts.min(other.window_starts),
        }
    }

    /// Raises each field to `other`'s where that is higher. Returns whether any rose.
    pub fn advance(&mut self, other: Marks) -> bool {
        let rose = self.watermark.advance(other.watermark);
        self.window_starts.advance(other.window_starts) || rose
    }
}

/// Which of the [`Marks`] a column of times is measured by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Clock {
    /// [`Marks::watermark`].
    Watermark,
    /// [`Marks::window_starts`].
    Starts,
}

/// What the marks say about a column of times: no row to come has a value below the clock less the slack.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TimeBound {
    /// By which of the marks.
    pub clock: Clock,
    /// How far values may lie below it, in microseconds; negative where they lie above.
    pub slack_us: i64,
}

impl TimeBound {
    /// A source's event time.
    pub const EVENT: TimeBound = TimeBound { clock: Clock::Watermark, slack_us: 0 };

    /// The watermark of such a column.
    pub fn watermark(self, marks: Marks) -> Watermark {
        match self.clock {
            Clock::Watermark => marks.watermark.delayed_by(self.slack_us),
            Clock::Starts => marks.window_starts.delayed_by(self.slack_us),
        }
    }

    /// The bound of a column whose values lie by up to `micros` before this one's.
    #[must_use]
    pub const fn later_by(self, micros: i64) -> Self {
        TimeBound { clock: self.clock, slack_us: self.slack_us.saturating_add(micros) }
    }

    /// What holds for a column of which either holds; `None` where they go by different clocks.
    pub fn weaker(self, other: TimeBound) -> Option<TimeBound> {
        let slack_us = self.slack_us.max(other.slack_us);
        (self.clock == other.clock).then_some(TimeBound { clock: self.clock, slack_us })
    }
}

/// What an operator writes.
#[derive(Debug, Default)]
pub struct Output {
    /// Rows, in order; before the marks.
    pub rows: Vec<Rows>,
    /// The promise after these rows, if it changed.
    pub marks: Option<Marks>,
    /// There is more to write for the promise that was taken than there should be in memory at once: it is to be
    /// given again once these rows are on their way.
    pub is_partial: bool,
}

impl Output {
    /// Writes final rows, unless there are none.
    pub fn push_final(&mut self, batch: RecordBatch) {
        if batch.num_rows() > 0 {
            self.rows.push(Rows::Final(batch));
        }
    }

    /// Writes a change of the provisional rows, unless there is none.
    pub fn push_changes(&mut self, gone: Option<RecordBatch>, now: Option<RecordBatch>) {
        let [gone, now] = [gone, now].map(|batch| batch.filter(|batch| batch.num_rows() > 0));
        if gone.is_some() || now.is_some() {
            self.rows.push(Rows::Provisional(Changes { gone, now }));
        }
    }
}

/// Partial aggregates of one compute thread, taken out of it.
#[derive(Debug)]
pub struct Partial {
    /// Pane start for fixed windows; not used for sessions.
    pub pane_us: i64,
    /// End of the first window over the pane that takes the rows; later than the pane's own end for late rows that
    /// miss some of their windows. Not used for sessions.
    pub first_end_us: i64,
    /// Keys and aggregate states, see [`aggregate::Aggregation::state_schema`]; for sessions with their first
    /// and last row and their reach in front.
    pub states: RecordBatch,
    /// How many rows went into it.
    pub rows: u64,
}

/// State of an operator, as it goes into a checkpoint.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Arrow batches; what they mean is the operator's.
    pub batches: Vec<RecordBatch>,
}

/// A streaming operator; the [module](self) has the contract.
pub trait Operator: Send {
    /// The schema of the rows it writes.
    fn schema(&self) -> SchemaRef;

    /// Takes rows at one of its inputs, numbered in the plan.
    fn process(&mut self, port: usize, rows: Rows, output: &mut Output) -> Result<(), StreamError>;

    /// Takes partial aggregates; answers how many of their rows came too late.
    fn partial(&mut self, partial: Partial) -> Result<u64, StreamError> {
        let _ = partial;
        Err(StreamError::internal("an operator without partial state was given some"))
    }

    /// From now on, what a promise lets it write may come in parts (see [`Output::is_partial`]), each with whole
    /// windows: nobody downstream puts its rows together with another's.
    fn write_in_parts(&mut self) {}

    /// Takes a promise and passes it on.
    fn watermark(&mut self, marks: Marks, output: &mut Output) -> Result<(), StreamError>;

    /// Writes the changes of the provisional rows since it was asked last.
    fn emit(&mut self, output: &mut Output) -> Result<(), StreamError> {
        let _ = output;
        Ok(())
    }

    /// The state.
    fn snapshot(&mut self) -> Result<Snapshot, StreamError> {
        Ok(Snapshot::default())
    }

    /// Takes the state of an operator of the same plan.
    fn restore(&mut self, snapshot: Snapshot) -> Result<(), StreamError> {
        let _ = snapshot;
        Ok(())
    }
}
