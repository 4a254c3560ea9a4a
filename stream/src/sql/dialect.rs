//! What Flink means by an expression, where DataFusion would read it otherwise: rewritten or refused.
//!
//! Works on parsed expressions, before anything has a type; what depends on types is in
//! `planner/dialect.rs`. Special forms (`EXTRACT`, `OVERLAY`, `FLOOR … TO`) become plain calls of
//! [functions](super::functions), so that there is one place that says what they mean.

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

type Answer = Result<(), String>;

fn rewrite(expr: &mut Expr) -> Answer {
    match expr {
        Expr::Function(_) => function(expr),
        Expr::Like { pattern, escape_char, any: false, .. } => {
            let escape = match escape_char.take().map(|value| value.value) {
                None => None,
                Some(Value::SingleQuotedString(text)) => Some(one_character(&text)?),
                Some(other) => return Err(format!("LIKE cannot be escaped by {other}")),
            };
            like_pattern(pattern, escape)
        }
        Expr::ILike { .. } => Err("there is no ILIKE. write LOWER(a) LIKE 'pattern'".to_owned()),
        Expr::RLike { .. } => Err("there is no RLIKE. write REGEXP(text, 'expression')".to_owned()),
        Expr::SimilarTo { .. } => {
            Err("SIMILAR TO is not supported. write REGEXP(text, 'expression')".to_owned())
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
        Expr::TypedString(literal) if matches!(literal.data_type, SqlType::Timestamp(..)) => {
            let digits = literal.value.to_string();
            match digits.trim_matches('\'').split_once('.') {
                Some((_, fraction)) if fraction.len() > 6 => Err(format!(
                    "timestamps have at most six digits after the second, which {digits} has not"
                )),
                _ => Ok(()),
            }
        }
        Expr::Cast { kind, data_type, .. } => cast_type(kind, data_type),
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
        CeilFloorKind::DateTimeField(field) => {
            let unit = unit(field)?;
            let name = match unit {
                "DAY" if name == "__ceil" => name.to_owned(),
                "YEAR" | "QUARTER" | "MONTH" | "WEEK" | "DECADE" | "CENTURY" | "MILLENNIUM"
                    if name == "__ceil" =>
                {
                    "__ceil_month".to_owned()
                }
                _ => by_day(name, unit),
            };
            Ok(Some(call(&name, vec![text(unit), inner.clone()])))
        }
    }
}

/// A date stays a date where the unit is a day or longer.
fn by_day(name: &str, unit: &str) -> String {
    let short = matches!(unit, "HOUR" | "MINUTE" | "SECOND" | "MILLISECOND" | "MICROSECOND" | "NANOSECOND");
    if short { name.to_owned() } else { format!("{name}_day") }
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

/// DataFusion takes a backslash for an escape character where none is declared, Flink takes it for itself.
fn like_pattern(pattern: &mut Expr, escape: Option<char>) -> Answer {
    let literal = match pattern {
        Expr::Value(value) => match &mut value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    };
    let Some(literal) = literal else {
        if escape.is_some() {
            return Err("LIKE … ESCAPE needs a literal pattern".to_owned());
        }
        let plain = pattern.clone();
        *pattern = call("replace", vec![plain, text("\\"), text("\\\\")]);
        return Ok(());
    };
    if escape.is_none() && !literal.contains('\\') {
        return Ok(());
    }
    let mut out = String::with_capacity(literal.len() + 2);
    let mut chars = literal.chars();
    while let Some(c) = chars.next() {
        if Some(c) == escape {
            match chars.next() {
                Some(next) if matches!(next, '%' | '_') || Some(next) == escape => {
                    if next == '\\' || matches!(next, '%' | '_') {
                        out.push('\\');
                    }
                    out.push(next);
                }
                _ => {
                    return Err(format!(
                        "in the pattern '{literal}' the escape character stands before neither % nor _ nor itself"
                    ));
                }
            }
        } else {
            if c == '\\' {
                out.push('\\');
            }
            out.push(c);
        }
    }
    *literal = out;
    Ok(())
}

fn one_character(text: &str) -> Result<char, String> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if !c.is_whitespace() && !c.is_control() => Ok(c),
        _ => Err(format!("'{text}' is not one escape character")),
    }
}

fn cast_type(kind: &CastKind, data_type: &mut SqlType) -> Answer {
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
        SqlType::Timestamp(Some(7..), _) => {
            Err("timestamps have at most six digits after the second. write TIMESTAMP(6)".to_owned())
        }
        SqlType::Time(..) => {
            Err("a cast to TIME is not supported. write EXTRACT(HOUR FROM t), or DATE_FORMAT(t, 'HH:mm:ss')"
                .to_owned())
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
        ("TO_DATE", 1 | 2) => Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(call("to_timestamp", args)),
            data_type: SqlType::Date,
            array: false,
            format: None,
        },
        ("YEAR" | "QUARTER" | "MONTH" | "WEEK" | "HOUR" | "MINUTE" | "SECOND", 1) => extract(&name, args)?,
        ("DAYOFYEAR", 1) => extract("DOY", args)?,
        ("DAYOFMONTH", 1) => extract("DAY", args)?,
        ("DAYOFWEEK", 1) => extract("DOW", args)?,
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
