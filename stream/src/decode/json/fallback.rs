//! A record by a full parser: the reference that the fast path must agree with, and the maker of reasons.

use std::{borrow::Cow, collections::BTreeMap, fmt, sync::Arc};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    shape::Shape,
    value::{self, Cell, Kind, number, string},
};

/// A value, and what is inside of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Parsed {
    /// A plain one, or NULL.
    Cell(Cell),
    /// An object's members, in the order of the type.
    Row(Vec<Parsed>),
    /// An array's elements.
    List(Vec<Parsed>),
    /// An object's keys and values, as they came.
    Map(Vec<(Cell, Parsed)>),
}

/// Parses what the [`Scanner`](super::scan::Scanner) leaves alone.
#[derive(Debug)]
pub(crate) struct Fallback {
    fields: Arc<[(String, Shape)]>,
    values: Vec<Parsed>,
    text: String,
}

impl Fallback {
    /// A parser for these fields.
    pub(crate) fn new(fields: Arc<[(String, Shape)]>) -> Self {
        Fallback { fields, values: Vec::new(), text: String::new() }
    }

    /// The fields' values, and the text that their ranges are of; or the reason why there are none.
    pub(crate) fn parse(&mut self, record: &str) -> Result<(&[Parsed], &str), String> {
        self.values.clear();
        self.text.clear();
        let object: BTreeMap<Cow<'_, str>, &RawValue> =
            serde_json::from_str(record).map_err(|error| match error {
                _ if record.trim().is_empty() => "the record is empty".to_owned(),
                error if error.is_data() => "not a JSON object".to_owned(),
                error => format!("not valid JSON: {error}"),
            })?;
        for (name, shape) in self.fields.iter() {
            let value = match object.get(name.as_str()) {
                None => Parsed::Cell(Cell::Null),
                Some(raw) => nested(raw.get(), shape, &mut self.text)
                    .map_err(|wrong| format!("field '{name}{}': {}", wrong.path, wrong.problem))?,
            };
            self.values.push(value);
        }
        Ok((&self.values, &self.text))
    }
}

/// Why a value does not fit.
struct Wrong {
    /// Where it is inside of the field, such as `[2].price`.
    path: String,
    problem: String,
}

impl Wrong {
    fn inside(self, step: &str) -> Self {
        Wrong { path: format!("{step}{}", self.path), ..self }
    }
}

/// A raw JSON value as a value of `shape`; text goes to the end of `text`.
fn nested(raw: &str, shape: &Shape, text: &mut String) -> Result<Parsed, Wrong> {
    let wrong = |problem: String| Wrong { path: String::new(), problem };
    let invalid = |error: serde_json::Error| wrong(format!("not valid JSON: {error}"));
    match (shape, raw.as_bytes().first()) {
        (_, Some(b'n')) => Ok(Parsed::Cell(Cell::Null)),
        (Shape::Row(members), Some(b'{')) => {
            let object: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(raw).map_err(invalid)?;
            let mut values = Vec::with_capacity(members.len());
            for (name, shape) in members.iter() {
                values.push(match object.get(name.as_str()) {
                    None => Parsed::Cell(Cell::Null),
                    Some(raw) => {
                        nested(raw.get(), shape, text).map_err(|wrong| wrong.inside(&format!(".{name}")))?
                    }
                });
            }
            Ok(Parsed::Row(values))
        }
        (Shape::List(shape), Some(b'[')) => {
            let elements: Vec<&RawValue> = serde_json::from_str(raw).map_err(invalid)?;
            let mut values = Vec::with_capacity(elements.len());
            for (index, raw) in elements.into_iter().enumerate() {
                let value = nested(raw.get(), shape, text);
                values.push(value.map_err(|wrong| wrong.inside(&format!("[{}]", index + 1)))?);
            }
            Ok(Parsed::List(values))
        }
        (Shape::Map(shape), Some(b'{')) => {
            let Entries(entries) = serde_json::from_str(raw).map_err(invalid)?;
            let mut values = Vec::with_capacity(entries.len());
            for (key, raw) in entries {
                let value = nested(raw.get(), shape, text);
                let value = value.map_err(|wrong| wrong.inside(&format!("['{key}']")))?;
                values.push((keep(&key, text), value));
            }
            Ok(Parsed::Map(values))
        }
        (Shape::Plain(kind), _) if let Some(cell) = cell(raw, *kind, text) => Ok(Parsed::Cell(cell)),
        _ => Err(wrong(format!("expected {}, found {}", shape.expected(), shortened(raw)))),
    }
}

/// The members of an object in the order in which their keys first came, each with its last value.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut entries, mut places) = (Self::Value::new(), BTreeMap::new());
                while let Some((key, value)) = map.next_entry::<String, &'de RawValue>()? {
                    let place = *places.entry(key.clone()).or_insert(entries.len());
                    match entries.get_mut(place) {
                        Some((_, known)) => *known = value,
                        None => entries.push((key, value)),
                    }
                }
                Ok(entries)
            }
        }
        deserializer.deserialize_map(InOrder).map(Entries)
    }
}

fn keep(value: &str, text: &mut String) -> Cell {
    let start = text.len();
    text.push_str(value);
    Cell::Text(start, text.len())
}

/// A raw JSON value as a value of `kind`.
fn cell(raw: &str, kind: Kind, text: &mut String) -> Option<Cell> {
    match raw.as_bytes().first()? {
        _ if kind == Kind::Json => Some(keep(raw, text)),
        b'"' => {
            let value = serde_json::from_str::<String>(raw).ok()?;
            match kind {
                Kind::Text => Some(keep(&value, text)),
                Kind::Bytes => value::bytes(&value).map(|_| keep(&value, text)),
                kind => string(&value, kind),
            }
        }
        _ if kind == Kind::Text => Some(keep(raw, text)),
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
