//! What a field wants of a JSON value, and what of the values inside of it.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};

use super::value::Kind;
use crate::table::JSON_METADATA;

/// The shape of a field's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One value.
    Plain(Kind),
    /// An object of known members.
    Row(Arc<[(String, Shape)]>),
    /// An array.
    List(Arc<Shape>),
    /// An object of any members, all of one shape.
    Map(Arc<Shape>),
}

impl Shape {
    /// The shape of a column, if JSON has one.
    pub(crate) fn of(field: &Field) -> Option<Self> {
        Some(match field.data_type() {
            DataType::Utf8 if field.metadata().contains_key(JSON_METADATA) => Shape::Plain(Kind::Json),
            DataType::Struct(fields) => {
                let members = fields.iter().map(|field| Some((field.name().clone(), Shape::of(field)?)));
                Shape::Row(members.collect::<Option<_>>()?)
            }
            DataType::List(item) => Shape::List(Arc::new(Shape::of(item)?)),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) => match fields.as_ref() {
                    [key, value] if *key.data_type() == DataType::Utf8 => {
                        Shape::Map(Arc::new(Shape::of(value)?))
                    }
                    _ => return None,
                },
                _ => return None,
            },
            data_type => Shape::Plain(Kind::of(data_type)?),
        })
    }

    /// The kind of the value as a whole.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Shape::Plain(kind) => *kind,
            _ => Kind::Nested,
        }
    }

    /// In words, for errors.
    pub(crate) fn expected(&self) -> &'static str {
        match self {
            Shape::Plain(kind) => kind.expected(),
            Shape::Row(_) | Shape::Map(_) => "an object",
            Shape::List(_) => "an array",
        }
    }
}
