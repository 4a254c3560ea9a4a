//! Time attributes: what the planner knows about the times in a column.
//!
//! A column that holds times is more than a timestamp where the engine can promise something about the values to
//! come: it is a source's event time, or a bound of a window. `rules::context` derives the attribute of every column of a plan,
//! through projections, aliases, filters, views and unions; what is computed has none. Whoever needs event time, or
//! a window's column, asks here, and refuses a column without it by name.
//!
//! | role | where from | what is promised about rows to come |
//! |---|---|---|
//! | [`Role::Event`] | `WATERMARK FOR` of a table | no earlier than the watermark, less the allowed lateness |
//! | [`Role::Start`], [`Role::End`], [`Role::Time`] | a window | by the [`TimeBound`] |
//! | [`Role::Window`] | `tumble(…)`, `hop(…)`, `session(…)` | nothing itself: `.start` and `.end` have the attributes |
//!
//! A union keeps what all its inputs have alike. In a join only the windows' columns go on (see the nodes).

use datafusion::{
    common::{Column, DFSchema, ScalarValue},
    logical_expr::{Expr, Operator},
};

use super::interval::interval_micros;
use crate::{
    operator::{Clock, TimeBound, window_aggregate::WINDOW_TIME_US},
    table::timestamp_type,
    window::WindowSpec,
};

/// What a column of times is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Role {
    /// When something happened, by the source's watermark.
    Event,
    /// A window's start.
    Start,
    /// A window's end, exclusive.
    End,
    /// A window's last millisecond.
    Time,
    /// A struct of start and end.
    Window,
}

impl Role {
    /// What it is called in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Role::Event => "event time",
            Role::Start => "a window start",
            Role::End => "a window end",
            Role::Time => "a window time",
            Role::Window => "a window",
        }
    }
}

/// The time attribute of a column.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct TimeAttribute {
    /// What it is.
    pub(crate) role: Role,
    /// Below what no row to come has a value; `None` where nothing is promised about this column.
    pub(crate) bound: Option<TimeBound>,
    /// Rows are taken for so long behind the bound: event time of a source with allowed lateness.
    pub(crate) lateness_us: i64,
    /// The window that it is a bound of.
    pub(crate) window: Option<WindowSpec>,
}

impl TimeAttribute {
    /// Event time of a source.
    pub(crate) const fn event(lateness_us: i64) -> Self {
        TimeAttribute { role: Role::Event, bound: Some(TimeBound::EVENT), lateness_us, window: None }
    }

    /// A column of windows whose rows come `slack_us` behind a bound of their ends.
    ///
    /// Start and last millisecond lie by a known length before the end; for a session only the latter does.
    pub(crate) fn of_window(role: Role, window: WindowSpec, ends: TimeBound) -> Self {
        let before_end = match (role, window) {
            (Role::End | Role::Window | Role::Event, _) => Some(0),
            (Role::Time, _) => Some(WINDOW_TIME_US),
            (Role::Start, WindowSpec::Session { .. }) => None,
            (Role::Start, window) => window.longest_us(),
        };
        let bound = before_end.map(|before| ends.later_by(before));
        TimeAttribute { role, bound, lateness_us: 0, window: Some(window) }
    }

    /// What is known of a column of a window once its rows are complete by `bounding`, another column of theirs: it lies
    /// by a known length from that, or within known ones, unless a session is between.
    pub(crate) fn beside(self, bounding: TimeAttribute) -> TimeAttribute {
        // How far before the window's end at most, and at least.
        let before_end = |attribute: TimeAttribute| match (attribute.role, attribute.window?) {
            (Role::End, _) => Some((0, 0)),
            (Role::Time, _) => Some((WINDOW_TIME_US, WINDOW_TIME_US)),
            (Role::Start, window) => window.longest_us().zip(window.shortest_us()),
            _ => None,
        };
        let known = before_end(self).zip(before_end(bounding)).filter(|_| self.window == bounding.window);
        let bound =
            known.map(|((most, _), (_, least))| TimeBound::EVENT.later_by(most.saturating_sub(least)));
        TimeAttribute { bound, lateness_us: 0, ..self }
    }

    /// Whether a window ends at, begins at, or is the value.
    pub(crate) fn is_of_window(self) -> bool {
        self.role != Role::Event
    }

    /// The bound with the lateness in it: when no more rows with a value below come, late ones included.
    pub(crate) fn closing(self) -> Option<TimeBound> {
        self.bound.map(|bound| bound.later_by(self.lateness_us))
    }

    /// What holds for rows of either: `None` where they are not of one kind.
    pub(crate) fn union(self, other: TimeAttribute) -> Option<TimeAttribute> {
        let role = match (self.role, other.role) {
            (a, b) if a == b => a,
            // Both are times of the same axis, up to which the stream is complete.
            (Role::Event | Role::Time, Role::Event | Role::Time) => Role::Event,
            _ => return None,
        };
        let bound = match (self.bound, other.bound) {
            (Some(a), Some(b)) => a.weaker(b),
            _ => None,
        };
        let window = if self.window == other.window { self.window } else { None };
        let lateness_us = self.lateness_us.max(other.lateness_us);
        Some(TimeAttribute { role, bound, lateness_us, window })
    }
}

/// The attribute of every column, in the order of the schema.
pub(crate) type Attributes = Vec<Option<TimeAttribute>>;

/// The attribute of an expression over columns that have `input`.
pub(crate) fn of_expr(
    expr: &Expr,
    schema: &DFSchema,
    input: &[Option<TimeAttribute>],
) -> Option<TimeAttribute> {
    match expr {
        Expr::Alias(alias) => of_expr(&alias.expr, schema, input),
        Expr::Column(column) => input.get(index_of(schema, column)?).copied().flatten(),
        // A time of the engine's own type stays what it is.
        Expr::Cast(cast) if *cast.field.data_type() == timestamp_type() => of_expr(&cast.expr, schema, input),
        // `TUMBLE_ROWTIME`: the last millisecond, spelled out.
        Expr::BinaryExpr(binary) if binary.op == Operator::Minus => {
            let end = of_expr(&binary.left, schema, input).filter(|found| found.role == Role::End)?;
            let is_last = interval_micros(&binary.right) == Some(WINDOW_TIME_US);
            let bound = end.bound.map(|bound| bound.later_by(WINDOW_TIME_US));
            is_last.then_some(TimeAttribute { role: Role::Time, bound, ..end })
        }
        // The two bounds of a window, together.
        Expr::ScalarFunction(function) if function.func.name() == "named_struct" => {
            let [_, start, _, end] = function.args.as_slice() else { return None };
            let [start, end] = [start, end].map(|bound| of_expr(bound, schema, input));
            let (start, end) = start.zip(end)?;
            let is_one = start.role == Role::Start && end.role == Role::End && start.window == end.window;
            // Whoever asks such a window of a session for its start takes it for promised, see below.
            let is_promised =
                !matches!(end.window, Some(WindowSpec::Session { .. })) || start.bound.is_some();
            (is_one && is_promised).then_some(TimeAttribute { role: Role::Window, ..end })
        }
        // `window.start` of Arroyo's form.
        Expr::ScalarFunction(function) if function.func.name() == "get_field" => {
            let [window, Expr::Literal(ScalarValue::Utf8(Some(name)), _)] = function.args.as_slice() else {
                return None;
            };
            let window = of_expr(window, schema, input).filter(|found| found.role == Role::Window)?;
            let role = match name.as_str() {
                "start" => Role::Start,
                "end" => Role::End,
                _ => return None,
            };
            let spec = window.window?;
            match (role, spec) {
                // Behind an aggregate the starts of open sessions are promised apart.
                (Role::Start, WindowSpec::Session { .. }) => {
                    window.bound?;
                    let bound = TimeBound { clock: Clock::Starts, slack_us: 0 };
                    Some(TimeAttribute { role, bound: Some(bound), lateness_us: 0, window: Some(spec) })
                }
                _ => Some(TimeAttribute::of_window(role, spec, window.bound?)),
            }
        }
        _ => None,
    }
}

/// The place of a column in a schema.
pub(crate) fn index_of(schema: &DFSchema, column: &Column) -> Option<usize> {
    schema.maybe_index_of_column(column).or_else(|| schema.index_of_column_by_name(None, &column.name))
}
