//! `delta`: final rows in a Delta Lake table, one commit per epoch.
//!
//! # Options
//!
//! | Option | Default | Meaning |
//! |---|---|---|
//! | `path` | required | the table's folder, as a plain path or a `file:///…` URL; created when absent |
//! | `app-id` | the table's name | who writes, in Delta's application transactions; different jobs that write one table need different ones |
//! | `target-file-size` | `128 MB` | Parquet files are closed at about this size |
//! | `partition-by` | none | columns, separated by commas |
//! | `emit` | `final` | nothing else: rows of a Delta table do not change |
//!
//! # Schema
//!
//! Every column under its own name: BOOLEAN boolean, TINYINT byte, SMALLINT short, INT integer, BIGINT long,
//! FLOAT float, DOUBLE double, DECIMAL(p, s) decimal(p, s), VARCHAR string, BYTES binary, DATE date,
//! TIMESTAMP timestamp (microseconds, UTC); all may be NULL. A type without a Delta type (unsigned integers)
//! is refused when the job is planned. A table that exists already must have the same columns and types.
//!
//! Files have Parquet and Delta statistics (row count; minimum, maximum and NULL count of the first 32
//! columns), so that readers skip files by window and key. Delta's checkpoint is written every 100 commits.
//!
//! # Delivery
//!
//! Once per committed epoch. Rows stream into Parquet files; `pre_commit` closes and syncs them and returns
//! their `add` actions; `commit` puts all of them, with `txn(app-id, epoch)` and a `commitInfo` that names
//! engine and epoch, into one Delta commit. An epoch without rows commits nothing. delta-rs does not refuse
//! a repeated `(app-id, epoch)`, so the table's newest one is read before each attempt. Covered:
//!
//! - a crash before `pre_commit`, or between it and `commit` with the token lost: files without a commit are
//!   left over. No reader sees them; `VACUUM` removes them.
//! - a crash between `pre_commit` and `commit`, or in the middle of `commit`: any process commits the token
//!   again, with no second effect when the first had got through.
//! - other writers on the same table: a lost race is tried again, a bounded number of times.
//! - an older process of the same job that still lives: whoever commits an epoch first wins.
//!
//! Files written just now for an epoch that is not newer than the table's newest one are an error: those rows
//! would be lost. It means that the job's state was reset, or that another job uses the same `app-id`.

mod config;
mod factory;
mod log;
mod table;
mod token;
mod writer;

pub use factory::DeltaSinkFactory;
