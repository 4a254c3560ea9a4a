//! What a text consists of: `IS_DECIMAL`, `IS_DIGIT`, `IS_ALPHA`, and Java's `HASH_CODE`.
//!
//! The three tests are FALSE for NULL and for the empty text. Source: Flink's documentation, "String Functions".

use std::sync::LazyLock;

use datafusion::logical_expr::ScalarUDF;
use regex::Regex;

use super::row::{Eval, Kind::Text, RowFunction};

pub(super) fn all() -> Vec<ScalarUDF> {
    let functions = [
        RowFunction::new("is_decimal", &[Text], Eval::Bool(|row| Ok(Some(is_decimal(row.text(0))))))
            .lenient(),
        RowFunction::new("is_digit", &[Text], Eval::Bool(|row| Ok(Some(matches(&DIGITS, row.text(0))))))
            .lenient(),
        RowFunction::new("is_alpha", &[Text], Eval::Bool(|row| Ok(Some(matches(&LETTERS, row.text(0))))))
            .lenient(),
        RowFunction::new("hash_code", &[Text], Eval::Int(|row| Ok(Some(hash_code(row.text(0)))))),
    ];
    functions.into_iter().map(ScalarUDF::from).collect()
}

static DIGITS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\p{Nd}+$").ok());
static LETTERS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\p{L}+$").ok());
/// What Java reads as a number, hexadecimal fractions apart.
static NUMBER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"^[\x00-\x20]*[+-]?(NaN|Infinity|([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[fFdD]?)[\x00-\x20]*$",
    )
    .ok()
});

fn matches(regex: &LazyLock<Option<Regex>>, text: &str) -> bool {
    regex.as_ref().is_some_and(|regex| regex.is_match(text))
}

fn is_decimal(text: &str) -> bool {
    matches(&NUMBER, text)
}

/// Over UTF-16, with the overflow of 32 bits.
fn hash_code(text: &str) -> i32 {
    text.encode_utf16().fold(0, |hash: i32, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}
