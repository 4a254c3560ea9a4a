//! The types of a `CREATE TABLE`'s columns: their grammar, and what they are in Arrow.
//!
//! Simple types are sqlparser's. What has other types in it is read here, since sqlparser knows neither Flink's
//! `ROW<a INT, b STRING>` nor a `MAP` in angle brackets. Types stand in each other as in `ARRAY<ROW<a INT>>`,
//! whose last two brackets are one token.

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use datafusion::sql::sqlparser::{
    ast::{
        ArrayElemTypeDef, DataType as SqlType, ExactNumberInfo, Ident, StructBracketKind, StructField,
        TimezoneInfo,
    },
    keywords::Keyword,
    parser::{Parser, ParserError},
    tokenizer::Token,
};

use super::{grammar::identifier, tokens::is_word};
use crate::table::{JSON_METADATA, map_with, timestamp_type};

/// Reads a type.
pub(crate) fn parse(parser: &mut Parser<'_>) -> Result<SqlType, ParserError> {
    let mut closed = false;
    let start = parser.peek_token();
    let found = data_type(parser, &mut closed)?;
    if closed {
        return parser.expected("a type with as many closing brackets as opening ones", start);
    }
    Ok(found)
}

/// Reads a type inside of another. `closed` is set where `>>` has closed that one as well.
fn data_type(parser: &mut Parser<'_>, closed: &mut bool) -> Result<SqlType, ParserError> {
    let mut found = first(parser, closed)?;
    if *closed {
        return Ok(found);
    }
    // `INT ARRAY` and `INT[]`; sqlparser has taken the brackets of simple types.
    loop {
        let elements = Box::new(found.clone());
        if parser.parse_keyword(Keyword::ARRAY) {
            found = SqlType::Array(ArrayElemTypeDef::AngleBracket(elements));
        } else if parser.consume_token(&Token::LBracket) {
            parser.expect_token(&Token::RBracket)?;
            found = SqlType::Array(ArrayElemTypeDef::SquareBracket(elements, None));
        } else {
            return Ok(found);
        }
    }
}

fn first(parser: &mut Parser<'_>, closed: &mut bool) -> Result<SqlType, ParserError> {
    let (word, bracket) = (parser.peek_token().token, parser.peek_nth_token(1).token);
    let is_open = bracket == Token::Lt;
    if is_word(&word, "ARRAY") && is_open {
        parser.next_token();
        parser.next_token();
        let elements = element(parser, closed)?;
        close(parser, closed)?;
        return Ok(SqlType::Array(ArrayElemTypeDef::AngleBracket(Box::new(elements))));
    }
    if is_word(&word, "MAP") && is_open {
        parser.next_token();
        parser.next_token();
        let keys = element(parser, closed)?;
        parser.expect_token(&Token::Comma)?;
        let values = element(parser, closed)?;
        close(parser, closed)?;
        return Ok(SqlType::Map(Box::new(keys), Box::new(values)));
    }
    if (is_word(&word, "ROW") || is_word(&word, "STRUCT")) && (is_open || bracket == Token::LParen) {
        parser.next_token();
        parser.next_token();
        return row(parser, is_open, closed);
    }
    parser.parse_data_type()
}

/// A type that stands in another, perhaps with a word on NULL.
fn element(parser: &mut Parser<'_>, closed: &mut bool) -> Result<SqlType, ParserError> {
    let found = data_type(parser, closed)?;
    if !*closed {
        // Accepted as documentation, as for columns.
        let _optional =
            parser.parse_keywords(&[Keyword::NOT, Keyword::NULL]) || parser.parse_keyword(Keyword::NULL);
    }
    Ok(found)
}

fn row(parser: &mut Parser<'_>, is_angle: bool, closed: &mut bool) -> Result<SqlType, ParserError> {
    let mut fields = Vec::new();
    loop {
        let (name, span) = identifier(parser)?;
        let field_type = element(parser, closed)?;
        if !*closed && matches!(parser.peek_token().token, Token::SingleQuotedString(_)) {
            parser.next_token();
        }
        let field_name = Some(Ident::with_span(span, name));
        fields.push(StructField { field_name, field_type, options: None });
        if *closed || !parser.consume_token(&Token::Comma) {
            break;
        }
    }
    let brackets = if is_angle {
        close(parser, closed)?;
        StructBracketKind::AngleBrackets
    } else {
        parser.expect_token(&Token::RParen)?;
        StructBracketKind::Parentheses
    };
    Ok(SqlType::Struct(fields, brackets))
}

/// The `>` of a type, which may have come with that of the one inside.
fn close(parser: &mut Parser<'_>, closed: &mut bool) -> Result<(), ParserError> {
    if std::mem::take(closed) {
        return Ok(());
    }
    let token = parser.next_token();
    match token.token {
        Token::Gt => Ok(()),
        Token::ShiftRight => {
            *closed = true;
            Ok(())
        }
        _ => parser.expected("> at the end of a type", token),
    }
}

/// The column of a declared type, without a name; or what of it is not understood, and why.
///
/// All timestamps are microseconds in UTC (see [`timestamp_type`]); text is `Utf8`, and `JSON` is text that a
/// [mark](JSON_METADATA) tells from other text.
pub(crate) fn arrow_field(name: &str, sql: &SqlType) -> Result<Field, String> {
    let field = Field::new(name, arrow_type(sql)?, true);
    Ok(match sql {
        SqlType::JSON => field.with_metadata([(JSON_METADATA.to_owned(), String::new())].into()),
        _ => field,
    })
}

fn arrow_type(sql: &SqlType) -> Result<DataType, String> {
    Ok(match sql {
        SqlType::Boolean | SqlType::Bool => DataType::Boolean,
        SqlType::TinyInt(_) => DataType::Int8,
        SqlType::SmallInt(_) | SqlType::Int2(_) => DataType::Int16,
        SqlType::Int(_) | SqlType::Integer(_) | SqlType::Int4(_) => DataType::Int32,
        SqlType::BigInt(_) | SqlType::Int8(_) => DataType::Int64,
        SqlType::TinyIntUnsigned(_) | SqlType::UTinyInt => DataType::UInt8,
        SqlType::SmallIntUnsigned(_) | SqlType::Int2Unsigned(_) | SqlType::USmallInt => DataType::UInt16,
        SqlType::IntUnsigned(_) | SqlType::IntegerUnsigned(_) | SqlType::Int4Unsigned(_) => DataType::UInt32,
        SqlType::BigIntUnsigned(_) | SqlType::Int8Unsigned(_) | SqlType::UBigInt => DataType::UInt64,
        SqlType::Float(_) | SqlType::Real | SqlType::Float4 => DataType::Float32,
        SqlType::Double(_) | SqlType::DoublePrecision | SqlType::Float8 => DataType::Float64,
        SqlType::Decimal(info) | SqlType::Numeric(info) | SqlType::Dec(info) => {
            decimal(*info).ok_or_else(|| format!("{sql}: a decimal has 1 to 38 digits"))?
        }
        SqlType::Varchar(_)
        | SqlType::CharVarying(_)
        | SqlType::CharacterVarying(_)
        | SqlType::Char(_)
        | SqlType::Character(_)
        | SqlType::Text
        | SqlType::String(_)
        | SqlType::JSON => DataType::Utf8,
        SqlType::Bytes(_) | SqlType::Bytea | SqlType::Varbinary(_) | SqlType::Binary(_) => DataType::Binary,
        SqlType::Date => DataType::Date32,
        SqlType::Time(None | Some(0..=9), TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            DataType::Time64(TimeUnit::Nanosecond)
        }
        SqlType::Timestamp(digits, _) | SqlType::Datetime(digits) => timestamp(sql, *digits)?,
        SqlType::Custom(name, digits) => match name.to_string().to_uppercase().as_str() {
            "TIMESTAMP_LTZ" | "TIMESTAMPTZ" => {
                timestamp(sql, digits.first().and_then(|digits| digits.parse().ok()))?
            }
            "STRING" => DataType::Utf8,
            _ => return Err(sql.to_string()),
        },
        SqlType::Array(
            ArrayElemTypeDef::AngleBracket(elements) | ArrayElemTypeDef::SquareBracket(elements, None),
        ) => DataType::List(arrow_field(Field::LIST_FIELD_DEFAULT_NAME, elements)?.into()),
        SqlType::Struct(fields, _) => row_type(fields)?,
        SqlType::Map(keys, values) => {
            if arrow_type(keys)? != DataType::Utf8 || **keys == SqlType::JSON {
                return Err(format!("{sql}: the keys of a JSON object are texts, so those of a MAP are"));
            }
            map_with(arrow_field("value", values)?)
        }
        _ => return Err(sql.to_string()),
    })
}

/// Digits after the sixth would be lost.
fn timestamp(sql: &SqlType, digits: Option<u64>) -> Result<DataType, String> {
    match digits {
        Some(7..) => Err(format!("{sql}: a timestamp has at most microseconds")),
        _ => Ok(timestamp_type()),
    }
}

fn row_type(fields: &[StructField]) -> Result<DataType, String> {
    let mut known: Vec<Field> = Vec::with_capacity(fields.len());
    for field in fields {
        let name = field.field_name.as_ref().map(|name| name.value.clone()).unwrap_or_default();
        if known.iter().any(|other| *other.name() == name) {
            return Err(format!("a ROW with two fields '{name}'"));
        }
        known.push(arrow_field(&name, &field.field_type)?);
    }
    Ok(DataType::Struct(Fields::from(known)))
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
pub(crate) const KNOWN_TYPES: &str = "BOOLEAN, TINYINT, SMALLINT, INT, BIGINT, these UNSIGNED, FLOAT, DOUBLE, DECIMAL(p, s), \
     STRING, VARCHAR, CHAR, BYTES, DATE, TIME, TIMESTAMP(p), TIMESTAMP_LTZ(p) with p up to 6, JSON, ARRAY<type>, \
     ROW<name type, …>, MAP<STRING, type>";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::tokens;

    fn read(text: &str) -> Result<DataType, String> {
        let tokens = tokens::statements(text).unwrap().remove(0);
        let mut parser = tokens::parser(tokens);
        let sql = parse(&mut parser).map_err(|error| error.to_string())?;
        assert_eq!(parser.peek_token().token, Token::EOF, "{text}");
        arrow_field("c", &sql).map(|field| field.data_type().clone())
    }

    fn list(of: DataType) -> DataType {
        DataType::List(Field::new_list_field(of, true).into())
    }

    fn row(fields: &[(&str, DataType)]) -> DataType {
        DataType::Struct(fields.iter().map(|(name, of)| Field::new(*name, of.clone(), true)).collect())
    }

    #[test]
    fn types_in_types() {
        let items = list(row(&[("id", DataType::Int64), ("tags", list(DataType::Utf8))]));
        for text in [
            "ARRAY<ROW<id BIGINT, tags ARRAY<STRING>>>",
            "ARRAY<ROW<id BIGINT NOT NULL, tags ARRAY<STRING> > >",
            "array<row<id bigint 'its number', tags array<string>>>",
            "ROW(id BIGINT, tags STRING ARRAY)[]",
            "STRUCT<id BIGINT, tags TEXT[]> ARRAY",
        ] {
            assert_eq!(read(text).as_ref(), Ok(&items), "{text}");
        }
        let DataType::Map(entries, false) = read("MAP<STRING, ARRAY<INT>>").unwrap() else {
            panic!("no map")
        };
        let DataType::Struct(fields) = entries.data_type() else { panic!("no entries") };
        assert_eq!(*fields[1].data_type(), list(DataType::Int32));
        assert_eq!(
            read("ROW<`order` INT, `a b` INT>").unwrap(),
            row(&[("order", DataType::Int32), ("a b", DataType::Int32)])
        );
    }

    #[test]
    fn small_types() {
        for (text, expected) in [
            ("TINYINT", DataType::Int8),
            ("SMALLINT", DataType::Int16),
            ("TINYINT UNSIGNED", DataType::UInt8),
            ("INT UNSIGNED", DataType::UInt32),
            ("BIGINT UNSIGNED", DataType::UInt64),
            ("CHAR(3)", DataType::Utf8),
            ("VARCHAR(2147483647)", DataType::Utf8),
            ("BYTES", DataType::Binary),
            ("VARBINARY(16)", DataType::Binary),
            ("DATE", DataType::Date32),
            ("TIME", DataType::Time64(TimeUnit::Nanosecond)),
            ("TIME(3)", DataType::Time64(TimeUnit::Nanosecond)),
            ("JSON", DataType::Utf8),
            ("TIMESTAMP_LTZ(3)", timestamp_type()),
        ] {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let errors = [
            "ARRAY<INT",
            "ARRAY<INT>>",
            "ROW<a>",
            "ROW<a INT, a STRING>",
            "MAP<INT, STRING>",
            "TIME WITH TIME ZONE",
            "TIMESTAMP_LTZ(9)",
            "ARRAY<ROW<a TIMESTAMP(9)>>",
            "ARRAY<ROW<a UUID>>",
            "DECIMAL(40, 2)",
        ]
        .map(|text| format!("{text}\n  {}", read(text).unwrap_err()));
        insta::assert_snapshot!(errors.join("\n"));
    }
}
