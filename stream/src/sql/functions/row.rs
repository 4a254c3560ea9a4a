//! The frame of functions that are computed a row at a time: arguments of a few kinds, one result.
//!
//! NULL in, NULL out, unless a function says otherwise; what does not fit an argument is refused at planning.
//! Functions on the hot paths of queries are DataFusion's, which work on whole columns; these need not.

mod column;
mod kind;

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, BinaryArray, BooleanArray, Float64Array, Int32Array, Int64Array, ListBuilder,
        MapBuilder, StringArray, StringBuilder, Time64NanosecondArray, TimestampMicrosecondArray,
    },
    compute::cast,
    datatypes::DataType,
};
use datafusion::{
    common::{Result, plan_err},
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility},
};

pub(super) use self::{column::Row, kind::Kind};
use self::{
    column::{Column, Rows},
    kind::{clock_type, is_bytes, is_clock},
};
use crate::table::timestamp_type;

/// The elements of an array of texts.
pub(super) type Texts = Vec<Option<String>>;
/// The entries of a map of texts.
pub(super) type TextMap = Vec<(String, Option<String>)>;
/// What is wrong with arguments of these types.
type Check = fn(&[DataType]) -> std::result::Result<(), &'static str>;

/// How a row is computed, and with it the type of the result.
#[derive(Clone, Copy, Debug)]
pub(super) enum Eval {
    Text(fn(&Row<'_>) -> Result<Option<String>>),
    Int(fn(&Row<'_>) -> Result<Option<i32>>),
    Long(fn(&Row<'_>) -> Result<Option<i64>>),
    Double(fn(&Row<'_>) -> Option<f64>),
    /// As `Double`, where a row may fail.
    TryDouble(fn(&Row<'_>) -> Result<Option<f64>>),
    Bool(fn(&Row<'_>) -> Result<Option<bool>>),
    Bytes(fn(&Row<'_>) -> Result<Option<Vec<u8>>>),
    /// An array of texts.
    Texts(fn(&Row<'_>) -> Result<Option<Texts>>),
    /// A map of texts to texts.
    TextMap(fn(&Row<'_>) -> Result<Option<TextMap>>),
    /// Microseconds of the day, of type `TIME`.
    Clock(fn(&Row<'_>) -> Result<Option<i64>>),
    /// Microseconds since the epoch, of type `TIMESTAMP`; of the day, of type `TIME`, where the time given is one.
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
    /// What else the types of the arguments must be to each other.
    checked: Option<Check>,
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
            checked: None,
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
        if let Some(Err(wrong)) = self.checked.map(|check| check(given)) {
            return plan_err!("{name} {wrong}");
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

    /// Refuses arguments for another reason than the type of one.
    pub(super) fn checked(mut self, check: Check) -> Self {
        self.checked = Some(check);
        self
    }

    /// Takes texts, or bytes, but not both.
    pub(super) fn alike(self) -> Self {
        self.checked(|given| {
            let texts = given.iter().any(|given| !is_bytes(given) && !given.is_null());
            if texts && given.iter().any(is_bytes) {
                Err("takes texts, or bytes, and not both")
            } else {
                Ok(())
            }
        })
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
            Eval::Double(_) | Eval::TryDouble(_) => DataType::Float64,
            Eval::Bool(_) => DataType::Boolean,
            Eval::Bytes(_) => DataType::Binary,
            Eval::Texts(_) => DataType::new_list(DataType::Utf8, true),
            Eval::TextMap(_) => text_map().finish().data_type().clone(),
            Eval::Clock(_) => clock_type(),
            Eval::Time(_) | Eval::Date(_) if given.iter().any(is_clock) => clock_type(),
            Eval::Time(_) => timestamp_type(),
            Eval::Date(_) if given.contains(&DataType::Date32) => DataType::Date32,
            Eval::Date(_) => timestamp_type(),
        })
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        // What does not fit stays as it is, and is refused by `return_type`: an error from here would be replaced
        // by DataFusion's, which does not name the argument.
        if self.checked.is_some_and(|check| check(given).is_err()) {
            return Ok(given.to_vec());
        }
        let coerced = given.iter().enumerate().map(|(index, given)| match self.kind(index) {
            Some(_) if matches!(self.eval, Eval::Date(_)) && *given == DataType::Date32 => DataType::Date32,
            Some(kind) if kind.takes(given) => kind.data_type(given),
            _ => given.clone(),
        });
        Ok(coerced.collect())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let all_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let count = if all_scalar { 1 } else { args.number_rows };
        let mut columns = Vec::with_capacity(args.args.len());
        for (index, arg) in args.args.iter().enumerate() {
            let is_any = self.kind(index) == Some(Kind::Any);
            columns.push(Column::new(arg.to_array(count)?, is_any)?);
        }
        let rows = Rows { columns: &columns, count, strict: self.strict };
        let array: ArrayRef = match self.eval {
            Eval::Text(f) => Arc::new(rows.each(f)?.into_iter().collect::<StringArray>()),
            Eval::Int(f) => Arc::new(rows.each(f)?.into_iter().collect::<Int32Array>()),
            Eval::Long(f) => Arc::new(rows.each(f)?.into_iter().collect::<Int64Array>()),
            Eval::Double(f) => Arc::new(rows.each(|row| Ok(f(row)))?.into_iter().collect::<Float64Array>()),
            Eval::TryDouble(f) => Arc::new(rows.each(f)?.into_iter().collect::<Float64Array>()),
            Eval::Bool(f) => Arc::new(rows.each(f)?.into_iter().collect::<BooleanArray>()),
            Eval::Bytes(f) => Arc::new(rows.each(f)?.into_iter().collect::<BinaryArray>()),
            Eval::Texts(f) => {
                let mut lists = ListBuilder::new(StringBuilder::new());
                for row in rows.each(f)? {
                    lists.append_option(row);
                }
                Arc::new(lists.finish())
            }
            Eval::TextMap(f) => {
                let mut maps = text_map();
                for row in rows.each(f)? {
                    let is_there = row.is_some();
                    for (key, value) in row.unwrap_or_default() {
                        maps.keys().append_value(key);
                        maps.values().append_option(value);
                    }
                    maps.append(is_there)?;
                }
                Arc::new(maps.finish())
            }
            Eval::Clock(f) => clocks(rows.each(f)?),
            Eval::Time(f) | Eval::Date(f) if is_clock(args.return_field.data_type()) => clocks(rows.each(f)?),
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

fn text_map() -> MapBuilder<StringBuilder, StringBuilder> {
    MapBuilder::new(None, StringBuilder::new(), StringBuilder::new())
}

/// Microseconds as times of the day; what lies beyond midnight is in the next one.
fn clocks(micros: Vec<Option<i64>>) -> ArrayRef {
    let nanos = |micros: i64| micros.rem_euclid(86_400_000_000) * 1_000;
    Arc::new(micros.into_iter().map(|micros| micros.map(nanos)).collect::<Time64NanosecondArray>())
}
