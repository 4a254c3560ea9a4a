//! The forms of Flink's JSON functions, rewritten on the token stream to plain calls of [functions](super::functions),
//! since the parser knows none of their clauses.
//!
//! | written | becomes |
//! |---|---|
//! | `JSON_EXISTS(j, p TRUE ON ERROR)` | `__json_exists(j, p, 'TRUE')` |
//! | `JSON_VALUE(j, p RETURNING INT NULL ON EMPTY DEFAULT 1 ON ERROR)` | `__json_value_integer(j, p, 'NULL', NULL, 'DEFAULT', '1')` |
//! | `JSON_QUERY(j, p WITH WRAPPER EMPTY ARRAY ON EMPTY)` | `__json_query(j, p, 'UNCONDITIONAL', 'EMPTY ARRAY', 'NULL')` |
//! | `JSON_OBJECT(KEY k VALUE v ABSENT ON NULL)` | `__json_object('ABSENT', k, 'VALUE', v)` |
//! | `JSON_ARRAY(a, JSON(b))` | `__json_array('ABSENT', 'VALUE', a, 'JSON', b)` |
//! | `a IS JSON ARRAY` | `a IS NFKC NORMALIZED`, which `dialect.rs` reads |

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens::{identifier, is_word, keyword, place};
use crate::error::SqlError;

type Tokens = Vec<TokenWithSpan>;
type Answer<T> = Result<T, (TokenWithSpan, String)>;

/// The forms of `IS JSON`, and the ones of `IS NORMALIZED` that stand for them.
pub(super) const KINDS: [(&str, &str); 4] =
    [("VALUE", "NFC"), ("SCALAR", "NFD"), ("ARRAY", "NFKC"), ("OBJECT", "NFKD")];

/// Rewrites every form in a statement.
pub(crate) fn rewrite(script: &str, tokens: Tokens) -> Result<Tokens, SqlError> {
    all(&tokens).map_err(|(token, message)| SqlError::at(script, place(token.span.start), message))
}

fn all(tokens: &[TokenWithSpan]) -> Answer<Tokens> {
    let mut out = Vec::with_capacity(tokens.len());
    let mut index = 0;
    while index < tokens.len() {
        let token = &tokens[index];
        let is_call = tokens.get(index + 1).is_some_and(|next| next.token == Token::LParen);
        let name = NAMES.iter().find(|name| is_call && is_word(&token.token, name));
        if let Some(name) = name
            && let Some(close) = super::tvf::matching(tokens, index + 1)
        {
            out.extend(call(name, token, &tokens[index + 2..close])?);
            index = close + 1;
        } else if is_word(&token.token, "NORMALIZED") {
            return Err((token.clone(), "there is no IS NORMALIZED".to_owned()));
        } else if is_word(&token.token, "JSON") && follows_is(tokens, index) {
            let next = tokens.get(index + 1);
            let named = KINDS.iter().find(|(kind, _)| next.is_some_and(|next| is_word(&next.token, kind)));
            let (_, form) = named.unwrap_or(&KINDS[0]);
            out.push(keyword(form, token.span));
            out.push(keyword("NORMALIZED", token.span));
            index += if named.is_some() { 2 } else { 1 };
        } else {
            out.push(token.clone());
            index += 1;
        }
    }
    Ok(out)
}

const NAMES: [&str; 5] = ["JSON_EXISTS", "JSON_VALUE", "JSON_QUERY", "JSON_OBJECT", "JSON_ARRAY"];

fn follows_is(tokens: &[TokenWithSpan], index: usize) -> bool {
    let word = |back: usize, word| index >= back && is_word(&tokens[index - back].token, word);
    word(1, "IS") || (word(1, "NOT") && word(2, "IS"))
}

fn call(name: &str, at: &TokenWithSpan, inner: &[TokenWithSpan]) -> Answer<Tokens> {
    match name {
        "JSON_EXISTS" => exists(at, inner),
        "JSON_VALUE" => value(at, inner),
        "JSON_QUERY" => query(at, inner),
        _ => construct(name, at, inner),
    }
}

/// Takes clauses off the end of a call's arguments.
struct Clauses<'a> {
    at: &'a TokenWithSpan,
    rest: &'a [TokenWithSpan],
}

impl<'a> Clauses<'a> {
    /// Whether the rest ends with these words, which are taken off.
    fn take(&mut self, words: &[&str]) -> bool {
        let Some(start) = self.rest.len().checked_sub(words.len()) else { return false };
        let ends = words.iter().zip(&self.rest[start..]).all(|(word, token)| is_word(&token.token, word));
        if ends {
            self.rest = &self.rest[..start];
        }
        ends
    }

    /// What stands behind the last word `word` outside of parentheses, which is taken off with it.
    fn take_from(&mut self, word: &str) -> Option<&'a [TokenWithSpan]> {
        let mut depth = 0_usize;
        for index in (0..self.rest.len()).rev() {
            match self.rest[index].token {
                Token::RParen => depth += 1,
                Token::LParen => depth = depth.saturating_sub(1),
                ref token if depth == 0 && is_word(token, word) => {
                    let taken = &self.rest[index + 1..];
                    self.rest = &self.rest[..index];
                    return Some(taken);
                }
                _ => {}
            }
        }
        None
    }

    /// `NULL ON EMPTY` and its kind: the word, and the default where it is one.
    fn on(&mut self, when: &str, words: &[&[&'static str]]) -> Option<(String, Option<&'a [TokenWithSpan]>)> {
        let before = self.rest;
        if !self.take(&["ON", when]) {
            return None;
        }
        for words in words {
            if self.take(words) {
                return Some((words.join(" "), None));
            }
        }
        // A default belongs to the nearest ON; between the two stands no other.
        if let Some(default) =
            self.take_from("DEFAULT").filter(|default| !default.iter().any(|t| is_word(&t.token, "ON")))
        {
            return Some(("DEFAULT".to_owned(), Some(default)));
        }
        self.rest = before;
        None
    }

    /// The arguments that are left: the document and the path.
    fn two(self, name: &str) -> Answer<&'a [TokenWithSpan]> {
        let parts = split(self.rest);
        match parts.as_slice() {
            [_, _] => Ok(self.rest),
            _ => Err((self.at.clone(), format!("{name} takes a document and a path, and then its clauses"))),
        }
    }
}

/// The parts between commas outside of parentheses and brackets.
fn split(tokens: &[TokenWithSpan]) -> Vec<&[TokenWithSpan]> {
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0_usize);
    for (index, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            Token::Comma if depth == 0 => {
                parts.push(&tokens[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    if start < tokens.len() {
        parts.push(&tokens[start..]);
    }
    parts
}

/// Writes a call.
struct Writer<'a> {
    at: &'a TokenWithSpan,
    out: Tokens,
}

impl<'a> Writer<'a> {
    fn new(at: &'a TokenWithSpan, name: &str) -> Self {
        let mut writer = Writer { at, out: vec![identifier(name, at.span)] };
        writer.push(Token::LParen);
        writer
    }

    fn push(&mut self, token: Token) {
        self.out.push(TokenWithSpan { token, span: self.at.span });
    }

    fn comma(&mut self) {
        if self.out.len() > 2 {
            self.push(Token::Comma);
        }
    }

    fn text(&mut self, text: &str) {
        self.comma();
        self.push(Token::SingleQuotedString(text.to_owned()));
    }

    fn tokens(&mut self, tokens: &[TokenWithSpan]) -> Answer<()> {
        self.comma();
        self.out.extend(all(tokens)?);
        Ok(())
    }

    /// A default, as a text.
    fn default(&mut self, default: Option<&[TokenWithSpan]>) -> Answer<()> {
        self.comma();
        let span = self.at.span;
        match default {
            None => self.out.push(keyword("NULL", span)),
            Some(tokens) => {
                self.out.push(keyword("CAST", span));
                self.push(Token::LParen);
                self.out.extend(all(tokens)?);
                self.out.push(keyword("AS", span));
                self.out.push(keyword("VARCHAR", span));
                self.push(Token::RParen);
            }
        }
        Ok(())
    }

    fn end(mut self) -> Tokens {
        self.push(Token::RParen);
        self.out
    }
}

fn exists(at: &TokenWithSpan, inner: &[TokenWithSpan]) -> Answer<Tokens> {
    let mut clauses = Clauses { at, rest: inner };
    let on_error = clauses.on("ERROR", &[&["TRUE"], &["FALSE"], &["UNKNOWN"], &["ERROR"]]);
    let mut call = Writer::new(at, "__json_exists");
    call.tokens(clauses.two("JSON_EXISTS")?)?;
    call.text(on_error.as_ref().map_or("FALSE", |(word, _)| word));
    Ok(call.end())
}

fn value(at: &TokenWithSpan, inner: &[TokenWithSpan]) -> Answer<Tokens> {
    const WORDS: [&[&str]; 2] = [&["NULL"], &["ERROR"]];
    let mut clauses = Clauses { at, rest: inner };
    let null = || ("NULL".to_owned(), None);
    let on_error = clauses.on("ERROR", &WORDS).unwrap_or_else(null);
    let on_empty = clauses.on("EMPTY", &WORDS).unwrap_or_else(null);
    let returned: Vec<String> = clauses
        .take_from("RETURNING")
        .unwrap_or_default()
        .iter()
        .map(|token| token.token.to_string().to_uppercase())
        .collect();
    let name = match returned.first().map(String::as_str) {
        None | Some("STRING" | "VARCHAR" | "CHAR") => "__json_value",
        Some("BOOLEAN") => "__json_value_boolean",
        Some("INT" | "INTEGER") => "__json_value_integer",
        Some("DOUBLE") => "__json_value_double",
        Some(other) => {
            return Err((
                at.clone(),
                format!(
                    "JSON_VALUE returns STRING, BOOLEAN, INTEGER or DOUBLE, not {other}. cast what it returns"
                ),
            ));
        }
    };
    let mut call = Writer::new(at, name);
    call.tokens(clauses.two("JSON_VALUE")?)?;
    for (word, default) in [on_empty, on_error] {
        call.text(&word);
        call.default(default)?;
    }
    Ok(call.end())
}

fn query(at: &TokenWithSpan, inner: &[TokenWithSpan]) -> Answer<Tokens> {
    const WORDS: [&[&str]; 4] = [&["NULL"], &["ERROR"], &["EMPTY", "ARRAY"], &["EMPTY", "OBJECT"]];
    let mut clauses = Clauses { at, rest: inner };
    let null = || ("NULL".to_owned(), None);
    // The two come in any order.
    let first = clauses.on("ERROR", &WORDS);
    let on_empty = clauses.on("EMPTY", &WORDS).unwrap_or_else(null).0;
    let on_error = first.or_else(|| clauses.on("ERROR", &WORDS)).unwrap_or_else(null).0;
    let wrapper = if clauses.take(&["WITHOUT", "ARRAY", "WRAPPER"]) || clauses.take(&["WITHOUT", "WRAPPER"]) {
        "WITHOUT"
    } else if clauses.take(&["WITH", "CONDITIONAL", "WRAPPER"])
        || clauses.take(&["WITH", "CONDITIONAL", "ARRAY", "WRAPPER"])
    {
        "CONDITIONAL"
    } else if clauses.take(&["WITH", "UNCONDITIONAL", "WRAPPER"])
        || clauses.take(&["WITH", "UNCONDITIONAL", "ARRAY", "WRAPPER"])
        || clauses.take(&["WITH", "WRAPPER"])
        || clauses.take(&["WITH", "ARRAY", "WRAPPER"])
    {
        "UNCONDITIONAL"
    } else {
        "WITHOUT"
    };
    let returned: String = clauses
        .take_from("RETURNING")
        .unwrap_or_default()
        .iter()
        .map(|token| token.token.to_string().to_uppercase())
        .collect();
    let name = match returned.as_str() {
        "" | "STRING" | "VARCHAR" => "__json_query",
        "ARRAY<STRING>" | "ARRAY<VARCHAR>" if on_empty != "EMPTY OBJECT" && on_error != "EMPTY OBJECT" => {
            "__json_query_array"
        }
        "ARRAY<STRING>" | "ARRAY<VARCHAR>" => {
            return Err((
                at.clone(),
                "JSON_QUERY returns an array here, and EMPTY OBJECT is none".to_owned(),
            ));
        }
        other => {
            return Err((at.clone(), format!("JSON_QUERY returns STRING or ARRAY<STRING>, not {other}")));
        }
    };
    let mut call = Writer::new(at, name);
    call.tokens(clauses.two("JSON_QUERY")?)?;
    for word in [wrapper, &on_empty, &on_error] {
        call.text(word);
    }
    Ok(call.end())
}

fn construct(name: &str, at: &TokenWithSpan, inner: &[TokenWithSpan]) -> Answer<Tokens> {
    let is_object = name == "JSON_OBJECT";
    let mut clauses = Clauses { at, rest: inner };
    let on_null = if clauses.take(&["ABSENT", "ON", "NULL"]) {
        "ABSENT"
    } else if clauses.take(&["NULL", "ON", "NULL"]) || is_object {
        "NULL"
    } else {
        "ABSENT"
    };
    let mut call = Writer::new(at, if is_object { "__json_object" } else { "__json_array" });
    call.text(on_null);
    for part in split(clauses.rest) {
        let value = if is_object { key(&mut call, part)? } else { part };
        match json(value) {
            Some(Json::Call) => call.text("JSON"),
            Some(Json::Wrapped(inner)) => {
                call.text("JSON");
                call.tokens(inner)?;
                continue;
            }
            None => call.text("VALUE"),
        }
        call.tokens(value)?;
    }
    Ok(call.end())
}

/// Writes the key of `[KEY] key VALUE value` or `key : value`, and gives the value.
fn key<'a>(call: &mut Writer<'_>, part: &'a [TokenWithSpan]) -> Answer<&'a [TokenWithSpan]> {
    let form = "JSON_OBJECT takes KEY 'key' VALUE value, with a literal text as the key";
    let rest = match part {
        [first, rest @ ..] if is_word(&first.token, "KEY") => rest,
        rest => rest,
    };
    match rest {
        [key @ TokenWithSpan { token: Token::SingleQuotedString(_), .. }, word, value @ ..]
            if !value.is_empty() && (is_word(&word.token, "VALUE") || word.token == Token::Colon) =>
        {
            call.tokens(std::slice::from_ref(key))?;
            Ok(value)
        }
        _ => Err((part.first().unwrap_or(call.at).clone(), form.to_owned())),
    }
}

/// A value that is JSON already.
enum Json<'a> {
    /// What `JSON_OBJECT` or `JSON_ARRAY` makes.
    Call,
    /// `JSON(text)`.
    Wrapped(&'a [TokenWithSpan]),
}

fn json(value: &[TokenWithSpan]) -> Option<Json<'_>> {
    let [name, open, inner @ .., _] = value else { return None };
    if open.token != Token::LParen || super::tvf::matching(value, 1) != Some(value.len() - 1) {
        return None;
    }
    if is_word(&name.token, "JSON") {
        return (!inner.is_empty()).then_some(Json::Wrapped(inner));
    }
    (is_word(&name.token, "JSON_OBJECT") || is_word(&name.token, "JSON_ARRAY")).then_some(Json::Call)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::tokens::statements;

    fn rewritten(text: &str) -> String {
        let tokens =
            all(&statements(text).unwrap().remove(0)).unwrap_or_else(|(_, message)| panic!("{message}"));
        tokens.iter().map(|t| t.token.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn clauses_become_arguments() {
        insta::assert_snapshot!(
            rewritten("JSON_VALUE(j, '$.a' RETURNING INTEGER NULL ON EMPTY DEFAULT 42 ON ERROR)"),
            @r#""__json_value_integer" ( j , '$.a' , 'NULL' , NULL , 'DEFAULT' , CAST ( 42 AS VARCHAR ) )"#
        );
        insta::assert_snapshot!(
            rewritten("JSON_QUERY(f(j, 1), '$' WITH CONDITIONAL WRAPPER EMPTY ARRAY ON EMPTY)"),
            @r#""__json_query" ( f ( j , 1 ) , '$' , 'CONDITIONAL' , 'EMPTY ARRAY' , 'NULL' )"#
        );
        insta::assert_snapshot!(
            rewritten("JSON_OBJECT(KEY 'a' VALUE JSON(x), 'b' VALUE JSON_ARRAY(1) ABSENT ON NULL)"),
            @r#""__json_object" ( 'ABSENT' , 'a' , 'JSON' , x , 'b' , 'JSON' , "__json_array" ( 'ABSENT' , 'VALUE' , 1 ) )"#
        );
        insta::assert_snapshot!(rewritten("a IS NOT JSON ARRAY AND b IS JSON"), @"a IS NOT NFKC NORMALIZED AND b IS NFC NORMALIZED");
    }
}
