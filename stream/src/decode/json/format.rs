//! `'format' = 'json'`.

use super::JsonDecoder;
use crate::{
    decode::{Decoder, Format, plan::DecodePlan},
    error::StreamError,
    table::TableDef,
};

/// Makes [`JsonDecoder`]s.
///
/// | option | meaning |
/// |---|---|
/// | `json.timestamp-format.standard` | Flink needs to be told the form of times; here both forms are read as they come |
/// | `json.ignore-parse-errors` | either way a record that cannot be read is set aside and ends nothing |
/// | `json.fail-on-missing-field` | `false`: a field that is missing is NULL |
#[derive(Debug)]
pub(crate) struct JsonFormat;

impl Format for JsonFormat {
    fn decoder(&self, table: &TableDef, plan: DecodePlan) -> Result<Box<dyn Decoder>, StreamError> {
        let options = &table.options;
        options.get("json.timestamp-format.standard");
        options.bool_or("json.ignore-parse-errors", true)?;
        if options.bool_or("json.fail-on-missing-field", false)? {
            return Err(options.bad("json.fail-on-missing-field", "'false': a field that is missing is NULL"));
        }
        Ok(Box::new(JsonDecoder::new(&table.name, plan)?))
    }
}
