//! `CREATE TABLE … LIKE table (INCLUDING …, EXCLUDING …, OVERWRITING …)`: what is taken over from another table.
//!
//! As in Flink: the other table's columns always are; what else depends on the words behind its name. Nothing said is
//! `INCLUDING ALL OVERWRITING OPTIONS`.

use datafusion::sql::sqlparser::{
    parser::{Parser, ParserError},
    tokenizer::{Span, Token},
};

use crate::sql::{
    grammar::{failed, identifier},
    tokens::is_word,
};

/// What becomes of something that both tables have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Merging {
    /// Taken over; an error where the new table has its own.
    Including,
    /// Not taken over.
    Excluding,
    /// Taken over, unless the new table has its own.
    Overwriting,
}

/// The table that a new one is like.
#[derive(Clone, Debug)]
pub(crate) struct Like {
    /// Its name.
    pub(crate) table: String,
    /// Where that stands.
    pub(crate) span: Span,
    /// The primary key.
    pub(crate) constraints: Merging,
    /// Computed columns.
    pub(crate) generated: Merging,
    /// Metadata columns.
    pub(crate) metadata: Merging,
    /// The options of `WITH`.
    pub(crate) options: Merging,
    /// The watermark.
    pub(crate) watermarks: Merging,
}

/// What Flink has besides, and a table here never has.
const ABSENT: [&str; 2] = ["PARTITIONS", "DISTRIBUTION"];

/// Parses what stands behind `LIKE`.
pub(super) fn parse(parser: &mut Parser<'_>) -> Result<Like, ParserError> {
    let (table, span) = identifier(parser)?;
    let mut said: Vec<(Merging, String)> = Vec::new();
    if parser.consume_token(&Token::LParen) {
        while !parser.consume_token(&Token::RParen) {
            let (merging, feature) = option(parser, &said)?;
            said.push((merging, feature));
            let _optional = parser.consume_token(&Token::Comma);
        }
    }
    let of = |feature: &str| said.iter().find(|(_, said)| said == feature).map(|(merging, _)| *merging);
    let all = of("ALL");
    let merging = |feature: &str, default| of(feature).or(all).unwrap_or(default);
    Ok(Like {
        table,
        span,
        constraints: merging("CONSTRAINTS", Merging::Including),
        generated: merging("GENERATED", Merging::Including),
        metadata: merging("METADATA", Merging::Including),
        options: merging("OPTIONS", Merging::Overwriting),
        watermarks: merging("WATERMARKS", Merging::Including),
    })
}

/// `INCLUDING OPTIONS` and its kind.
fn option(parser: &mut Parser<'_>, said: &[(Merging, String)]) -> Result<(Merging, String), ParserError> {
    let token = parser.next_token();
    let merging = match &token.token {
        word if is_word(word, "INCLUDING") => Merging::Including,
        word if is_word(word, "EXCLUDING") => Merging::Excluding,
        word if is_word(word, "OVERWRITING") => Merging::Overwriting,
        _ => return parser.expected("INCLUDING, EXCLUDING or OVERWRITING", token),
    };
    let (feature, span) = identifier(parser)?;
    let feature = feature.to_uppercase();
    let is_known = matches!(
        feature.as_str(),
        "ALL" | "CONSTRAINTS" | "GENERATED" | "METADATA" | "OPTIONS" | "WATERMARKS"
    );
    if !is_known && !ABSENT.contains(&feature.as_str()) {
        let known = "ALL, CONSTRAINTS, GENERATED, METADATA, OPTIONS and WATERMARKS";
        return failed(&format!("there is no '{feature}' of a table: there are {known}"), span);
    }
    if said.iter().any(|(_, known)| *known == feature) {
        return failed(&format!("{feature} is named twice"), span);
    }
    if merging == Merging::Overwriting && matches!(feature.as_str(), "ALL" | "CONSTRAINTS" | "PARTITIONS") {
        return failed(&format!("{feature} can be INCLUDING or EXCLUDING, not OVERWRITING"), span);
    }
    Ok((merging, feature))
}
