//! `redis`: live values, replaced as they change, for dashboards.
//!
//! # Options
//!
//! | Option | Default | Meaning |
//! |---|---|---|
//! | `url` | required | `redis://[user:password@]host:port[/db]`, or `memory://` for the store within the process |
//! | `shop` | `default` | first part of every key, in braces (a hash tag); unused by `memory://` |
//! | `metric` | the table's name | second part of every key |
//! | `ttl` | `2 days` | how long a value is kept after its last write; never less than twice its window |
//! | `retry.timeout` | `30 s` | how long Redis may be out of reach before the job stops |
//! | `emit` | `updates` | `updates` or `final` |
//!
//! The default TTL keeps two days, since the page of a shop shows today beside yesterday; windows longer than
//! a day are kept twice their length.
//!
//! # Schema
//!
//! With a column `window_end` (TIMESTAMP) the rows of one window make one value, a hash with the fields and
//! under the key of [`events::live`]; `window_start` gives its start, and without one it is the end. The
//! field `rows` is a JSON array of all rows of the window, column name to value.
//!
//! Without `window_end` the table must declare a PRIMARY KEY. Each key is one value under
//! `plm:{shop}:live:<metric>:<key values joined by ':'>`, with the same fields save the window's, and `rows`
//! with the one row. (`%` and `:` in the values of a key of several columns are written `%25` and `%3A`.)
//!
//! # Delivery
//!
//! All values of a write go in one script call, so that a reader sees all of them or none. The script refuses
//! a value with an older `(epoch, revision)` than the stored one, and a provisional value over a final one
//! ([`accepts`](crate::live::accepts)); it sets the TTL, lists the window in `…:windows` (the newest
//! [`WINDOWS_KEPT`](crate::live::WINDOWS_KEPT)), points `…:current` at the window that closes next
//! ([`current_window`](crate::live::current_window)) and publishes each changed value once.
//!
//! A provisional value of which no row is left is taken back by the same script and under the same rule: its key is
//! deleted, it leaves the list, and its notification finds nothing. Between the writes of an epoch and a crash it is not
//! known what was shown; such a value stays until its TTL is over.
//!
//! - The engine crashes at any point: after its restart it writes the same windows again with higher
//!   versions. No older value ever replaces a newer one, also when the crashed process still lives on.
//! - Redis is out of reach: provisional values wait, newest wins, the replaced ones are counted in
//!   `plamatio_sink_dropped_total`; final values hold the job up. After `retry.timeout` the job stops with an
//!   error, and its restart reads the rows again.
//! - Redis loses its data: values that still change come back with their next write; final ones only when
//!   their rows are read again.
//!
//! `commit` has nothing left to do: values are visible as soon as they are written.

mod connection;
mod factory;
mod open;
mod values;
mod writer;

pub use factory::RedisSinkFactory;
