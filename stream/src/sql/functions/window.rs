//! Window markers: functions that stand for a window until the planner replaces them.
//!
//! `tumble`, `hop` and `session` are Arroyo's functions of intervals, used in `GROUP BY`; their value is a
//! struct `(start, end)`. `__window_start`, `__window_end` and `__window_time` come from
//! [the rewriting of Flink's table functions](crate::sql::tvf). None is ever evaluated: a marker that is left
//! over after planning is an error that says where windows may stand.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::{
    common::{Result, plan_err},
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility},
};

use crate::table::timestamp_type;

/// Which marker a function is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Marker {
    /// `tumble(size)`, `hop(slide, size)`, `session(gap)`.
    Window,
    /// `__window_start(kind, time, intervals…, PARTITION BY columns…)`.
    Start,
    /// `__window_end(…)`.
    End,
    /// `__window_time(…)`: the window's last millisecond, as in Flink.
    Time,
}

#[derive(PartialEq, Eq, Hash, Debug)]
struct WindowMarker {
    name: &'static str,
    marker: Marker,
    signature: Signature,
}

const FUNCTIONS: [(&str, Marker); 7] = [
    ("tumble", Marker::Window),
    ("cumulate", Marker::Window),
    ("hop", Marker::Window),
    ("session", Marker::Window),
    ("__window_start", Marker::Start),
    ("__window_end", Marker::End),
    ("__window_time", Marker::Time),
];

pub(super) fn all() -> impl Iterator<Item = ScalarUDF> {
    FUNCTIONS.into_iter().map(|(name, marker)| {
        ScalarUDF::from(WindowMarker { name, marker, signature: Signature::variadic_any(Volatility::Stable) })
    })
}

/// The marker that a function is, if it is one.
pub(crate) fn marker(function: &ScalarUDF) -> Option<Marker> {
    FUNCTIONS.iter().find(|(name, _)| *name == function.name()).map(|(_, marker)| *marker)
}

/// The type of a window column of Arroyo's form.
pub(crate) fn window_struct() -> DataType {
    let time = |name: &str| Arc::new(Field::new(name, timestamp_type(), false));
    DataType::Struct(vec![time("start"), time("end")].into())
}

impl ScalarUDFImpl for WindowMarker {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.marker {
            Marker::Window => window_struct(),
            Marker::Start | Marker::End | Marker::Time => timestamp_type(),
        })
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        plan_err!("a window can only be grouped by: write GROUP BY window_start, window_end")
    }
}
