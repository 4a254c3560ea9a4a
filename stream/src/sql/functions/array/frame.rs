//! The frame of functions of arrays: their arguments' types, the pool of all elements, and what is taken from it.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, ListArray, UInt64Array, new_empty_array},
    buffer::{NullBuffer, OffsetBuffer},
    compute::{concat, take},
    datatypes::{DataType, Field},
    row::{RowConverter, SortField},
};
use datafusion::{
    common::{Result, exec_datafusion_err, exec_err, plan_err},
    logical_expr::{
        ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
        type_coercion::binary::comparison_coercion,
    },
    scalar::ScalarValue,
};

use super::call::{Argument, Call};

/// What an argument is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    Array,
    Element,
    Whole,
    Flag,
}

pub(super) type Picks = Option<Vec<usize>>;

/// The answer for a row.
#[derive(Clone, Copy, Debug)]
pub(super) enum Eval {
    /// An array of these elements.
    Array(fn(&Call<'_>) -> Picks),
    /// One of them.
    Element(fn(&Call<'_>) -> Result<Option<usize>>),
    Bool(fn(&Call<'_>) -> Option<bool>),
    Int(fn(&Call<'_>) -> Option<i32>),
}

#[derive(Clone, Debug)]
pub(super) struct ArrayFunction {
    name: &'static str,
    roles: &'static [Role],
    required: usize,
    /// Whether there may be any number of the last argument, also none.
    variadic: bool,
    /// Whether elements must have an order.
    ordered: bool,
    eval: Eval,
    signature: Signature,
}

// A name stands for one function.
impl PartialEq for ArrayFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for ArrayFunction {}

impl std::hash::Hash for ArrayFunction {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ArrayFunction {
    pub(super) fn new(name: &'static str, roles: &'static [Role], eval: Eval) -> Self {
        let signature = Signature::user_defined(Volatility::Immutable);
        ArrayFunction { name, roles, required: roles.len(), variadic: false, ordered: false, eval, signature }
    }

    pub(super) fn optional(mut self, count: usize) -> Self {
        self.required -= count;
        self
    }

    pub(super) fn variadic(mut self) -> Self {
        self.required -= 1;
        self.variadic = true;
        self
    }

    pub(super) fn ordered(mut self) -> Self {
        self.ordered = true;
        self
    }

    fn role(&self, index: usize) -> Option<Role> {
        let last = if self.variadic { self.roles.last() } else { None };
        self.roles.get(index).or(last).copied()
    }

    /// What all elements are.
    fn element_type(&self, given: &[DataType]) -> Result<DataType> {
        let name = self.name.to_uppercase();
        if given.len() < self.required || (given.len() > self.roles.len() && !self.variadic) {
            return plan_err!("{name} takes {} arguments, not {}", self.roles.len(), given.len());
        }
        let mut common: Option<DataType> = None;
        for (index, given) in given.iter().enumerate() {
            let Some(role) = self.role(index) else { continue };
            let element = match (role, given) {
                (Role::Array, DataType::List(field) | DataType::LargeList(field)) => {
                    field.data_type().clone()
                }
                (Role::Array | Role::Element, DataType::Null) => DataType::Null,
                (Role::Element, other) => other.clone(),
                (Role::Whole, other) if other.is_integer() || other.is_null() => continue,
                (Role::Flag, DataType::Boolean | DataType::Null) => continue,
                (role, other) => {
                    let wanted = match role {
                        Role::Array => "an array",
                        Role::Flag => "TRUE or FALSE",
                        _ => "a whole number",
                    };
                    return plan_err!("{name} takes {wanted} as argument {}, not {other}", index + 1);
                }
            };
            common = Some(match common {
                None => element,
                Some(known) => match united(&known, &element) {
                    Some(both) => both,
                    None => {
                        return plan_err!("{name}: {known} and {element} cannot be elements of one array");
                    }
                },
            });
        }
        let common = common.unwrap_or(DataType::Null);
        if self.ordered && (common.is_nested() || matches!(common, DataType::Binary)) {
            return plan_err!("{name} takes an array whose elements have an order, and {common} has none");
        }
        Ok(common)
    }
}

/// The type that holds both; texts, numbers and truth values are not mixed, and rows are not changed.
fn united(one: &DataType, other: &DataType) -> Option<DataType> {
    if one == other || other.is_null() {
        return Some(one.clone());
    }
    if one.is_null() {
        return Some(other.clone());
    }
    if let (DataType::List(a), DataType::List(b)) = (one, other) {
        return united(a.data_type(), b.data_type()).map(list_of);
    }
    let kind = |kind: &DataType| (kind.is_numeric(), *kind == DataType::Boolean);
    if one.is_nested() || other.is_nested() || kind(one) != kind(other) {
        return None;
    }
    comparison_coercion(one, other)
}

fn list_of(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(element, true)))
}

impl ScalarUDFImpl for ArrayFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        let element = self.element_type(given)?;
        Ok(match self.eval {
            Eval::Array(_) => list_of(element),
            Eval::Element(_) => element,
            Eval::Bool(_) => DataType::Boolean,
            Eval::Int(_) => DataType::Int32,
        })
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        // What does not fit is refused by `return_type`, in words of ours.
        let Ok(element) = self.element_type(given) else { return Ok(given.to_vec()) };
        let coerced = given.iter().enumerate().map(|(index, given)| match self.role(index) {
            Some(Role::Array) => list_of(element.clone()),
            Some(Role::Element) => element.clone(),
            Some(Role::Whole) => DataType::Int64,
            Some(Role::Flag) => DataType::Boolean,
            None => given.clone(),
        });
        Ok(coerced.collect())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let all_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let count = if all_scalar { 1 } else { args.number_rows };
        let columns = args.args.iter().map(|arg| arg.to_array(count)).collect::<Result<Vec<_>>>()?;
        let array = self.compute(&columns, count, args.return_field.data_type())?;
        if all_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?));
        }
        Ok(ColumnarValue::Array(array))
    }
}

impl ArrayFunction {
    fn compute(&self, columns: &[ArrayRef], count: usize, result: &DataType) -> Result<ArrayRef> {
        let (arguments, pool) = self.arguments(columns)?;
        let converter = RowConverter::new(vec![SortField::new(pool.data_type().clone())])?;
        let keys = converter.convert_columns(&[Arc::clone(&pool)])?;
        let call = |row| Call { arguments: &arguments, pool: pool.as_ref(), keys: &keys, row };
        let rows = (0..count).map(call);
        let known = |call: &Call<'_>| !call.lacks_an_argument();
        Ok(match self.eval {
            Eval::Array(f) => {
                lists(&pool, result, rows.map(|call| known(&call).then(|| f(&call)).flatten()))?
            }
            Eval::Element(f) => {
                let picks: Vec<Option<u64>> = rows
                    .map(|call| if known(&call) { f(&call) } else { Ok(None) })
                    .map(|pick| Ok(pick?.and_then(|at| u64::try_from(at).ok())))
                    .collect::<Result<_>>()?;
                take(&pool, &UInt64Array::from(picks), None)?
            }
            Eval::Bool(f) => {
                Arc::new(rows.map(|call| known(&call).then(|| f(&call)).flatten()).collect::<BooleanArray>())
            }
            Eval::Int(f) => {
                Arc::new(rows.map(|call| known(&call).then(|| f(&call)).flatten()).collect::<Int32Array>())
            }
        })
    }

    /// The arguments, and all their elements.
    fn arguments(&self, columns: &[ArrayRef]) -> Result<(Vec<Argument>, ArrayRef)> {
        let mut arguments = Vec::with_capacity(columns.len());
        let mut parts: Vec<ArrayRef> = Vec::new();
        let mut base = 0;
        for (index, column) in columns.iter().enumerate() {
            match self.role(index) {
                Some(Role::Array) => {
                    let list = column.as_list_opt::<i32>();
                    let list = list.ok_or_else(|| exec_datafusion_err!("an array of an unexpected type"))?;
                    arguments.push(Argument::Array(list.clone(), base));
                    base += list.values().len();
                    parts.push(Arc::clone(list.values()));
                }
                Some(Role::Element) => {
                    arguments.push(Argument::Element(base));
                    base += column.len();
                    parts.push(Arc::clone(column));
                }
                Some(Role::Flag) => arguments.push(Argument::Flag(Arc::clone(column))),
                _ => arguments.push(Argument::Whole(Arc::clone(column))),
            }
        }
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        let pool = if parts.is_empty() { new_empty_array(&DataType::Null) } else { concat(&parts)? };
        Ok((arguments, pool))
    }
}

fn lists(pool: &ArrayRef, result: &DataType, rows: impl Iterator<Item = Picks>) -> Result<ArrayRef> {
    let DataType::List(field) = result else { return exec_err!("an array function results in an array") };
    let (mut picks, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        valid.push(row.is_some());
        let row = row.unwrap_or_default();
        lengths.push(row.len());
        picks.extend(row.into_iter().map(|at| u64::try_from(at).unwrap_or(u64::MAX)));
    }
    let values = take(pool, &UInt64Array::from(picks), None)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::try_new(Arc::clone(field), offsets, values, Some(NullBuffer::from(valid)))?))
}
