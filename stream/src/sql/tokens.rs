//! The token stream: cutting a script into statements, and turning parser errors into places.

use datafusion::sql::sqlparser::{
    dialect::GenericDialect,
    keywords::Keyword,
    parser::{Parser, ParserError},
    tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer},
};

use diagnostics::{Place, lower_first, parser_message};

use crate::error::SqlError;

/// The dialect of all scripts.
pub(crate) static DIALECT: GenericDialect = GenericDialect {};

/// Cuts `script` into the tokens of its statements: without white space, comments and semicolons. Statements
/// of nothing are left out.
pub(crate) fn statements(script: &str) -> Result<Vec<Vec<TokenWithSpan>>, SqlError> {
    let tokens = Tokenizer::new(&DIALECT, script)
        .tokenize_with_location()
        .map_err(|error| SqlError::at(script, place(error.location), lower_first(&error.message)))?;
    let mut all = Vec::new();
    let mut current = Vec::new();
    for token in tokens {
        match token.token {
            Token::Whitespace(_) | Token::EOF => {}
            Token::SemiColon => {
                if !current.is_empty() {
                    all.push(std::mem::take(&mut current));
                }
            }
            _ => current.push(token),
        }
    }
    if !current.is_empty() {
        all.push(current);
    }
    Ok(all)
}

/// A parser over the tokens of one statement.
pub(crate) fn parser(tokens: Vec<TokenWithSpan>) -> Parser<'static> {
    Parser::new(&DIALECT).with_tokens_with_locations(tokens)
}

/// `(item, item, …)`, one item at least.
pub(crate) fn parenthesised<T>(
    parser: &mut Parser<'_>,
    mut item: impl FnMut(&mut Parser<'_>) -> Result<T, ParserError>,
) -> Result<Vec<T>, ParserError> {
    parser.expect_token(&Token::LParen)?;
    let mut items = vec![item(parser)?];
    while parser.consume_token(&Token::Comma) {
        items.push(item(parser)?);
    }
    parser.expect_token(&Token::RParen)?;
    Ok(items)
}

/// Whether `token` is the unquoted word `word` (given in upper case).
pub(crate) fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}

/// A word token that no keyword rule applies to.
pub(crate) fn identifier(name: &str, span: Span) -> TokenWithSpan {
    TokenWithSpan { token: Token::make_word(name, Some('"')), span }
}

/// A keyword token.
pub(crate) fn keyword(word: &str, span: Span) -> TokenWithSpan {
    TokenWithSpan { token: Token::make_keyword(word), span }
}

/// Where a token starts.
pub(crate) fn place(location: Location) -> Option<Place> {
    Place::known(location.line, location.column)
}

/// Turns a parser error into one with its place: the parser writes it into its message.
pub(crate) fn parser_error(script: &str, error: &ParserError, statement: &[TokenWithSpan]) -> SqlError {
    let (message, found) = parser_message(error);
    // At the end of a statement the parser has no token to point at: point behind the last one.
    let found = found.or_else(|| statement.last().and_then(|token| place(token.span.end)));
    let message =
        message.replace("Expected:", "expected").replace("found: EOF", "found the end of the statement");
    SqlError::at(script, found, lower_first(message.trim()))
}

/// Whether a word token is this keyword.
pub(crate) fn is_keyword(token: &Token, keyword: Keyword) -> bool {
    matches!(token, Token::Word(word) if word.keyword == keyword && word.quote_style.is_none())
}
