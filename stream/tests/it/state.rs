//! State folders that cannot be used: each a clear error before anything is read.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use plamatio_stream::{StreamError, error::Fault, planner, runtime::job::Job};

use crate::{
    collect::Collected,
    run::{block_on, connectors, events, files, options},
    text,
};

struct Case {
    script: String,
    _events: tempfile::TempDir,
    state: tempfile::TempDir,
}

impl Case {
    /// A job that has run and left its checkpoint.
    fn new() -> Self {
        let lines = text::json_lines("time k v\n 12:00:01 a 1\n 12:00:02 b 2");
        let folder = files(&[lines.into_iter().map(String::into_bytes).collect()]);
        let script = events("k STRING, v BIGINT", &folder, ", 'deduplicate.key' = 'k'")
            + "CREATE TABLE out (w TIMESTAMP(3), n BIGINT) WITH ('connector' = 'collect');
               INSERT INTO out SELECT window_start, COUNT(*)
               FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
               GROUP BY window_start, window_end;";
        let case = Case { script, _events: folder, state: tempfile::tempdir().unwrap() };
        case.run(&case.script).unwrap();
        case
    }

    fn run(&self, script: &str) -> Result<(), StreamError> {
        let collected = Collected::default();
        let connectors = connectors(&collected);
        block_on(async {
            let plan = planner::plan(script, &BTreeMap::new(), &connectors).await?;
            let job = Job::start(plan, &connectors, options(Some(self.state.path()))).await?;
            job.wait().await.map(|_| ())
        })
    }

    fn epoch(&self) -> PathBuf {
        let epochs = fs::read_dir(self.state.path()).unwrap().map(|entry| entry.unwrap().path());
        epochs.max().unwrap()
    }

    /// The error of a start, the state folder's path taken out.
    fn error(&self, script: &str) -> String {
        let error = self.run(script).unwrap_err();
        assert_eq!(error.fault(), Fault::External, "{error}");
        let text = error.to_string().replace(&*self.epoch().display().to_string(), "STATE/epoch-1");
        text.replace(&*self.state.path().display().to_string(), "STATE")
    }
}

fn damage(path: &Path, edit: impl FnOnce(String) -> String) {
    let text = fs::read_to_string(path).unwrap();
    fs::write(path, edit(text)).unwrap();
}

#[test]
fn of_another_script() {
    let case = Case::new();
    insta::assert_snapshot!(case.error(&case.script.replace("'1' MINUTE", "'2' MINUTE")), @r"
    state in STATE: the checkpoint of epoch 1767700800001 does not fit the script, nothing was read or written:
    - window aggregate of 'out' has changed: window was tumbling, 1 min, is tumbling, 2 min
    to go on, start the script of before; to start over, choose another state folder or remove this one
    ");
}

#[test]
fn a_damaged_manifest() {
    let case = Case::new();
    let manifest = case.epoch().join("manifest.json");
    fs::write(&manifest, b"{\n  \"format\": 1,\n").unwrap();
    insta::assert_snapshot!(case.error(&case.script), @"state in STATE/epoch-1/manifest.json: is not a checkpoint's manifest: EOF while parsing a value at line 3 column 0");
    fs::write(&manifest, b"\xff\xfe").unwrap();
    insta::assert_snapshot!(case.error(&case.script), @"state in STATE/epoch-1/manifest.json: is not a checkpoint's manifest: expected value at line 1 column 1");
}

#[test]
fn of_a_newer_format() {
    let case = Case::new();
    damage(&case.epoch().join("manifest.json"), |text| text.replace("\"format\": 4", "\"format\": 99"));
    insta::assert_snapshot!(case.error(&case.script), @"state in STATE/epoch-1/manifest.json: the checkpoint has format 99, this program knows 4; run the version that wrote it, or start over in another state folder");
}

#[test]
fn of_an_older_format() {
    let case = Case::new();
    // As it was written when state was known by its place in the plan.
    let text = r#"{"format": 3, "plan": "0", "epoch": 1, "partitions": [], "nodes": [], "tokens": [], "revision": 0}"#;
    fs::write(case.epoch().join("manifest.json"), text).unwrap();
    insta::assert_snapshot!(case.error(&case.script), @"state in STATE/epoch-1/manifest.json: the checkpoint has format 3, this program knows 4; run the version that wrote it, or start over in another state folder");
}

#[test]
fn a_damaged_or_missing_part() {
    let case = Case::new();
    let part = case.epoch().join("keys-0.arrow");
    fs::write(&part, b"not Arrow").unwrap();
    insta::assert_snapshot!(case.error(&case.script), @"state in STATE/epoch-1/keys-0.arrow: cannot be read: Io error: Invalid argument (os error 22)");
    fs::remove_file(&part).unwrap();
    insta::assert_snapshot!(case.error(&case.script), @"state in STATE/epoch-1/keys-0.arrow: cannot be read: Io error: No such file or directory (os error 2)");
}

#[test]
fn a_folder_without_manifest_is_no_checkpoint() {
    let case = Case::new();
    fs::remove_file(case.epoch().join("manifest.json")).unwrap();
    case.run(&case.script).unwrap();
}
