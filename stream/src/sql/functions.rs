//! The functions that a script sees: one registry.
//!
//! A name is either ours, in Flink's meaning, or one of DataFusion's that was looked at and means the same or is
//! unknown to Flink (`KEPT`). Everything else that DataFusion brings is taken out, so that no name is
//! understood by accident. Aggregates are DataFusion's, and the ordered funnel.

mod array;
mod character;
mod clock;
mod collection;
mod digest;
mod display;
mod encoding;
mod json;
pub(crate) mod literals;
mod net;
mod number;
mod pattern;
mod printf;
mod regexp;
mod row;
mod text;
mod time;
pub mod window;
pub mod window_funnel;

use datafusion::prelude::SessionContext;

pub(crate) use self::{
    clock::{minus as clock_minus, plus as clock_plus},
    display::to_text,
};

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
    "array_has",
    "map",
    "map_keys",
    "map_values",
    "map_entries",
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
    let ours = [
        text::all(),
        array::all(),
        collection::all(),
        display::all(),
        printf::all(),
        character::all(),
        digest::all(),
        encoding::all(),
        json::all(),
        clock::all(),
        net::all(),
        number::all(),
        time::all(),
        regexp::all(),
    ];
    for function in ours.into_iter().flatten().chain(window::all()) {
        context.register_udf(function);
    }
    context.register_udaf(window_funnel::window_funnel());
}
