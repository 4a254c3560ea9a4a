//! Group keys as bytes, and back.
//!
//! A single text column is its own bytes; anything else goes through Arrow's row format. NULL is a key of its
//! own.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, BinaryBuilder, StringArray},
    datatypes::{DataType, Schema},
    row::{RowConverter, Rows, SortField},
};

use crate::error::StreamError;

/// Turns key columns into bytes and back.
pub enum KeyCodec {
    /// No key: all rows belong together.
    None,
    /// One text column.
    Text,
    /// Any other columns.
    Rows(RowConverter),
}

/// The keys of a batch.
pub enum Keys {
    /// No key.
    None,
    /// Texts.
    Text(StringArray),
    /// Rows.
    Rows(Rows),
}

impl KeyCodec {
    /// For key columns of this schema.
    pub fn new(keys: &Schema) -> Result<Self, StreamError> {
        let types: Vec<&DataType> = keys.fields().iter().map(|field| field.data_type()).collect();
        Ok(match types.as_slice() {
            [] => KeyCodec::None,
            [DataType::Utf8] => KeyCodec::Text,
            types => KeyCodec::Rows(RowConverter::new(
                types.iter().map(|data_type| SortField::new((*data_type).clone())).collect(),
            )?),
        })
    }

    /// Key columns as bytes.
    pub fn encode(&self, columns: &[ArrayRef]) -> Result<Keys, StreamError> {
        Ok(match self {
            KeyCodec::None => Keys::None,
            KeyCodec::Text => Keys::Text(columns[0].as_string::<i32>().clone()),
            KeyCodec::Rows(converter) => Keys::Rows(converter.convert_columns(columns)?),
        })
    }

    /// Bytes as key columns.
    pub fn decode<'a>(
        &self,
        keys: impl ExactSizeIterator<Item = Option<&'a [u8]>>,
    ) -> Result<Vec<ArrayRef>, StreamError> {
        match self {
            KeyCodec::None => Ok(Vec::new()),
            KeyCodec::Text => {
                // As bytes first: whether they are text is asked once for all of them.
                let mut texts = BinaryBuilder::with_capacity(keys.len(), keys.len() * 32);
                keys.for_each(|key| texts.append_option(key));
                let texts = StringArray::try_from_binary(texts.finish());
                Ok(vec![Arc::new(texts.map_err(|_| StreamError::internal("a text key is not text"))?)])
            }
            KeyCodec::Rows(converter) => {
                let parser = converter.parser();
                Ok(converter.convert_rows(keys.map(|key| parser.parse(key.unwrap_or_default())))?)
            }
        }
    }
}

impl Keys {
    /// The key of a row.
    pub fn get(&self, row: usize) -> Option<&[u8]> {
        match self {
            Keys::None => Some(&[]),
            Keys::Text(texts) => texts.is_valid(row).then(|| texts.value(row).as_bytes()),
            Keys::Rows(rows) => Some(rows.row(row).data()),
        }
    }
}
