//! A line to its fields.

use std::ops::Range;

use crate::{error::StreamError, options::Options};

/// A field: where it is in the text that the record was unquoted to.
pub(super) type Part = Range<usize>;

/// What separates and quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Syntax {
    delimiter: char,
    quote: Option<char>,
    escape: Option<char>,
}

impl Syntax {
    /// By a table's options.
    pub(super) fn read(options: &Options) -> Result<Self, StreamError> {
        let character = |name: &str| match options.get(name) {
            None => Ok(None),
            Some("\\t") => Ok(Some('\t')),
            Some(text) => {
                let mut chars = text.chars();
                match (chars.next(), chars.next()) {
                    (Some(c), None) if !matches!(c, '\n' | '\r') => Ok(Some(c)),
                    _ => Err(options.bad(name, "one character, or \\t for a tab")),
                }
            }
        };
        let syntax = Syntax {
            delimiter: character("csv.field-delimiter")?.unwrap_or(','),
            quote: character("csv.quote-character")?.or(Some('"')),
            escape: character("csv.escape-character")?,
        };
        let quote = if options.bool_or("csv.disable-quote-character", false)? { None } else { syntax.quote };
        if quote == Some(syntax.delimiter) {
            return Err(options.bad("csv.quote-character", "another character than the delimiter"));
        }
        if syntax.escape.is_some_and(|escape| escape == syntax.delimiter || quote == Some(escape)) {
            return Err(options.bad("csv.escape-character", "another character than delimiter and quote"));
        }
        Ok(Syntax { quote, ..syntax })
    }

    /// Splits a record; the fields are ranges of `text`. A quote within a field that does not begin with one is itself.
    pub(super) fn split(&self, record: &str, parts: &mut Vec<Part>, text: &mut String) -> Result<(), String> {
        parts.clear();
        text.clear();
        let mut chars = record.chars().peekable();
        loop {
            let start = text.len();
            let quote = self.quote.filter(|quote| chars.next_if_eq(quote).is_some());
            // Whether the field has come to its closing quote.
            let mut is_closed = false;
            let more = loop {
                match chars.next() {
                    None if quote.is_some() && !is_closed => {
                        return Err(format!("field {} is not closed by a quote", parts.len() + 1));
                    }
                    None => break false,
                    Some(c) if c == self.delimiter && (quote.is_none() || is_closed) => break true,
                    Some(_) if is_closed => {
                        return Err(format!("field {} goes on behind its closing quote", parts.len() + 1));
                    }
                    Some(c) if Some(c) == self.escape => match chars.next() {
                        Some(escaped) => text.push(escaped),
                        None => return Err("the record ends with an escape character".to_owned()),
                    },
                    Some(c) if Some(c) == quote => match chars.next_if_eq(&c) {
                        Some(c) => text.push(c),
                        None => is_closed = true,
                    },
                    Some('\n' | '\r') if quote.is_none() => {
                        return Err("more than one line in a record".to_owned());
                    }
                    Some(c) => text.push(c),
                }
            };
            parts.push(start..text.len());
            if !more {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn syntax(options: &[(&str, &str)]) -> Result<Syntax, StreamError> {
        let options: BTreeMap<_, _> =
            options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Syntax::read(&Options::new("t", options))
    }

    fn split(syntax: Syntax, record: &str) -> Result<Vec<String>, String> {
        let (mut parts, mut text) = (Vec::new(), String::new());
        syntax.split(record, &mut parts, &mut text)?;
        Ok(parts.into_iter().map(|part| text[part].to_owned()).collect())
    }

    #[test]
    fn fields_plain_quoted_and_escaped() {
        let usual = syntax(&[]).unwrap();
        assert_eq!(split(usual, "a,,b c ").unwrap(), ["a", "", "b c "]);
        assert_eq!(split(usual, "").unwrap(), [""]);
        assert_eq!(split(usual, "a,").unwrap(), ["a", ""]);
        assert_eq!(split(usual, r#""a,""b""",c"#).unwrap(), [r#"a,"b""#, "c"]);
        assert_eq!(split(usual, "\"a\nb\",c").unwrap(), ["a\nb", "c"]);
        assert_eq!(split(usual, r#"6" pipe,x"#).unwrap(), [r#"6" pipe"#, "x"]);
        assert_eq!(split(usual, r#"a,"b"#).unwrap_err(), "field 2 is not closed by a quote");
        assert_eq!(split(usual, r#""a"b,c"#).unwrap_err(), "field 1 goes on behind its closing quote");
        assert_eq!(split(usual, "a\nb").unwrap_err(), "more than one line in a record");
        let tabs =
            syntax(&[("csv.field-delimiter", "\\t"), ("csv.disable-quote-character", "true")]).unwrap();
        assert_eq!(split(tabs, "\"a\tb").unwrap(), ["\"a", "b"]);
        let escaped = syntax(&[("csv.quote-character", "'"), ("csv.escape-character", "\\")]).unwrap();
        assert_eq!(split(escaped, r"'it\'s', a\,b").unwrap(), ["it's", " a,b"]);
        assert!(split(escaped, r"a\").is_err());
    }

    #[test]
    fn characters_are_single_and_differ() {
        for wrong in [
            &[("csv.field-delimiter", ";;")][..],
            &[("csv.field-delimiter", "")],
            &[("csv.quote-character", ",")],
            &[("csv.escape-character", "\"")],
            &[("csv.disable-quote-character", "perhaps")],
        ] {
            assert!(syntax(wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_quoted_comes_back(fields in proptest::collection::vec("[a,\"\n;é ]{0,6}", 1..5)) {
            let quoted: Vec<String> =
                fields.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect();
            prop_assert_eq!(split(syntax(&[]).unwrap(), &quoted.join(",")).unwrap(), fields);
        }
    }
}
