//! The arguments of a call as columns, and of one row as values.

use arrow::{
    array::{
        Array, ArrayRef, BinaryArray, Float64Array, Int64Array, StringArray, Time64NanosecondArray,
        TimestampMicrosecondArray,
    },
    compute::cast,
    datatypes::{DataType, TimeUnit},
};
use datafusion::common::{Result, exec_datafusion_err};

pub(super) enum Column {
    Text(StringArray),
    Whole(Int64Array),
    Double(Float64Array),
    /// Whether it is of dates.
    Time(TimestampMicrosecondArray, bool),
    Clock(Time64NanosecondArray),
    Bytes(BinaryArray),
    Any(ArrayRef),
}

impl Column {
    /// An argument that may be anything keeps the type of its time.
    pub(super) fn new(array: ArrayRef, is_any: bool) -> Result<Self> {
        fn typed<T: Array + Clone + 'static>(array: &ArrayRef) -> Result<T> {
            let typed = array.as_any().downcast_ref::<T>().cloned();
            typed.ok_or_else(|| exec_datafusion_err!("an argument of an unexpected type"))
        }
        Ok(match array.data_type() {
            DataType::Utf8 => Column::Text(typed(&array)?),
            DataType::Int64 => Column::Whole(typed(&array)?),
            DataType::Float64 => Column::Double(typed(&array)?),
            DataType::Binary => Column::Bytes(typed(&array)?),
            DataType::Time64(TimeUnit::Nanosecond) => Column::Clock(typed(&array)?),
            DataType::Timestamp(..) | DataType::Date32 if !is_any => {
                let micros = cast(&array, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
                Column::Time(typed(&micros)?, *array.data_type() == DataType::Date32)
            }
            _ => Column::Any(array),
        })
    }

    fn array(&self) -> &dyn Array {
        match self {
            Column::Text(array) => array,
            Column::Whole(array) => array,
            Column::Double(array) => array,
            Column::Time(array, _) => array,
            Column::Clock(array) => array,
            Column::Bytes(array) => array,
            Column::Any(array) => array,
        }
    }
}

pub(super) struct Rows<'a> {
    pub(super) columns: &'a [Column],
    pub(super) count: usize,
    pub(super) strict: bool,
}

impl Rows<'_> {
    pub(super) fn each<T>(&self, f: impl Fn(&Row<'_>) -> Result<Option<T>>) -> Result<Vec<Option<T>>> {
        (0..self.count)
            .map(|index| {
                let row = Row { columns: self.columns, index };
                if self.strict && (0..self.columns.len()).any(|column| row.is_null(column)) {
                    return Ok(None);
                }
                f(&row)
            })
            .collect()
    }
}

/// The arguments of one row. What was not given is NULL, and a NULL reads as nothing, zero, or the empty text.
pub(in crate::sql::functions) struct Row<'a> {
    columns: &'a [Column],
    index: usize,
}

impl<'a> Row<'a> {
    pub(in crate::sql::functions) fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether the argument was given at all.
    pub(in crate::sql::functions) fn has(&self, argument: usize) -> bool {
        argument < self.columns.len()
    }

    pub(in crate::sql::functions) fn is_null(&self, argument: usize) -> bool {
        self.columns.get(argument).is_none_or(|column| column.array().is_null(self.index))
    }

    pub(in crate::sql::functions) fn text(&self, argument: usize) -> &'a str {
        match self.columns.get(argument) {
            Some(Column::Text(array)) if array.is_valid(self.index) => array.value(self.index),
            _ => "",
        }
    }

    pub(in crate::sql::functions) fn whole(&self, argument: usize) -> i64 {
        match self.columns.get(argument) {
            Some(Column::Whole(array)) if array.is_valid(self.index) => array.value(self.index),
            _ => 0,
        }
    }

    pub(in crate::sql::functions) fn double(&self, argument: usize) -> f64 {
        match self.columns.get(argument) {
            Some(Column::Double(array)) if array.is_valid(self.index) => array.value(self.index),
            _ => 0.0,
        }
    }

    /// Microseconds since the epoch, or of the day.
    pub(in crate::sql::functions) fn micros(&self, argument: usize) -> i64 {
        match self.columns.get(argument) {
            Some(Column::Clock(array)) if array.is_valid(self.index) => array.value(self.index) / 1_000,
            Some(Column::Time(array, _)) if array.is_valid(self.index) => array.value(self.index),
            _ => 0,
        }
    }

    /// Whether the argument is a text, where it may be something else.
    pub(in crate::sql::functions) fn is_text(&self, argument: usize) -> bool {
        matches!(self.columns.get(argument), Some(Column::Text(_)))
    }

    /// Bytes, or those of a text.
    pub(in crate::sql::functions) fn bytes(&self, argument: usize) -> &'a [u8] {
        match self.columns.get(argument) {
            Some(Column::Bytes(array)) if array.is_valid(self.index) => array.value(self.index),
            _ => self.text(argument).as_bytes(),
        }
    }

    /// Whether the argument is a time of the day.
    pub(in crate::sql::functions) fn is_clock(&self, argument: usize) -> bool {
        matches!(self.columns.get(argument), Some(Column::Clock(_)))
    }

    /// Whether the argument is a date, where it may stay one.
    pub(in crate::sql::functions) fn is_date(&self, argument: usize) -> bool {
        matches!(self.columns.get(argument), Some(Column::Time(_, true)))
    }

    /// Whether the argument is a whole number.
    pub(in crate::sql::functions) fn is_whole(&self, argument: usize) -> bool {
        matches!(self.columns.get(argument), Some(Column::Whole(_)))
    }

    /// The argument as it came, and the place of the row in it.
    pub(in crate::sql::functions) fn any(&self, argument: usize) -> Option<(&'a dyn Array, usize)> {
        self.columns.get(argument).map(|column| (column.array(), self.index))
    }
}
