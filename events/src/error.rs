//! The crate's error. Field-level findings about an incoming event are [`crate::FieldError`] instead: they
//! come as a list, and they are an answer, not a failure.

/// What can go wrong in this crate. All of these are the caller's to mend; none is worth a retry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that is no canonical event type and no alias of one.
    #[error("unknown event type {name:?}; known types: {known}", known = crate::EventType::names().join(", "))]
    UnknownEventType {
        /// The name as given.
        name: String,
    },
    /// A name that is no topic.
    #[error("unknown topic {name:?}; known topics: product-views, cart-events, order-events")]
    UnknownTopic {
        /// The name as given.
        name: String,
    },
    /// A name that is no traffic class.
    #[error("unknown traffic {name:?}; use human, bot, test or staff")]
    UnknownTraffic {
        /// The name as given.
        name: String,
    },
    /// A live value's hash lacks a field, or the field does not read.
    #[error("live value: field {field}: {problem}; delete the key, its writer sets it again")]
    LiveField {
        /// Name of the hash field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A generator setting out of its range.
    #[error("generator setting {setting}: {problem}")]
    Setting {
        /// Name of the field of [`crate::GeneratorConfig`].
        setting: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
}
