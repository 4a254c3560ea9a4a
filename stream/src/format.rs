//! Formats: what the bytes of a record mean, `'format' = '…'`.
//!
//! A [`Format`] makes a [`Decoder`](crate::decode::Decoder) for a table. The built-in ones are in [`decode`](crate::decode),
//! a file or a folder each, and stand in the list of [`FormatRegistry::default`].

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    decode::{Format, csv::CsvFormat, json::format::JsonFormat, raw::RawFormat},
    error::StreamError,
    table::TableDef,
};

/// The formats that a table may name.
#[derive(Clone)]
pub struct FormatRegistry {
    formats: BTreeMap<&'static str, Arc<dyn Format>>,
}

impl Default for FormatRegistry {
    fn default() -> Self {
        let mut registry = FormatRegistry { formats: BTreeMap::new() };
        registry.register("csv", Arc::new(CsvFormat));
        registry.register("json", Arc::new(JsonFormat));
        registry.register("raw", Arc::new(RawFormat));
        registry
    }
}

impl FormatRegistry {
    /// Adds a format.
    pub fn register(&mut self, name: &'static str, format: Arc<dyn Format>) {
        self.formats.insert(name, format);
    }

    /// The format of a table; JSON where it names none.
    pub fn of(&self, table: &TableDef) -> Result<&Arc<dyn Format>, StreamError> {
        let name = table.options.get("format").unwrap_or("json");
        self.formats.get(name).ok_or_else(|| {
            let known = self.formats.keys().copied().collect::<Vec<_>>().join("', '");
            table.options.bad("format", &format!("a known format; these are: '{known}'"))
        })
    }
}
