//! What Flink means by an expression, where DataFusion would read it otherwise: rewritten or refused.
//!
//! Works on parsed expressions, before anything has a type; what depends on types is in
//! `planner/dialect.rs`. Special forms (`EXTRACT`, `OVERLAY`, `FLOOR … TO`) become plain calls of
//! [functions](super::functions), so that there is one place that says what they mean.

mod cast;
mod interval;
mod like;
mod overlaps;
mod similar;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::{
    ast::{
        AccessExpr, BinaryOperator, CaseWhen, CastKind, CeilFloorKind, DataType as SqlType, DateTimeField,
        ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
        FunctionArguments, Ident, ObjectName, ObjectNamePart, Subscript, TimezoneInfo, UnaryOperator, Value,
        VisitMut, helpers::attached_token::AttachedToken, visit_expressions_mut,
    },
    parser::ParserError,
    tokenizer::Span,
};

use super::functions::literals::mistake;

/// Puts every expression of `what` into DataFusion's words.
pub(crate) fn translate(what: &mut impl VisitMut) -> Result<(), ParserError> {
    match visit_expressions_mut(what, |expr| match rewrite(expr) {
        Ok(()) => ControlFlow::Continue(()),
        Err(message) => ControlFlow::Break(ParserError::ParserError(message)),
    }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

use super::json_forms;

type Answer = Result<(), String>;

fn rewrite(expr: &mut Expr) -> Answer {
    match expr {
        Expr::Function(_) => function(expr),
        Expr::Like { pattern, escape_char, any: false, .. } => {
            let escape = match escape_char.take().map(|value| value.value) {
                None => None,
                Some(Value::SingleQuotedString(text)) => Some(like::one_character(&text)?),
                Some(other) => return Err(format!("LIKE cannot be escaped by {other}")),
            };
            like::pattern(pattern, escape)
        }
        Expr::ILike { .. } => Err("there is no ILIKE. write LOWER(a) LIKE 'pattern'".to_owned()),
        Expr::RLike { .. } => Err("there is no RLIKE. write REGEXP(text, 'expression')".to_owned()),
        Expr::SimilarTo { negated, expr: inner, pattern, escape_char } => {
            let escape = escape_char.take().map(|value| value.value);
            let similar =
                call("regexp", vec![(**inner).clone(), text(&similar::expression(pattern, escape)?)]);
            *expr = if *negated { negate(similar) } else { similar };
            Ok(())
        }
        Expr::IsNormalized { expr: inner, form, negated } => {
            let form = form.as_ref().map(ToString::to_string).unwrap_or_default();
            let kind = json_forms::KINDS
                .iter()
                .find(|(_, stands)| *stands == form)
                .map_or("VALUE", |(kind, _)| kind);
            let is_json = call("__is_json", vec![(**inner).clone(), text(kind)]);
            *expr = if *negated { negate(is_json) } else { is_json };
            Ok(())
        }
        Expr::Extract { field, expr: inner, .. } => {
            let unit = unit(field)?;
            let fraction = matches!(unit, "MILLISECOND" | "MICROSECOND" | "NANOSECOND");
            let name = if fraction { "__extract_fraction" } else { "__extract" };
            *expr = call(name, vec![text(unit), (**inner).clone()]);
            Ok(())
        }
        Expr::Ceil { expr: inner, field } => rounded(field, inner, "__ceil").map(|new| replace(expr, new)),
        Expr::Floor { expr: inner, field } => rounded(field, inner, "__floor").map(|new| replace(expr, new)),
        Expr::Overlay { expr: inner, overlay_what, overlay_from, overlay_for } => {
            let mut args = vec![(**inner).clone(), (**overlay_what).clone(), (**overlay_from).clone()];
            args.extend(overlay_for.as_deref().cloned());
            *expr = call("overlay", args);
            Ok(())
        }
        Expr::Substring { expr: inner, substring_from, substring_for, .. } => {
            let Some(from) = substring_from.as_deref() else {
                return Err("SUBSTRING needs a start: SUBSTRING(text FROM start FOR length)".to_owned());
            };
            let mut args = vec![(**inner).clone(), from.clone()];
            args.extend(substring_for.as_deref().cloned());
            *expr = call("substring", args);
            Ok(())
        }
        Expr::TypedString(literal) if matches!(literal.data_type, SqlType::Time(..)) => {
            *expr = call("__time", vec![Expr::Value(literal.value.clone()), number(3)]);
            Ok(())
        }
        Expr::BinaryOp { left, op: BinaryOperator::Overlaps, right } => {
            *expr = overlaps::condition(left, right)?;
            Ok(())
        }
        Expr::Value(value) => {
            match &value.value {
                Value::UnicodeStringLiteral(literal) => *expr = text(literal),
                // With an exponent a number is a double.
                Value::Number(digits, _) if digits.contains(['e', 'E']) => {
                    let digits = text(&digits.to_string());
                    *expr = cast(digits, SqlType::Double(ExactNumberInfo::None));
                }
                _ => {}
            }
            Ok(())
        }
        Expr::Interval(interval) => interval::plain(interval),
        Expr::TypedString(literal) if matches!(literal.data_type, SqlType::Timestamp(..)) => {
            let digits = literal.value.to_string();
            match digits.trim_matches('\'').split_once('.') {
                Some((_, fraction)) if fraction.len() > 6 => Err(format!(
                    "timestamps have at most six digits after the second, which {digits} has not"
                )),
                // In nanoseconds, as DataFusion would have it, a timestamp ends in the year 2262.
                _ => {
                    literal.data_type = SqlType::Timestamp(Some(6), TimezoneInfo::None);
                    Ok(())
                }
            }
        }
        Expr::Cast { kind, data_type, expr: inner, .. } => {
            if let Some(new) = cast::call(kind, data_type, inner)? {
                *expr = new;
                return Ok(());
            }
            cast::type_of(kind, data_type)
        }
        Expr::CompoundFieldAccess { access_chain, .. } => {
            // Names up to the first element are those of a column.
            let is_element = |access: &AccessExpr| matches!(access, AccessExpr::Subscript(_));
            let first = access_chain.iter().position(is_element).unwrap_or(access_chain.len());
            access_chain.iter_mut().skip(first).try_for_each(access)
        }
        _ => Ok(()),
    }
}

/// A field of an element, as in `items[1].price`, whose name DataFusion wants as a text.
fn access(access: &mut AccessExpr) -> Answer {
    match access {
        AccessExpr::Dot(name) => {
            if let Expr::Identifier(ident) = name {
                *name = text(&ident.value);
            }
            Ok(())
        }
        AccessExpr::Subscript(Subscript::Index { index }) => match index {
            Expr::Value(value) if matches!(&value.value, Value::Number(number, _) if number == "0") => {
                Err("the elements of an array are counted from 1".to_owned())
            }
            Expr::UnaryOp { op: UnaryOperator::Minus, .. } => {
                Err("the elements of an array are counted from 1, and not from its end".to_owned())
            }
            _ => Ok(()),
        },
        AccessExpr::Subscript(Subscript::Slice { .. }) => {
            Err("a part of an array is not taken by [a:b]. write ARRAY_SLICE(array, a, b)".to_owned())
        }
    }
}

fn replace(expr: &mut Expr, new: Option<Expr>) {
    if let Some(new) = new {
        *expr = new;
    }
}

/// `FLOOR(time TO unit)`; `FLOOR(number)` stays.
fn rounded(field: &CeilFloorKind, inner: &Expr, name: &str) -> Result<Option<Expr>, String> {
    match field {
        CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) => Ok(None),
        CeilFloorKind::Scale(_) => {
            Err("FLOOR and CEIL take no scale. write ROUND(number, digits) or TRUNCATE(number, digits)"
                .to_owned())
        }
        CeilFloorKind::DateTimeField(field) => Ok(Some(call(name, vec![text(unit(field)?), inner.clone()]))),
    }
}

const UNITS: [&str; 19] = [
    "YEAR",
    "QUARTER",
    "MONTH",
    "WEEK",
    "DAY",
    "DOW",
    "ISODOW",
    "DOY",
    "ISOYEAR",
    "HOUR",
    "MINUTE",
    "SECOND",
    "MILLISECOND",
    "MICROSECOND",
    "NANOSECOND",
    "EPOCH",
    "DECADE",
    "CENTURY",
    "MILLENNIUM",
];

fn unit(field: &DateTimeField) -> Result<&'static str, String> {
    unit_named(&field.to_string())
}

fn unit_named(name: &str) -> Result<&'static str, String> {
    let name = name.to_uppercase();
    let name = name.strip_prefix("SQL_TSI_").unwrap_or(&name);
    UNITS
        .iter()
        .find(|unit| **unit == name)
        .copied()
        .ok_or_else(|| format!("there is no time unit {name}. the units are {}", UNITS.join(", ")))
}

/// Calls whose name or form is Flink's own.
fn function(expr: &mut Expr) -> Answer {
    let Expr::Function(function) = expr else { return Ok(()) };
    let Some(name) =
        function.name.0.last().and_then(|part| part.as_ident()).map(|name| name.value.to_uppercase())
    else {
        return Ok(());
    };
    // Also in quotes, which names need that are keywords, a function's name has no case.
    if let [ObjectNamePart::Identifier(ident)] = function.name.0.as_mut_slice() {
        ident.value = ident.value.to_lowercase();
    }
    let Some(mut args) = arguments(function) else { return Ok(()) };
    check_literals(&name, &args)?;
    let given = args.len();
    let new = match (name.as_str(), given) {
        ("IF", 3) => {
            let (otherwise, then) = (args.pop(), args.pop());
            let (Some(then), Some(condition)) = (then, args.pop()) else { return Ok(()) };
            case(condition, then, otherwise)
        }
        ("MOD", 2) => {
            let (Some(right), Some(left)) = (args.pop(), args.pop()) else { return Ok(()) };
            nested(Expr::BinaryOp {
                left: Box::new(nested(left)),
                op: BinaryOperator::Modulo,
                right: Box::new(nested(right)),
            })
        }
        ("GREATEST" | "LEAST", 2..) => {
            let nulls = args.iter().cloned().map(|arg| Expr::IsNull(Box::new(nested(arg))));
            let any = nulls.reduce(|left, right| Expr::BinaryOp {
                left: Box::new(left),
                op: BinaryOperator::Or,
                right: Box::new(right),
            });
            let Some(any) = any else { return Ok(()) };
            case(nested(any), Expr::value(Value::Null), Some(expr.clone()))
        }
        ("ELT", _) if matches!(&args[..], [Expr::UnaryOp { op: UnaryOperator::Minus, .. }, ..]) => {
            return Err("ELT counts from 1, and takes no negative number".to_owned());
        }
        ("SIGN", 1) => call("signum", args),
        ("TRUNCATE", 1 | 2) => call("trunc", args),
        ("CEILING", 1) => call("ceil", args),
        ("TO_DATE", 1 | 2) => cast(call("to_timestamp", args), SqlType::Date),
        ("YEAR" | "QUARTER" | "MONTH" | "WEEK" | "HOUR" | "MINUTE" | "SECOND", 1) => extract(&name, args)?,
        ("DAYOFYEAR", 1) => extract("DOY", args)?,
        ("DAYOFMONTH", 1) => extract("DAY", args)?,
        ("DAYOFWEEK", 1) => extract("DOW", args)?,
        ("__MAP", _) if !given.is_multiple_of(2) => {
            return Err("MAP takes keys and values in turn: MAP['a', 1, 'b', 2]".to_owned());
        }
        ("__MAP", _) => {
            let (keys, values): (Vec<_>, Vec<_>) =
                args.into_iter().enumerate().partition(|(index, _)| index % 2 == 0);
            let array =
                |args: Vec<(usize, Expr)>| call("make_array", args.into_iter().map(|(_, arg)| arg).collect());
            call("map", vec![array(keys), array(values)])
        }
        ("MAP_FROM_ARRAYS", 2) => call("map", args),
        ("TO_TIMESTAMP_LTZ", 3) if is_unknown_zone(&args[2]) => {
            return Err(format!("there is no time zone {}. write one such as 'Europe/Paris'", args[2]));
        }
        ("TIMESTAMPADD" | "TIMESTAMPDIFF", 3) => {
            let Expr::Identifier(word) = &args[0] else {
                return Err(format!("{name} takes a unit first: {name}(MINUTE, …)"));
            };
            let unit = unit_named(&word.value)?;
            args[0] = text(unit);
            let short = matches!(unit, "HOUR" | "MINUTE" | "SECOND" | "MILLISECOND" | "MICROSECOND");
            let plain = name.to_lowercase();
            call(if name == "TIMESTAMPADD" && !short { "__add_day" } else { &plain }, args)
        }
        _ => return Ok(()),
    };
    *expr = new;
    Ok(())
}

/// Refuses a literal that the function could never take, at its place.
fn check_literals(name: &str, args: &[Expr]) -> Answer {
    for (index, arg) in args.iter().enumerate() {
        if let Expr::Value(literal) = arg
            && let Value::SingleQuotedString(text) = &literal.value
            && let Some(mistake) = mistake(name, index, text)
        {
            let start = literal.span.start;
            return Err(format!("{mistake} at Line: {}, Column: {}", start.line, start.column));
        }
    }
    Ok(())
}

fn is_unknown_zone(zone: &Expr) -> bool {
    match zone {
        Expr::Value(value) => {
            matches!(&value.value, Value::SingleQuotedString(name) if name.parse::<chrono_tz::Tz>().is_err())
        }
        _ => false,
    }
}

fn extract(unit: &str, mut args: Vec<Expr>) -> Result<Expr, String> {
    args.insert(0, text(unit_named(unit)?));
    Ok(call("__extract", args))
}

/// The arguments of a plain call; `None` for a window's, an aggregate's with words of its own, or a named one.
fn arguments(function: &Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &function.args else { return None };
    if function.over.is_some() || function.filter.is_some() || !list.clauses.is_empty() {
        return None;
    }
    list.args
        .iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        })
        .collect()
}

fn case(condition: Expr, then: Expr, otherwise: Option<Expr>) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition, result: then }],
        else_result: otherwise.map(Box::new),
    }
}

fn cast(expr: Expr, data_type: SqlType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}

fn negate(expr: Expr) -> Expr {
    Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(nested(expr)) }
}

fn number(value: u64) -> Expr {
    Expr::value(Value::Number(value.to_string(), false))
}

fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}

fn text(value: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(value.to_owned()))
}

fn call(name: &str, args: Vec<Expr>) -> Expr {
    let args = args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::with_span(Span::empty(), name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args,
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}
