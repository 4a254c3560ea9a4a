//! Floats that are keys, or are counted once each: `-0.0` and `0.0` are one value there, as they are equal in SQL. What
//! keys are compared by, bits and total order, would tell them apart, and so it would two NaN.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, AsArray},
    datatypes::{DataType, Float32Type, Float64Type},
};

/// The values with one zero and one NaN; columns of other types as they are.
pub(in crate::operator) fn one_zero(array: ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Float64 => Arc::new(
            array
                .as_primitive::<Float64Type>()
                .unary::<_, Float64Type>(|value| if value.is_nan() { f64::NAN } else { value + 0.0 }),
        ),
        DataType::Float32 => Arc::new(
            array
                .as_primitive::<Float32Type>()
                .unary::<_, Float32Type>(|value| if value.is_nan() { f32::NAN } else { value + 0.0 }),
        ),
        _ => array,
    }
}
