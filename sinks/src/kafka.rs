//! `kafka`: rows as records in a topic.
//!
//! # Options
//!
//! | Option | Default | Meaning |
//! |---|---|---|
//! | `topic` | required | the topic |
//! | `properties.bootstrap.servers` | required | brokers, `host:port`, separated by commas |
//! | `properties.*` | | any other setting of librdkafka, the prefix taken off |
//! | `key.fields` | the PRIMARY KEY | columns of the record key, separated by `,` or `;` |
//! | `format` | `json` | `json`, or `csv` |
//! | `emit` | `final` | `final` |
//!
//! `acks` is `all` and the producer idempotent; both cannot be changed. `partitioner` is `murmur2_random`, as
//! with Java's client, and `linger.ms` 5, unless given.
//!
//! # Schema
//!
//! The value is a JSON object of all columns (or a line of CSV): numbers, strings, booleans, RFC 3339 times in UTC, `null`. The
//! key is the text of the key column; of several columns the texts joined by `:`, with `%` and `:` in a value
//! written `%25` and `%3A`, and NULL as `%null`. Without key columns, or where all are NULL, there is no key.
//!
//! # Delivery
//!
//! At least once. `write` hands records to the producer; `pre_commit` waits until the brokers have
//! acknowledged each of them and fails if one was not (after `properties.message.timeout.ms`). The producer's
//! own repetitions leave no duplicate and keep the order within a partition. Records are visible when
//! acknowledged, before `commit`; after a crash the rows since the last commit are produced again. Readers
//! recognise a repeated final row by its key (window and group).

mod factory;
mod producer;
mod writer;

pub use factory::KafkaSinkFactory;
