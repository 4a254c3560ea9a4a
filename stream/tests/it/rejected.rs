//! Scripts that are refused at planning: `tests/rejected/*.sql`, each with its message in `*.sql.snap`.

use std::{fs, path::Path};

use plamatio_stream::error::Fault;

use crate::run::plan;

/// The tables that all the scripts have.
const TABLES: &str = "
CREATE TABLE events (
  `time` TIMESTAMP(3), k STRING, v BIGINT, sent TIMESTAMP(3), WATERMARK FOR `time` AS `time` - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'events');
CREATE TABLE out (w TIMESTAMP(3), n BIGINT) WITH ('connector' = 'collect');
";

#[test]
fn every_message_points_at_the_place_and_says_what_would_work() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rejected");
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".sql"))
        .collect();
    names.sort();
    assert!(!names.is_empty());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../rejected");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut wrong = Vec::new();
    settings.bind(|| {
        for name in names {
            let script = fs::read_to_string(folder.join(&name)).unwrap();
            // The tables come before the script's first line, a comment: so places are those of the file.
            assert!(script.starts_with("-- "), "{name} begins with a comment");
            let script = format!("{} {script}", TABLES.replace('\n', " ").trim());
            match plan(&script) {
                Err(error) if error.fault() == Fault::User => insta::assert_snapshot!(name, error),
                other => wrong.push(format!("{name}: {:?}", other.map(|_| "planned"))),
            }
        }
    });
    assert!(wrong.is_empty(), "not refused, or not as the script's fault: {wrong:#?}");
}
