//! A record by a full parser: the reference that the fast path must agree with, and the maker of reasons.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use serde_json::value::RawValue;

use super::value::{Cell, Kind, number, string};

/// Parses what the [`Scanner`](super::scan::Scanner) leaves alone.
#[derive(Debug)]
pub struct Fallback {
    fields: Arc<[(String, Kind)]>,
    cells: Vec<Cell>,
    text: String,
}

impl Fallback {
    /// A parser for these fields.
    pub fn new(fields: Arc<[(String, Kind)]>) -> Self {
        Fallback { fields, cells: Vec::new(), text: String::new() }
    }

    /// The fields' values, and the text that their ranges are of; or the reason why there are none.
    pub fn parse(&mut self, record: &str) -> Result<(&[Cell], &str), String> {
        self.cells.clear();
        self.text.clear();
        let object: BTreeMap<Cow<'_, str>, &RawValue> =
            serde_json::from_str(record).map_err(|error| match error {
                _ if record.trim().is_empty() => "the record is empty".to_owned(),
                error if error.is_data() => "not a JSON object".to_owned(),
                error => format!("not valid JSON: {error}"),
            })?;
        for (name, kind) in self.fields.iter() {
            let cell = match object.get(name.as_str()) {
                None => Cell::Null,
                Some(raw) => cell(raw.get(), *kind, &mut self.text).ok_or_else(|| {
                    format!("field '{name}': expected {}, found {}", kind.expected(), shortened(raw.get()))
                })?,
            };
            self.cells.push(cell);
        }
        Ok((&self.cells, &self.text))
    }
}

/// A raw JSON value as a value of `kind`; text goes to the end of `text`.
fn cell(raw: &str, kind: Kind, text: &mut String) -> Option<Cell> {
    let mut keep = |value: &str| {
        let start = text.len();
        text.push_str(value);
        Cell::Text(start, text.len())
    };
    match raw.as_bytes().first()? {
        b'n' => Some(Cell::Null),
        b'"' => {
            let value: Cow<'_, str> = serde_json::from_str::<String>(raw).ok()?.into();
            if kind == Kind::Text { Some(keep(&value)) } else { string(&value, kind) }
        }
        _ if kind == Kind::Text => Some(keep(raw)),
        b't' if kind == Kind::Bool => Some(Cell::Bool(true)),
        b'f' if kind == Kind::Bool => Some(Cell::Bool(false)),
        b'-' | b'0'..=b'9' => number(raw, kind),
        _ => None,
    }
}

fn shortened(raw: &str) -> String {
    const MOST: usize = 60;
    if raw.chars().count() <= MOST {
        return raw.to_owned();
    }
    raw.chars().take(MOST).chain("…".chars()).collect()
}
