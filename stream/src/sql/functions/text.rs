//! Functions of texts in Flink's meaning, where DataFusion has them with another or not at all.
//!
//! Positions count characters from 1. `translate`, `left` and their kind never fail: what lies outside of a
//! text is empty.

use datafusion::{common::Result, logical_expr::ScalarUDF};

use super::row::{
    Eval, Kind,
    Kind::{Text, TextOrBytes, TextOrWhole, Whole},
    Row, RowFunction,
};

type Answer = Result<Option<String>>;

pub(super) fn all() -> Vec<ScalarUDF> {
    const T: &[Kind] = &[Text, Text, Text];
    const TW: &[Kind] = &[Text, Whole];
    let text = |name, kinds, f: fn(&Row<'_>) -> Answer| RowFunction::new(name, kinds, Eval::Text(f));
    let functions = [
        text("concat", &[Text], concat).variadic(),
        text("substring", &[Text, Whole, Whole], substring).optional(1),
        text("substr", &[Text, Whole, Whole], substring).optional(1),
        text("overlay", &[Text, Text, Whole, Whole], overlay).optional(1),
        text("left", TW, |row| Ok(Some(take(row.text(0), row.whole(1))))),
        text("right", TW, right),
        text("lpad", &[Text, Whole, Text], |row| Ok(pad(row, true))),
        text("rpad", &[Text, Whole, Text], |row| Ok(pad(row, false))),
        text("replace", T, |row| Ok(Some(row.text(0).replace(row.text(1), row.text(2))))),
        text("translate", T, translate).lenient(),
        text("chr", &[Whole], chr),
        text("split_index", &[Text, TextOrWhole, Whole], split_index),
        text("elt", &[Whole, Text], elt).variadic().lenient(),
        text("bin", &[Whole], |row| Ok(Some(format!("{:b}", row.whole(0))))),
        RowFunction::new("instr", &[Text, Text, Whole, Whole], Eval::Int(instr)).optional(2),
        RowFunction::new("locate", &[Text, Text, Whole], Eval::Int(locate)).optional(1),
        RowFunction::new(
            "startswith",
            &[TextOrBytes, TextOrBytes],
            Eval::Bool(|row| Ok(Some(row.bytes(0).starts_with(row.bytes(1))))),
        )
        .alike(),
        RowFunction::new(
            "endswith",
            &[TextOrBytes, TextOrBytes],
            Eval::Bool(|row| Ok(Some(row.bytes(0).ends_with(row.bytes(1))))),
        )
        .alike(),
    ];
    functions.into_iter().map(ScalarUDF::from).collect()
}

fn concat(row: &Row<'_>) -> Answer {
    Ok(Some((0..row.len()).map(|index| row.text(index)).collect()))
}

/// The first `count` characters; none for a negative count.
fn take(text: &str, count: i64) -> String {
    text.chars().take(usize::try_from(count).unwrap_or(0)).collect()
}

fn characters(text: &str) -> i64 {
    i64::try_from(text.chars().count()).unwrap_or(i64::MAX)
}

fn skip(text: &str, count: i64) -> String {
    text.chars().skip(usize::try_from(count).unwrap_or(0)).collect()
}

fn right(row: &Row<'_>) -> Answer {
    let (text, count) = (row.text(0), row.whole(1).max(0));
    Ok(Some(skip(text, characters(text).saturating_sub(count).max(0))))
}

/// A negative start counts from the end, 0 is taken as 1, and a negative length is NULL.
fn substring(row: &Row<'_>) -> Answer {
    let (text, from) = (row.text(0), row.whole(1));
    let length = if row.has(2) { row.whole(2) } else { i64::MAX };
    if length < 0 {
        return Ok(None);
    }
    let start = match from {
        0 => 0,
        1.. => from - 1,
        _ => match characters(text).saturating_add(from) {
            start @ 0.. => start,
            _ => return Ok(Some(String::new())),
        },
    };
    Ok(Some(take(&skip(text, start), length)))
}

/// A start outside of the text changes nothing; a length past the end, or negative, drops the rest.
fn overlay(row: &Row<'_>) -> Answer {
    let (text, with, start) = (row.text(0), row.text(1), row.whole(2));
    let length = if row.has(3) { row.whole(3) } else { characters(with) };
    let all = characters(text);
    if start <= 0 || start > all {
        return Ok(Some(text.to_owned()));
    }
    let mut out = take(text, start - 1) + with;
    if length > 0 && start.saturating_add(length) <= all {
        out += &skip(text, start - 1 + length);
    }
    Ok(Some(out))
}

/// Nothing to pad with, or a negative length, is NULL.
fn pad(row: &Row<'_>, left: bool) -> Option<String> {
    /// A longer text than this is a mistake that would take all memory.
    const LONGEST: i64 = 1 << 24;
    let (text, length, with) = (row.text(0), row.whole(1), row.text(2));
    if length < 0 || with.is_empty() || length > LONGEST {
        return None;
    }
    let missing = length - characters(text);
    if missing <= 0 {
        return Some(take(text, length));
    }
    let padding: String = with.chars().cycle().take(usize::try_from(missing).unwrap_or(0)).collect();
    Some(if left { padding + text } else { text.to_owned() + &padding })
}

/// A character without a counterpart is dropped; the first of repeated ones counts. NULL as the characters
/// to look for leaves the text, NULL as counterparts drops all of them.
fn translate(row: &Row<'_>) -> Answer {
    if row.is_null(0) {
        return Ok(None);
    }
    let to: Vec<char> = row.text(2).chars().collect();
    let from: Vec<char> = row.text(1).chars().collect();
    let map = |c: char| match from.iter().position(|f| *f == c) {
        Some(index) => to.get(index).copied(),
        None => Some(c),
    };
    Ok(Some(row.text(0).chars().filter_map(map).collect()))
}

/// The character of the number's lowest byte, in Latin-1.
fn chr(row: &Row<'_>) -> Answer {
    let number = row.whole(0);
    if number < 0 {
        return Ok(Some(String::new()));
    }
    Ok(Some(u8::try_from(number & 0xff).map(char::from).unwrap_or_default().to_string()))
}

/// A number as the separator is the code of a character.
fn split_index(row: &Row<'_>) -> Answer {
    let text = row.text(0);
    let code =
        u8::try_from(row.whole(1)).ok().filter(|code| *code > 0).map(|code| char::from(code).to_string());
    let by = if row.is_text(1) { row.text(1) } else { code.as_deref().unwrap_or_default() };
    let Ok(index) = usize::try_from(row.whole(2)) else { return Ok(None) };
    if by.is_empty() || text.is_empty() {
        return Ok(None);
    }
    Ok(text.split(by).nth(index).map(str::to_owned))
}

fn elt(row: &Row<'_>) -> Answer {
    let index = usize::try_from(row.whole(0)).unwrap_or(0);
    Ok((index > 0 && !row.is_null(index)).then(|| row.text(index).to_owned()))
}

/// `LOCATE(what, text [, from])`: 0 where it is not.
fn locate(row: &Row<'_>) -> Result<Option<i32>> {
    let (what, text) = (row.text(0), row.text(1));
    let from = if row.has(2) { row.whole(2) } else { 1 };
    if from < 1 {
        return Ok(Some(0));
    }
    let rest = skip(text, from - 1);
    let found = rest.find(what).map(|byte| characters(&rest[..byte]).saturating_add(from));
    Ok(Some(found.and_then(|position| i32::try_from(position).ok()).unwrap_or(0)))
}

/// `INSTR(text, what [, from [, occurrence]])`: 0 where it is not. A negative start looks backwards from the end.
fn instr(row: &Row<'_>) -> Result<Option<i32>> {
    let (text, what) = (row.text(0), row.text(1));
    let from = if row.has(2) { row.whole(2) } else { 1 };
    let occurrence = if row.has(3) { row.whole(3) } else { 1 };
    let text: Vec<char> = text.chars().collect();
    let what: Vec<char> = what.chars().collect();
    let (Ok(skip), Ok(nth)) =
        (usize::try_from(from.unsigned_abs().saturating_sub(1)), usize::try_from(occurrence - 1))
    else {
        return Ok(Some(0));
    };
    if from == 0 || skip >= text.len() {
        return Ok(Some(0));
    }
    let is_at = |at: &usize| text[*at..].starts_with(&what);
    let found = if from > 0 {
        (skip..text.len()).filter(is_at).nth(nth)
    } else {
        // The first place to look at is the character that many from the end.
        (0..text.len() - skip).rev().filter(is_at).nth(nth)
    };
    Ok(Some(found.and_then(|at| i32::try_from(at + 1).ok()).unwrap_or(0)))
}
