//! Parts of the grammar that several statements have.

use datafusion::sql::sqlparser::{
    ast::Query,
    parser::{Parser, ParserError},
    tokenizer::{Span, Token},
};

use super::dialect;

/// An error with its place, in the parser's form.
pub(crate) fn failed<T>(message: &str, span: Span) -> Result<T, ParserError> {
    let (line, column) = (span.start.line, span.start.column);
    Err(ParserError::ParserError(format!("{message} at Line: {line}, Column: {column}")))
}

/// `'name' = 'value'`, or `name = value` with a dotted name and a number or a word: an option of a table, or a
/// setting of the script.
pub(crate) fn name_value(parser: &mut Parser<'_>) -> Result<(String, String), ParserError> {
    let token = parser.next_token();
    let name = match token.token {
        Token::SingleQuotedString(name) => name,
        Token::Word(word) => {
            let mut name = word.value;
            while parser.consume_token(&Token::Period) {
                name = format!("{name}.{}", parser.parse_identifier()?.value);
            }
            name
        }
        _ => return parser.expected("a name in quotes", token),
    };
    parser.expect_token(&Token::Eq)?;
    let token = parser.next_token();
    let value = match token.token {
        Token::SingleQuotedString(value) | Token::Number(value, _) => value,
        Token::Word(word) if word.quote_style.is_none() => word.value.to_lowercase(),
        _ => return parser.expected("a value in quotes", token),
    };
    Ok((name.to_lowercase(), value))
}

/// An identifier as written, and its place: names keep their case, as in Flink.
pub(crate) fn identifier(parser: &mut Parser<'_>) -> Result<(String, Span), ParserError> {
    let token = parser.next_token();
    match &token.token {
        // As it is written: names keep their case, as in Flink, and a field of a record is matched by it.
        Token::Word(word) => Ok((word.value.clone(), token.span)),
        _ => parser.expected("a name", token),
    }
}

/// A query in Flink's meaning.
pub(crate) fn query(parser: &mut Parser<'_>) -> Result<Box<Query>, ParserError> {
    let mut query = parser.parse_query()?;
    dialect::translate(query.as_mut())?;
    Ok(query)
}

/// Nothing may follow.
pub(crate) fn end(parser: &Parser<'_>, statement: &str) -> Result<(), ParserError> {
    if parser.peek_token().token == Token::EOF {
        return Ok(());
    }
    parser.expected(&format!("the end of {statement} (is a semicolon missing?)"), parser.peek_token())
}
