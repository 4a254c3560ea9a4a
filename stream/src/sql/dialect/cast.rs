//! Casts: to the types that Flink means by their names, and to those that a function makes.

use datafusion::sql::sqlparser::ast::{
    CastKind, CharacterLength, DataType as SqlType, ExactNumberInfo, Expr, ObjectName, TimezoneInfo,
};

/// Casts that are functions: to `TIME`, to texts of a length.
pub(super) fn call(kind: &CastKind, data_type: &SqlType, inner: &Expr) -> Result<Option<Expr>, String> {
    let is_tried = matches!(kind, CastKind::TryCast);
    Ok(match data_type {
        SqlType::Time(digits, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            let digits = digits.unwrap_or(0);
            if digits > 3 {
                return Err(
                    "a time of the day has at most three digits after the second. write TIME(3)".to_owned()
                );
            }
            Some(super::call(
                if is_tried { "__try_time" } else { "__time" },
                vec![inner.clone(), super::number(digits)],
            ))
        }
        SqlType::Char(Some(CharacterLength::IntegerLength { length, .. }))
        | SqlType::Character(Some(CharacterLength::IntegerLength { length, .. })) => {
            Some(super::call("__char", vec![to_text(kind, inner), super::number(*length)]))
        }
        SqlType::Char(None) | SqlType::Character(None) => {
            Some(super::call("__char", vec![to_text(kind, inner), super::number(1)]))
        }
        SqlType::Varchar(Some(CharacterLength::IntegerLength { length, .. }))
        | SqlType::CharVarying(Some(CharacterLength::IntegerLength { length, .. }))
        | SqlType::CharacterVarying(Some(CharacterLength::IntegerLength { length, .. })) => {
            Some(super::call("__varchar", vec![to_text(kind, inner), super::number(*length)]))
        }
        _ => None,
    })
}

fn to_text(kind: &CastKind, inner: &Expr) -> Expr {
    Expr::Cast {
        kind: kind.clone(),
        expr: Box::new(inner.clone()),
        data_type: SqlType::Varchar(None),
        array: false,
        format: None,
    }
}

pub(super) fn type_of(kind: &CastKind, data_type: &mut SqlType) -> Result<(), String> {
    match data_type {
        // Flink's TIMESTAMP has six digits, DataFusion's nine.
        SqlType::Timestamp(precision @ None, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            *precision = Some(6);
            Ok(())
        }
        // Ten digits before the point, where nothing is said; DataFusion has 28, and ten behind it.
        SqlType::Decimal(info @ ExactNumberInfo::None)
        | SqlType::Dec(info @ ExactNumberInfo::None)
        | SqlType::Numeric(info @ ExactNumberInfo::None) => {
            *info = ExactNumberInfo::PrecisionAndScale(10, 0);
            Ok(())
        }
        SqlType::Custom(name, digits) if is_ltz(name) => {
            let digits = digits.first().map_or(Ok(6), |digits| digits.parse());
            match digits {
                Ok(digits @ (0 | 3 | 6)) => {
                    *data_type = SqlType::Timestamp(Some(digits), TimezoneInfo::WithTimeZone);
                    Ok(())
                }
                _ => Err(
                    "timestamps have at most six digits after the second. write TIMESTAMP_LTZ(0), (3) or (6)"
                        .to_owned(),
                ),
            }
        }
        SqlType::Binary(None) | SqlType::Varbinary(None) | SqlType::Bytes(None) => {
            *data_type = SqlType::Bytea;
            Ok(())
        }
        SqlType::Timestamp(Some(7..), _) => {
            Err("timestamps have at most six digits after the second. write TIMESTAMP(6)".to_owned())
        }
        SqlType::Interval { .. } => {
            Err("a cast to INTERVAL is not supported. write a literal, INTERVAL '5' MINUTE".to_owned())
        }
        _ if *kind == CastKind::SafeCast => {
            Err("there is no SAFE_CAST. write TRY_CAST, which is NULL where a cast fails".to_owned())
        }
        _ => Ok(()),
    }
}

fn is_ltz(name: &ObjectName) -> bool {
    matches!(name.to_string().to_uppercase().as_str(), "TIMESTAMP_LTZ" | "TIMESTAMPTZ")
}
