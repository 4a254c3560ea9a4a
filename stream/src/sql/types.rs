//! SQL type names to Arrow types.

use arrow::datatypes::DataType;
use datafusion::sql::sqlparser::ast::{DataType as SqlType, ExactNumberInfo};

use crate::table::timestamp_type;

/// The Arrow type of a declared column; `None` where the engine has no such type.
///
/// All timestamps are microseconds in UTC (see [`timestamp_type`]); text is `Utf8`.
pub fn arrow_type(sql: &SqlType) -> Option<DataType> {
    Some(match sql {
        SqlType::Boolean | SqlType::Bool => DataType::Boolean,
        SqlType::TinyInt(_) => DataType::Int8,
        SqlType::SmallInt(_) | SqlType::Int2(_) => DataType::Int16,
        SqlType::Int(_) | SqlType::Integer(_) | SqlType::Int4(_) => DataType::Int32,
        SqlType::BigInt(_) | SqlType::Int8(_) => DataType::Int64,
        SqlType::Float(_) | SqlType::Real | SqlType::Float4 => DataType::Float32,
        SqlType::Double(_) | SqlType::DoublePrecision | SqlType::Float8 => DataType::Float64,
        SqlType::Decimal(info) | SqlType::Numeric(info) | SqlType::Dec(info) => decimal(*info)?,
        SqlType::Varchar(_)
        | SqlType::CharVarying(_)
        | SqlType::CharacterVarying(_)
        | SqlType::Char(_)
        | SqlType::Character(_)
        | SqlType::Text
        | SqlType::String(_) => DataType::Utf8,
        SqlType::Bytes(_) | SqlType::Bytea | SqlType::Varbinary(_) | SqlType::Binary(_) => DataType::Binary,
        SqlType::Date => DataType::Date32,
        // Digits after the sixth would be lost.
        SqlType::Timestamp(Some(7..), _) => return None,
        SqlType::Timestamp(..) | SqlType::Datetime(_) => timestamp_type(),
        SqlType::Custom(name, digits) => match name.to_string().to_uppercase().as_str() {
            // As with TIMESTAMP, up to six digits.
            "TIMESTAMP_LTZ" | "TIMESTAMPTZ" => match digits.first().map(|digits| digits.parse()) {
                None | Some(Ok(0..=6_u8)) => timestamp_type(),
                _ => return None,
            },
            "STRING" => DataType::Utf8,
            _ => return None,
        },
        _ => return None,
    })
}

fn decimal(info: ExactNumberInfo) -> Option<DataType> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => (10, 0),
        ExactNumberInfo::Precision(p) => (p, 0),
        ExactNumberInfo::PrecisionAndScale(p, s) => (p, s),
    };
    let precision = u8::try_from(precision).ok().filter(|p| (1..=38).contains(p))?;
    let scale = i8::try_from(scale).ok().filter(|s| *s >= 0 && s.unsigned_abs() <= precision)?;
    Some(DataType::Decimal128(precision, scale))
}

/// The types a column can have, for error messages.
pub const KNOWN_TYPES: &str = "BOOLEAN, TINYINT, SMALLINT, INT, BIGINT, FLOAT, DOUBLE, DECIMAL(p, s), STRING, \
     VARCHAR, BYTES, DATE, TIMESTAMP(p), TIMESTAMP_LTZ(p) with p up to 6";
