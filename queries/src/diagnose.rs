//! What DataFusion says is wrong with a statement, for the person who wrote it.
//!
//! The place comes from DataFusion's diagnostics or the parser's message, else from looking for
//! the quoted name in the statement.

use arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::common::utils::datafusion_strsim::levenshtein;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use diagnostics::{Place, lower_first, parser_message};

use crate::error::Error;
use crate::script::Statement;
use crate::statement_error::{Excerpt, StatementError};

/// Names are listed in a hint up to this many.
const MAX_LISTED: usize = 40;

/// Names that exist, to compare a wrong one with.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) tables: Vec<String>,
    pub(crate) functions: Vec<String>,
}

impl StatementError {
    /// A statement that is not allowed here.
    pub(crate) fn refused(statement: &Statement<'_>, message: String, hint: &str) -> Self {
        Self { message, excerpt: Some(first_word(statement)), hints: vec![hint.to_owned()], user: true }
    }

    /// Explains a DataFusion error.
    pub(crate) fn explain(error: &DataFusionError, statement: &Statement<'_>, names: &Names) -> Self {
        let mut explained = explain_cause(error, statement, names);
        if let Some(diagnostic) = error.diagnostic() {
            if let Some(span) = diagnostic.span
                && let Some(place) = Place::known(span.start.line, span.start.column)
            {
                let width = if span.end.line == span.start.line {
                    span.end.column.saturating_sub(span.start.column)
                } else {
                    1
                };
                explained.excerpt = Some(excerpt(statement, place, width));
            }
            explained.hints.extend(diagnostic.helps.iter().map(|help| sentence(&help.message)));
            // DataFusion's own sentence here lists every aggregate of the statement.
            if explained.message.starts_with("column in ") {
                explained.message = sentence(&diagnostic.message);
            }
        }
        // At least say which statement it was.
        explained.excerpt.get_or_insert_with(|| first_word(statement));
        explained
    }
}

fn explain_cause(error: &DataFusionError, statement: &Statement<'_>, names: &Names) -> StatementError {
    let mut explained =
        StatementError { message: String::new(), excerpt: None, hints: Vec::new(), user: true };
    match error.find_root() {
        DataFusionError::SQL(parser, _) => explain_syntax(parser, statement, &mut explained),
        DataFusionError::SchemaError(schema, _) => explain_schema(schema, statement, &mut explained),
        DataFusionError::Plan(message) => explain_plan(message, statement, names, &mut explained),
        DataFusionError::External(external) => explain_external(external.as_ref(), statement, &mut explained),
        DataFusionError::NotImplemented(message) => {
            explained.message = format!("not supported: {}", sentence(message));
        }
        DataFusionError::ArrowError(arrow, _) => explain_arrow(arrow, statement, &mut explained),
        DataFusionError::Execution(message) | DataFusionError::Configuration(message) => {
            explained.message = sentence(message);
        }
        DataFusionError::ResourcesExhausted(message) => {
            explained.message = format!("not enough memory: {}", sentence(message));
            explained.hints.push("read less: filter on window_start, or aggregate before joining".to_owned());
            explained.user = false;
        }
        other => {
            explained.message = sentence(&other.strip_backtrace());
            explained.user = false;
        }
    }
    explained
}

/// What is no SQL.
fn explain_syntax(error: &ParserError, statement: &Statement<'_>, explained: &mut StatementError) {
    let (message, at) = parser_message(error);
    explained.message = sentence(message);
    explained.excerpt = at.map(|at| {
        let word = words(statement).into_iter().find(|word| word.place == at);
        excerpt(statement, at, word.map_or(1, |word| word.width))
    });
    explained.hints.extend(keyword_hint(&explained.message, statement, at));
}

/// What a table of the lake says.
fn explain_external(
    error: &(dyn std::error::Error + 'static),
    statement: &Statement<'_>,
    explained: &mut StatementError,
) {
    match error.downcast_ref::<Error>() {
        Some(Error::OpenTable { table, reason, remedy }) => {
            explained.message = format!("table {table:?} cannot be read: {reason}");
            let name = table.rsplit('.').next().unwrap_or(table);
            explained.excerpt = find_word(statement, name);
            explained.hints.push(remedy.clone());
            explained.hints.push("other tables can still be queried".to_owned());
            explained.user = false;
        }
        Some(other) => {
            explained.message = other.to_string();
            explained.user = other.is_user_error();
        }
        None => {
            explained.message = sentence(&error.to_string());
            explained.user = false;
        }
    }
}

/// Casts, divisions, overflows and such: the statement met data that it cannot compute.
fn explain_arrow(error: &ArrowError, statement: &Statement<'_>, explained: &mut StatementError) {
    explained.message = sentence(&error.to_string());
    explained.excerpt = quoted(&explained.message).and_then(|value| find_word(statement, value));
    explained.hints.extend(match error {
        ArrowError::DivideByZero => Some("x / NULLIF(y, 0) gives NULL instead".to_owned()),
        ArrowError::CastError(_) | ArrowError::ParseError(_) => {
            Some("TRY_CAST(x AS type) gives NULL instead".to_owned())
        }
        _ => None,
    });
}

fn explain_schema(error: &SchemaError, statement: &Statement<'_>, explained: &mut StatementError) {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let name = field.name();
            explained.excerpt = find_word(statement, name);
            let columns: Vec<String> = valid_fields.iter().map(|column| column.name().to_owned()).collect();
            // Unquoted names are folded to lower case, so the column may exist with capitals.
            if let Some(column) = columns
                .iter()
                .find(|column| column.as_str() != name && column.to_lowercase() == name.to_lowercase())
            {
                explained.hints.push(format!("names with capitals need double quotes: \"{column}\""));
            } else {
                explained.hints.extend(did_you_mean(name, &columns));
            }
            match &field.relation {
                Some(relation) => {
                    let relation = relation.table();
                    explained.message = format!("column {name:?} does not exist in {relation:?}");
                    let own: Vec<_> = valid_fields
                        .iter()
                        .filter(|column| column.relation.as_ref().is_some_and(|r| r.table() == relation))
                        .map(|column| column.name().to_owned())
                        .collect();
                    if own.is_empty() {
                        explained.hints.extend(list("columns", columns));
                    } else {
                        explained.hints.extend(list(&format!("columns of {relation}"), own));
                    }
                }
                None => {
                    explained.message = format!("column {name:?} does not exist");
                    explained.hints.extend(list("columns", columns));
                }
            }
        }
        SchemaError::AmbiguousReference { field } => {
            explained.message = format!("column {:?} is in more than one table", field.name());
            explained.excerpt = find_word(statement, field.name());
            explained.hints.push(format!("write table.{} with the table's name or alias", field.name()));
        }
        other => {
            explained.message = sentence(&other.to_string());
            explained.hints.push("give one of them another name with AS".to_owned());
        }
    }
}

fn explain_plan(message: &str, statement: &Statement<'_>, names: &Names, explained: &mut StatementError) {
    let first = message.lines().next().unwrap_or_default();
    if let Some(name) = quoted(first).filter(|_| first.starts_with("table '") && first.ends_with("not found"))
    {
        // DataFusion writes the full name: catalogue.schema.table.
        let wrong = name.strip_prefix("lake.").unwrap_or(name);
        let wrong = wrong.strip_prefix("public.").unwrap_or(wrong);
        explained.message = format!("table {wrong:?} does not exist");
        explained.excerpt = find_word(statement, wrong.rsplit('.').next().unwrap_or(wrong));
        explained.hints.extend(did_you_mean(wrong, &names.tables));
        explained.hints.push(if names.tables.is_empty() {
            "the lake has no tables yet; fill it with `plamatio demo` or `plamatio run`".to_owned()
        } else {
            list("tables", names.tables.clone()).unwrap_or_default()
        });
        return;
    }
    if let Some(name) = quoted(first).filter(|_| first.starts_with("Invalid function")) {
        explained.message = format!("function {name:?} does not exist");
        explained.excerpt = find_word(statement, name);
        explained.hints.extend(did_you_mean(name, &names.functions));
        explained.hints.push("SHOW FUNCTIONS lists them with their arguments".to_owned());
        return;
    }
    explained.message = sentence(first);
    explained.excerpt = quoted(first).and_then(|name| find_word(statement, name));
    explained.hints.extend(message.lines().skip(1).map(sentence).filter(|line| !line.is_empty()));
}

/// For a parser error: the keyword that was meant. The parser often stumbles one word after the
/// misspelled one (`FORM` is read as an alias), so the word before is looked at as well.
fn keyword_hint(message: &str, statement: &Statement<'_>, at: Option<Place>) -> Option<String> {
    const STARTS: [&str; 7] = ["SELECT", "WITH", "SHOW", "DESCRIBE", "EXPLAIN", "VALUES", "SET"];
    const KEYWORDS: [&str; 13] = [
        "FROM", "WHERE", "GROUP", "ORDER", "BY", "HAVING", "LIMIT", "JOIN", "UNION", "ON", "AS", "AND",
        "OVER",
    ];
    let at = at?;
    let words = words(statement);
    let found = words.iter().position(|word| word.place == at)?;
    if ["GROUP", "ORDER"].contains(&words[found].text.to_uppercase().as_str()) {
        return Some(format!("write {} BY", words[found].text.to_uppercase()));
    }
    let known: &[&str] = if message.contains("SQL statement") { &STARTS } else { &KEYWORDS };
    let known: Vec<_> = known.iter().map(|keyword| (*keyword).to_owned()).collect();
    [Some(found), found.checked_sub(1)].into_iter().flatten().map(|at| &words[at].text).find_map(|word| {
        let meant = closest(word, &known).filter(|meant| !meant.eq_ignore_ascii_case(word))?;
        Some(format!("{word}: did you mean {meant}?"))
    })
}

/// Lower case at the start (unless the first word is all capitals), no final stop.
fn sentence(text: &str) -> String {
    let text = text.trim();
    let prefixes = ["Error during planning: ", "Execution error: ", "sql parser error: ", "Internal error: "];
    let text = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
    lower_first(text.trim_end_matches('.'))
}

fn quoted(text: &str) -> Option<&str> {
    let rest = &text[text.find('\'')? + 1..];
    rest.split('\'').next().filter(|name| !name.is_empty())
}

fn did_you_mean(wrong: &str, known: &[String]) -> Option<String> {
    closest(wrong, known).map(|name| format!("did you mean {name:?}?"))
}

/// The nearest name within about a third of the length, or one that continues `wrong`.
fn closest<'a>(wrong: &str, known: &'a [String]) -> Option<&'a String> {
    let wrong = wrong.to_lowercase();
    let limit = (wrong.chars().count() / 3).max(1);
    let near = known
        .iter()
        .map(|name| (distance(&wrong, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, name)| (*distance, name.len()));
    near.map(|(_, name)| name).or_else(|| {
        let long_enough = wrong.chars().count() >= 3;
        known
            .iter()
            .find(|name| long_enough && name.to_lowercase().split(['_', '.']).any(|part| part == wrong))
    })
}

/// Edit distance, where letters in another order (`FORM`) count as one edit.
fn distance(a: &str, b: &str) -> usize {
    let sorted = |text: &str| {
        let mut letters: Vec<_> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    match levenshtein(a, b) {
        2.. if sorted(a) == sorted(b) => 1,
        distance => distance,
    }
}

fn list(what: &str, mut names: Vec<String>) -> Option<String> {
    names.dedup();
    if names.is_empty() {
        return None;
    }
    let more = names.len().saturating_sub(MAX_LISTED);
    names.truncate(MAX_LISTED);
    let tail = if more > 0 { format!(", and {more} more") } else { String::new() };
    Some(format!("{what}: {}{tail}", names.join(", ")))
}

/// A word or string of the statement.
struct Word {
    text: String,
    place: Place,
    width: u64,
}

fn words(statement: &Statement<'_>) -> Vec<Word> {
    let mut tokens = Vec::new();
    // A tokenizer error leaves the tokens before it, which is all that is needed.
    if Tokenizer::new(&GenericDialect {}, statement.text)
        .tokenize_with_location_into_buf(&mut tokens)
        .is_err()
    {
        tracing::trace!("statement is not fully tokenized");
    }
    let words = tokens.into_iter().filter_map(|token| {
        let text = match token.token {
            Token::Word(word) => word.value,
            Token::SingleQuotedString(text) => text,
            _ => return None,
        };
        let (start, end) = (token.span.start, token.span.end);
        let place = Place::known(start.line, start.column)?;
        Some(Word { text, place, width: end.column.saturating_sub(start.column) })
    });
    words.collect()
}

/// The place of a name or string in the statement, when it is there.
fn find_word(statement: &Statement<'_>, name: &str) -> Option<Excerpt> {
    let word = words(statement).into_iter().find(|word| word.text.eq_ignore_ascii_case(name))?;
    Some(excerpt(statement, word.place, word.width))
}

/// The statement's first word, which says what it is.
fn first_word(statement: &Statement<'_>) -> Excerpt {
    let width = statement.text.chars().take_while(|c| c.is_alphanumeric()).count() as u64;
    excerpt(statement, Place { line: 1, column: 1 }, width)
}

/// A place in the script, from one in the statement.
fn excerpt(statement: &Statement<'_>, Place { line, column }: Place, width: u64) -> Excerpt {
    let text = Place { line, column }.line_in(statement.text).unwrap_or_default();
    // The statement's first line is shown where it stands in the script.
    let shift = if line <= 1 { statement.column.saturating_sub(1) } else { 0 };
    let indent = " ".repeat(usize::try_from(shift).unwrap_or(0));
    Excerpt {
        place: Place { line: statement.line + line.saturating_sub(1), column: column + shift },
        width: width.max(1),
        source: format!("{indent}{text}"),
    }
}
