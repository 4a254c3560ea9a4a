//! Numbers that do not fit: an error or a dead letter, never another number.

use plamatio_stream::{StreamError, error::Fault};

use crate::run::{Done, block_on, events, files, run_bytes, try_run};

const WINDOWS: [&str; 3] = [
    "TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE)",
    "HOP(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE, INTERVAL '2' MINUTE)",
    "SESSION(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE)",
];

fn sum(data_type: &str, values: &[&str], window: &str) -> Result<Done, StreamError> {
    let line = |value: &&str| format!(r#"{{"time":"2026-01-05T12:00:01Z","v":{value}}}"#).into_bytes();
    let folder = files(&[values.iter().map(line).collect()]);
    let sums = if data_type == "BIGINT" { data_type } else { "DECIMAL(38, 0)" };
    let script = events(&format!("v {data_type}"), &folder, "")
        + &format!(
            "CREATE TABLE out (s {sums}) WITH ('connector' = 'collect', 'emit' = 'final');
             INSERT INTO out SELECT SUM(v) FROM TABLE({window}) GROUP BY window_start, window_end"
        );
    block_on(try_run(&script))
}

#[test]
fn a_sum_that_does_not_fit_is_an_error_that_names_it() {
    let nines = "9".repeat(38);
    for window in WINDOWS {
        for (data_type, values) in [
            ("BIGINT", ["9223372036854775807", "1"]),
            ("BIGINT", ["-9223372036854775808", "-1"]),
            ("DECIMAL(38, 0)", [nines.as_str(), "1"]),
        ] {
            let Err(error) = sum(data_type, &values, window) else {
                panic!("{values:?} were added up by {window}")
            };
            let text = error.to_string();
            assert!(
                text.contains("sum(events.v) does not fit") && text.contains(data_type),
                "{window}: {text}"
            );
            assert_eq!(error.fault(), Fault::User);
        }
    }
}

#[test]
fn a_sum_that_just_fits_is_exact() {
    for window in WINDOWS {
        let done = sum("BIGINT", &["9223372036854775806", "1"], window).unwrap();
        assert!(done.finals().contains("9223372036854775807"), "{}", done.finals());
    }
}

#[test]
fn what_a_column_does_not_hold_is_a_dead_letter() {
    let values = [
        r#""d":1.239"#,
        r#""d":1.230"#,
        r#""f":1e39"#,
        r#""f":1.5"#,
        r#""d":100000000"#,
        r#""i":2147483648"#,
    ];
    let line = |value: &str| format!(r#"{{"time":"2026-01-05T12:00:01Z",{value}}}"#).into_bytes();
    let done = run_bytes(
        &[values.map(line).to_vec()],
        "d DECIMAL(10, 2), f FLOAT, i INT",
        "",
        "CREATE TABLE out (d DECIMAL(10, 2), f FLOAT, i INT) WITH ('connector' = 'collect');
         INSERT INTO out SELECT d, f, i FROM events",
    );
    assert_eq!(done.counts(), [6, 2, 0, 0, 0, 4]);
    assert_eq!(done.finals(), "d     f     i\n1.23  NULL  NULL\nNULL  1.5   NULL");
}
