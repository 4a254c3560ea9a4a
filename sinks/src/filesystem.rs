//! `filesystem`: final rows as lines on a local disk.
//!
//! # Options
//!
//! | Option | Default | Meaning |
//! |---|---|---|
//! | `path` | required | a folder or a file, as a plain path or a `file:///…` URL |
//! | `format` | `json` | `json`, an object a line; `csv`, separated fields |
//! | `emit` | `final` | nothing else: a file's reader could not tell which rows still change |
//!
//! `path` is a file when it is one already, or when nothing is there and it ends in `.json`, `.jsonl` or
//! `.ndjson` (`.csv`); otherwise a folder, which is created. A folder gets one file per epoch that has rows,
//! `part-<epoch>.jsonl`. A file grows by the rows of each epoch.
//!
//! # Delivery
//!
//! What is committed is visible, and nothing else: rows go to a hidden file `.part-….tmp` beside the target,
//! which is synced in `pre_commit`; `commit` renames it (folder) or appends it at a recorded offset (file).
//! Repeating a commit with its token changes nothing, in another process too, and after a crash at any point
//! of a commit:
//!
//! - before `pre_commit`, or with its token lost: the hidden file is left over and may be deleted while no
//!   job writes there;
//! - between `pre_commit` and the end of `commit`: the same token finishes it. A file may show part of the
//!   epoch meanwhile; opening it cuts off an unfinished last line.
//!
//! An epoch whose `part-<epoch>.jsonl` holds another run's rows is an error, since replacing that file would
//! lose them.
//!
//! # Schema
//!
//! Every column under its own name: numbers, strings, booleans, RFC 3339 times in UTC, `null` for NULL and
//! for numbers that are not finite.

mod factory;
mod target;
mod writer;

pub use factory::FilesystemSinkFactory;
