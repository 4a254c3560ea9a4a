//! From the text of a script to statements.
//!
//! DataFusion's parser reads the SQL; what it does not know is handled on the token stream before
//! it, so that every token keeps its place in the text and no parser is forked:
//!
//! - `CREATE TABLE` with `WATERMARK FOR`, `METADATA` columns, computed columns and quoted option names
//!   (`ddl`);
//! - Flink's window table functions, `TABLE(HOP(TABLE t, DESCRIPTOR(c), …))` ([`tvf`]);
//! - the columns of its older group windows, `TUMBLE_START(…)` (`group_window`);
//! - what Flink means by an expression, where DataFusion would read it otherwise (`dialect`);
//! - what several statements have in common (`grammar`);
//! - columns of an `INSERT` that have no name, or one twice (`positional`);
//! - statement sets and `SET` ([`script`], `statement`, which makes what is in `parsed`);
//! - what no script has, statements and forms, refused by name (`refused`).
//!
//! Planning is not done here; see [`crate::planner`].

pub(crate) mod ddl;
mod dialect;
pub mod functions;
mod grammar;
mod group_window;
mod json_forms;
mod parsed;
mod positional;
mod refused;
pub mod script;
mod statement;
mod syntax;
pub(crate) mod tokens;
pub mod tvf;
pub(crate) mod types;
pub mod variables;
