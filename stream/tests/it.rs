//! Integration tests: whole scripts, planned and run to their end on files, through the public interface.

#![allow(
    clippy::unwrap_used,
    reason = "the lint's exception for tests does not reach their helper functions"
)]

#[path = "it/collect.rs"]
mod collect;
#[path = "it/graph.rs"]
mod graph;
#[path = "it/memory.rs"]
mod memory;
#[path = "it/run.rs"]
mod run;
#[path = "it/scripted.rs"]
mod scripted;
#[path = "it/text.rs"]
mod text;

#[path = "it/asked.rs"]
mod asked;
#[path = "it/changes.rs"]
mod changes;
#[path = "it/cost.rs"]
mod cost;
#[path = "it/definitions.rs"]
mod definitions;
#[path = "it/derive.rs"]
mod derive;
#[path = "it/examples.rs"]
mod examples;
#[path = "it/explained.rs"]
mod explained;
#[path = "it/extremes.rs"]
mod extremes;
#[path = "it/formats.rs"]
mod formats;
#[path = "it/functions.rs"]
mod functions;
#[path = "it/hostile.rs"]
mod hostile;
#[path = "it/idle.rs"]
mod idle;
#[path = "it/interval_join.rs"]
mod interval_join;
#[path = "it/kafka_metadata.rs"]
mod kafka_metadata;
#[path = "it/language.rs"]
mod language;
#[path = "it/lateness.rs"]
mod lateness;
#[path = "it/many.rs"]
mod many;
#[path = "it/memory_tables.rs"]
mod memory_tables;
#[path = "it/metadata.rs"]
mod metadata;
#[path = "it/nested.rs"]
mod nested;
#[path = "it/numbers.rs"]
mod numbers;
#[path = "it/oracle.rs"]
mod oracle;
#[path = "it/provisional.rs"]
mod provisional;
#[path = "it/rankings.rs"]
mod rankings;
#[path = "it/rejected.rs"]
mod rejected;
#[path = "it/restart.rs"]
mod restart;
#[path = "it/small.rs"]
mod small;
#[path = "it/state.rs"]
mod state;
#[path = "it/structures.rs"]
mod structures;
#[path = "it/tables.rs"]
mod tables;
#[path = "it/time_order.rs"]
mod time_order;
#[path = "it/uids.rs"]
mod uids;
#[path = "it/whole.rs"]
mod whole;
#[path = "it/window_columns.rs"]
mod window_columns;
#[path = "it/windows.rs"]
mod windows;
