//! The frame of functions that are computed a row at a time: arguments of a few kinds, one result.
//!
//! NULL in, NULL out, unless a function says otherwise; what does not fit an argument is refused at planning.
//! Functions on the hot paths of queries are DataFusion's, which work on whole columns; these need not.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, StringArray,
        TimestampMicrosecondArray,
    },
    compute::cast,
    datatypes::{DataType, TimeUnit},
};
use datafusion::{
    common::{Result, exec_datafusion_err, plan_err},
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility},
};

use crate::table::timestamp_type;

/// What an argument may be.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Kind {
    /// A text.
    Text,
    /// A whole number.
    Whole,
    /// Any number, as a double.
    Double,
    /// A date, in microseconds.
    Date,
    /// A timestamp, in microseconds.
    Stamp,
    /// A date or a timestamp, in microseconds.
    Time,
    /// A date, a timestamp, or a text of one.
    TimeOrText,
}

impl Kind {
    fn data_type(self) -> DataType {
        match self {
            Kind::Text => DataType::Utf8,
            Kind::Whole => DataType::Int64,
            Kind::Double => DataType::Float64,
            Kind::Date | Kind::Stamp | Kind::Time | Kind::TimeOrText => timestamp_type(),
        }
    }

    fn takes(self, given: &DataType) -> bool {
        let text = matches!(given, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        let time = matches!(given, DataType::Date32 | DataType::Timestamp(..));
        given.is_null()
            || match self {
                Kind::Text => text,
                Kind::Whole => given.is_integer(),
                Kind::Double => given.is_numeric(),
                Kind::Date => *given == DataType::Date32,
                Kind::Stamp => matches!(given, DataType::Timestamp(..)),
                Kind::Time => time,
                Kind::TimeOrText => time || text,
            }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Text => "a text",
            Kind::Whole => "a whole number",
            Kind::Double => "a number",
            Kind::Date => "a date",
            Kind::Stamp => "a timestamp",
            Kind::Time => "a date or a timestamp",
            Kind::TimeOrText => "a date, a timestamp or a text of one",
        }
    }
}

/// How a row is computed, and with it the type of the result.
#[derive(Clone, Copy, Debug)]
pub(super) enum Eval {
    Text(fn(&Row<'_>) -> Result<Option<String>>),
    Int(fn(&Row<'_>) -> Result<Option<i32>>),
    Long(fn(&Row<'_>) -> Result<Option<i64>>),
    Double(fn(&Row<'_>) -> Option<f64>),
    Bool(fn(&Row<'_>) -> Result<Option<bool>>),
    /// Microseconds since the epoch, of type `TIMESTAMP`.
    Time(fn(&Row<'_>) -> Result<Option<i64>>),
    /// The same, but `DATE` where the first time given is a date and no unit is shorter than a day.
    Date(fn(&Row<'_>) -> Result<Option<i64>>),
}

/// A function of rows.
#[derive(Clone, Debug)]
pub(super) struct RowFunction {
    name: &'static str,
    kinds: &'static [Kind],
    /// Arguments after these may be left out.
    required: usize,
    /// Whether the last kind may be given any number of times.
    variadic: bool,
    /// Whether a NULL among the arguments makes the result NULL.
    strict: bool,
    eval: Eval,
    signature: Signature,
}

// A name stands for one function.
impl PartialEq for RowFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for RowFunction {}

impl std::hash::Hash for RowFunction {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl RowFunction {
    pub(super) fn new(name: &'static str, kinds: &'static [Kind], eval: Eval) -> Self {
        RowFunction {
            name,
            kinds,
            required: kinds.len(),
            variadic: false,
            strict: true,
            eval,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    fn kind(&self, argument: usize) -> Option<Kind> {
        let last = if self.variadic { self.kinds.last() } else { None };
        self.kinds.get(argument).or(last).copied()
    }

    fn check(&self, given: &[DataType]) -> Result<()> {
        // `__ceil_month` is a form of CEIL.
        let form = self.name.strip_prefix("__").and_then(|name| name.split('_').next());
        let name = form.unwrap_or(self.name).to_uppercase();
        if given.len() < self.required || (given.len() > self.kinds.len() && !self.variadic) {
            return plan_err!("{name} takes {} arguments, not {}", self.kinds.len(), given.len());
        }
        for (index, given) in given.iter().enumerate() {
            if let Some(kind) = self.kind(index).filter(|kind| !kind.takes(given)) {
                return plan_err!(
                    "{name} takes {} as argument {}, not {given}. cast it, if that is what you mean",
                    kind.name(),
                    index + 1
                );
            }
        }
        Ok(())
    }

    /// The last `count` arguments may be left out.
    pub(super) fn optional(mut self, count: usize) -> Self {
        self.required -= count;
        self
    }

    /// The last argument may be given many times.
    pub(super) fn variadic(mut self) -> Self {
        self.variadic = true;
        self
    }

    /// Sees NULLs.
    pub(super) fn lenient(mut self) -> Self {
        self.strict = false;
        self
    }
}

impl ScalarUDFImpl for RowFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.check(given)?;
        Ok(match self.eval {
            Eval::Text(_) => DataType::Utf8,
            Eval::Int(_) => DataType::Int32,
            Eval::Long(_) => DataType::Int64,
            Eval::Double(_) => DataType::Float64,
            Eval::Bool(_) => DataType::Boolean,
            Eval::Time(_) => timestamp_type(),
            Eval::Date(_) if given.contains(&DataType::Date32) => DataType::Date32,
            Eval::Date(_) => timestamp_type(),
        })
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        // What does not fit stays as it is, and is refused by `return_type`: an error from here would be replaced
        // by DataFusion's, which does not name the argument.
        let coerced = given.iter().enumerate().map(|(index, given)| match self.kind(index) {
            Some(_) if matches!(self.eval, Eval::Date(_)) && *given == DataType::Date32 => DataType::Date32,
            Some(kind) if kind.takes(given) => kind.data_type(),
            _ => given.clone(),
        });
        Ok(coerced.collect())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let all_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let count = if all_scalar { 1 } else { args.number_rows };
        let mut columns = Vec::with_capacity(args.args.len());
        for arg in &args.args {
            columns.push(Column::new(&arg.to_array(count)?)?);
        }
        let rows = Rows { columns: &columns, count, strict: self.strict };
        let array: ArrayRef = match self.eval {
            Eval::Text(f) => Arc::new(rows.each(f)?.into_iter().collect::<StringArray>()),
            Eval::Int(f) => Arc::new(rows.each(f)?.into_iter().collect::<Int32Array>()),
            Eval::Long(f) => Arc::new(rows.each(f)?.into_iter().collect::<Int64Array>()),
            Eval::Double(f) => Arc::new(rows.each(|row| Ok(f(row)))?.into_iter().collect::<Float64Array>()),
            Eval::Bool(f) => Arc::new(rows.each(f)?.into_iter().collect::<BooleanArray>()),
            Eval::Time(f) | Eval::Date(f) => {
                let micros = rows.each(f)?.into_iter().collect::<TimestampMicrosecondArray>();
                cast(&micros.with_timezone("UTC"), args.return_field.data_type())?
            }
        };
        if all_scalar {
            return Ok(ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&array, 0)?));
        }
        Ok(ColumnarValue::Array(array))
    }
}

enum Column {
    Text(StringArray),
    Whole(Int64Array),
    Double(Float64Array),
    Time(TimestampMicrosecondArray),
}

impl Column {
    fn new(array: &ArrayRef) -> Result<Self> {
        let wrong = || exec_datafusion_err!("an argument of an unexpected type");
        Ok(match array.data_type() {
            DataType::Utf8 => {
                Column::Text(array.as_any().downcast_ref::<StringArray>().ok_or_else(wrong)?.clone())
            }
            DataType::Int64 => {
                Column::Whole(array.as_any().downcast_ref::<Int64Array>().ok_or_else(wrong)?.clone())
            }
            DataType::Float64 => {
                Column::Double(array.as_any().downcast_ref::<Float64Array>().ok_or_else(wrong)?.clone())
            }
            _ => {
                let micros = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
                let micros = micros.as_any().downcast_ref::<TimestampMicrosecondArray>().ok_or_else(wrong)?;
                Column::Time(micros.clone())
            }
        })
    }

    fn is_null(&self, index: usize) -> bool {
        match self {
            Column::Text(array) => array.is_null(index),
            Column::Whole(array) => array.is_null(index),
            Column::Double(array) => array.is_null(index),
            Column::Time(array) => array.is_null(index),
        }
    }
}

struct Rows<'a> {
    columns: &'a [Column],
    count: usize,
    strict: bool,
}

impl Rows<'_> {
    fn each<T>(&self, f: impl Fn(&Row<'_>) -> Result<Option<T>>) -> Result<Vec<Option<T>>> {
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
pub(super) struct Row<'a> {
    columns: &'a [Column],
    index: usize,
}

impl<'a> Row<'a> {
    pub(super) fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether the argument was given at all.
    pub(super) fn has(&self, argument: usize) -> bool {
        argument < self.columns.len()
    }

    pub(super) fn is_null(&self, argument: usize) -> bool {
        self.columns.get(argument).is_none_or(|column| column.is_null(self.index))
    }

    pub(super) fn text(&self, argument: usize) -> &'a str {
        match self.columns.get(argument) {
            Some(Column::Text(array)) if array.is_valid(self.index) => array.value(self.index),
            _ => "",
        }
    }

    pub(super) fn whole(&self, argument: usize) -> i64 {
        match self.columns.get(argument) {
            Some(Column::Whole(array)) if array.is_valid(self.index) => array.value(self.index),
            _ => 0,
        }
    }

    pub(super) fn double(&self, argument: usize) -> f64 {
        match self.columns.get(argument) {
            Some(Column::Double(array)) if array.is_valid(self.index) => array.value(self.index),
            _ => 0.0,
        }
    }

    /// Microseconds since the epoch.
    pub(super) fn micros(&self, argument: usize) -> i64 {
        match self.columns.get(argument) {
            Some(Column::Time(array)) if array.is_valid(self.index) => array.value(self.index),
            _ => 0,
        }
    }
}
