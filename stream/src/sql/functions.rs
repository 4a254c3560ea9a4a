//! The functions that a script sees: one registry.
//!
//! A name is either ours, in Flink's meaning, or one of DataFusion's that was looked at and means the same or is
//! unknown to Flink (`KEPT`). Everything else that DataFusion brings is taken out, so that no name is
//! understood by accident. Aggregates are DataFusion's, and the ordered funnel.

pub(crate) mod literals;
mod number;
mod pattern;
mod regexp;
mod row;
mod text;
mod time;
pub mod window;
pub mod window_funnel;

use datafusion::prelude::SessionContext;

/// DataFusion's scalar functions that a script may use.
const KEPT: &[&str] = &[
    // numbers
    "abs",
    "ceil",
    "floor",
    "round",
    "trunc",
    "signum",
    "pi",
    "gcd",
    "lcm",
    "cbrt",
    "factorial",
    "isnan",
    "nanvl",
    // conditions
    "coalesce",
    "nullif",
    "greatest",
    "least",
    "nvl",
    "ifnull",
    "nvl2",
    // texts
    "ascii",
    "btrim",
    "trim",
    "ltrim",
    "rtrim",
    "lower",
    "upper",
    "initcap",
    "reverse",
    "repeat",
    "concat_ws",
    "character_length",
    "char_length",
    "length",
    "octet_length",
    "bit_length",
    "strpos",
    "instr",
    "position",
    "starts_with",
    "ends_with",
    "contains",
    "split_part",
    "to_hex",
    "uuid",
    "levenshtein",
    "find_in_set",
    "substr_index",
    "substring_index",
    "regexp_like",
    "regexp_match",
    // times
    "date_trunc",
    "date_bin",
    "date_part",
    "datepart",
    "datetrunc",
    "to_char",
    "make_date",
    "now",
    "current_timestamp",
    "current_date",
    "today",
    "current_time",
    "to_timestamp_millis",
    "to_timestamp_seconds",
    "to_timestamp_micros",
    // structures and arrays
    "struct",
    "row",
    "named_struct",
    "get_field",
    "make_array",
    "make_list",
    "array_element",
    "array_extract",
    "list_element",
    "array_length",
    "array_to_string",
    "array_join",
    "array_append",
    "array_concat",
    "array_has",
    "array_contains",
    "array_position",
    "array_reverse",
    "array_distinct",
    "array_slice",
    "map",
    "map_keys",
    "map_values",
    "cardinality",
    "arrow_cast",
    "arrow_typeof",
];

/// Makes these all the functions that a script sees.
pub fn register(context: &SessionContext) {
    let given: Vec<String> = context.state().scalar_functions().keys().cloned().collect();
    for name in given.iter().filter(|name| !KEPT.contains(&name.as_str())) {
        context.deregister_udf(name);
    }
    let ours = [text::all(), number::all(), time::all(), regexp::all()];
    for function in ours.into_iter().flatten().chain(window::all()) {
        context.register_udf(function);
    }
    context.register_udaf(window_funnel::window_funnel());
}
