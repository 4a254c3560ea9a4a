//! `METADATA` columns of sources: what comes with a record besides its bytes.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use insta::assert_snapshot;
use plamatio_stream::{
    StreamError, planner,
    runtime::job::Job,
    source::{Envelope, Header, Polled, RawBatch, Reader, Source, SourceFactory, StartAt},
    table::{Envelopes, SourceMetadata, TableDef},
    time::{Offset, PartitionId},
};

use crate::{
    collect::Collected,
    run::{Done, block_on, connectors, files, options, try_run},
    text,
};

/// A record of `topic` with key, timestamp and value. Its headers are [`headers`].
type Enveloped = (Option<&'static [u8]>, Option<i64>, &'static str);

/// A source of one partition, `clicks` 3, that is read one batch a record.
struct Scripted(Vec<Enveloped>);

struct ScriptedReader {
    left: VecDeque<(i64, Enveloped)>,
    envelopes: Envelopes,
}

#[async_trait::async_trait]
impl SourceFactory for Scripted {
    fn validate(&self, _: &TableDef) -> Result<(), StreamError> {
        Ok(())
    }

    fn metadata(&self) -> &'static [SourceMetadata] {
        use SourceMetadata::{Headers, Key, LeaderEpoch, Offset, Partition, Timestamp, TimestampType, Topic};
        &[Key, Timestamp, TimestampType, Topic, Partition, Offset, LeaderEpoch, Headers]
    }

    async fn open(&self, table: &TableDef) -> Result<Arc<dyn Source>, StreamError> {
        let envelopes = table.envelopes();
        let left = (40..).zip(self.0.iter().copied()).collect();
        Ok(Arc::new(ScriptedSource(Mutex::new(ScriptedReader { left, envelopes }))))
    }
}

struct ScriptedSource(Mutex<ScriptedReader>);

impl Source for ScriptedSource {
    fn partitions(&self) -> Vec<PartitionId> {
        vec![PartitionId { topic: "clicks".to_owned(), partition: 3 }]
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn reader(&self, _: &[(PartitionId, StartAt)]) -> Result<Box<dyn Reader>, StreamError> {
        let mut reader = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, envelopes) = (std::mem::take(&mut reader.left), reader.envelopes);
        Ok(Box::new(ScriptedReader { left, envelopes }))
    }

    fn commit(&self, _: &BTreeMap<PartitionId, Offset>) -> Result<(), StreamError> {
        Ok(())
    }
}

impl Reader for ScriptedReader {
    fn poll(&mut self, batches: &mut [RawBatch], _: usize, _: Duration) -> Result<Polled, StreamError> {
        if self.left.is_empty() {
            return Ok(Polled::End);
        }
        for (offset, (key, timestamp_ms, value)) in self.left.drain(..self.left.len().min(2)) {
            let headers = if self.envelopes == Envelopes::Whole { headers(offset) } else { Vec::new() };
            let timestamp_type = "CreateTime";
            let envelope = Envelope { key, timestamp_ms, timestamp_type, leader_epoch: Some(7), headers };
            match self.envelopes {
                Envelopes::None => batches[0].push(value.as_bytes(), Offset::new(offset)),
                _ => batches[0].push_with(value.as_bytes(), Offset::new(offset), &envelope),
            }
        }
        Ok(Polled::Records)
    }

    fn drain(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn has_ended(&self, _: usize) -> bool {
        self.left.is_empty()
    }
}

/// The headers of the record at an offset.
fn headers(offset: i64) -> Vec<Header<'static>> {
    let header = |name: &'static [u8], value: Option<&'static [u8]>| Header { name, value };
    match offset {
        40 => vec![header(b"trace", Some(b"a")), header(b"shop", None), header(b"trace", Some(b"b"))],
        42 => vec![header(b"trace", Some(b"\xff"))],
        43 => vec![header(b"\xfe", Some(b"x"))],
        44 => vec![header(b"", Some(b""))],
        _ => vec![],
    }
}

/// Noon of 5 January 2026.
const NOON_MS: i64 = 1_767_614_400_000;

fn records() -> Vec<Enveloped> {
    vec![
        (Some(b"k-1"), Some(NOON_MS), r#"{"v":1}"#),
        (None, Some(NOON_MS + 1_500), r#"{"v":2}"#),
        (Some(b"k-1"), Some(NOON_MS + 2_000), r#"{"v":"no number"}"#),
        (Some(b"\xff"), Some(NOON_MS + 3_000), r#"{"v":4}"#),
        (Some(b"k-2"), Some(NOON_MS + 12_000), r#"{"v":5}"#),
    ]
}

fn run(records: Vec<Enveloped>, columns: &str, out: &str, select: &str) -> Result<Done, StreamError> {
    let script = format!(
        "CREATE TABLE events (v BIGINT, {columns}) WITH ('connector' = 'scripted');
         CREATE TABLE out ({out}) WITH ('connector' = 'collect', 'emit' = 'final'); INSERT INTO out SELECT {select}"
    );
    block_on(async {
        let collected = Collected::default();
        let mut connectors = connectors(&collected);
        connectors.sources.register("scripted", Arc::new(Scripted(records)));
        let plan = planner::plan(&script, &BTreeMap::new(), &connectors).await?;
        let job = Job::start(plan, &connectors, options(None)).await?;
        Ok(Done { ledger: job.wait().await?, collected })
    })
}

#[test]
fn all_that_comes_with_a_record() {
    let columns = "k STRING METADATA FROM 'key', t TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
        ms BIGINT METADATA FROM 'timestamp', `timestamp-type` STRING METADATA, topic STRING METADATA,
        `partition` BIGINT METADATA VIRTUAL, `offset` BIGINT METADATA VIRTUAL, o BIGINT METADATA FROM 'offset_id'";
    let out = "v BIGINT, k STRING, t TIMESTAMP(3), ms BIGINT, y STRING, topic STRING, p BIGINT, o BIGINT, oo BIGINT";
    let done = run(records(), columns, out, "* FROM events").unwrap_or_else(|error| panic!("{error}"));
    assert_snapshot!(done.finals(), @r"
    v  k     t             ms             y           topic   p  o   oo
    1  k-1   12:00:00      1767614400000  CreateTime  clicks  3  40  40
    2  NULL  12:00:01.500  1767614401500  CreateTime  clicks  3  41  41
    5  k-2   12:00:12      1767614412000  CreateTime  clicks  3  44  44
    ");
    assert_eq!(done.counts(), [5, 3, 0, 0, 0, 2]);
    assert_snapshot!(text::table(&done.collected.finals("dead_letters"), false), @r#"
    kind       source_table  topic   partition  offset  reason                                                                payload                             event_time  set_aside_at
    malformed  events        clicks  3          42      field 'v': expected a whole number of 64 bits, found "no number"      7b2276223a226e6f206e756d626572227d  NULL        12:00:00
    malformed  events        clicks  3          43      the key is not UTF-8: invalid utf-8 sequence of 1 bytes from index 0  7b2276223a347d                      NULL        12:00:00
    "#);
    // As bytes any key is taken, and no more is asked for than what is selected.
    let select = "v, k, o * 2 FROM events WHERE v <> 1";
    let columns = format!(
        "{}, o INT METADATA FROM 'partition'",
        columns.replace("k STRING", "k BYTES").replace(", o BIGINT METADATA FROM 'offset_id'", "")
    );
    let done = run(records(), &columns, "v BIGINT, k BYTES, o BIGINT", select)
        .unwrap_or_else(|error| panic!("{error}"));
    assert_snapshot!(done.finals(), @r"
    v  k       o
    2  NULL    6
    4  ff      6
    5  6b2d32  6
    ");
}

#[test]
fn headers_are_a_map() {
    let records: Vec<Enveloped> =
        records().into_iter().map(|(_, time, _)| (None, time, r#"{"v":1}"#)).collect();
    let columns = "h MAP<STRING, STRING> METADATA FROM 'headers', e INT METADATA FROM 'leader-epoch' VIRTUAL";
    let out = "h MAP<STRING, STRING>, trace STRING, n INT, e BIGINT";
    let select = "h, h['trace'], CAST(CARDINALITY(h) AS INT), e FROM events";
    let done = run(records.clone(), columns, out, select).unwrap_or_else(|error| panic!("{error}"));
    assert_snapshot!(done.finals(), @r"
    h                       trace  n  e
    {: }                    NULL   1  7
    {trace: b, shop: NULL}  b      2  7
    {}                      NULL   0  7
    ");
    // Neither a value nor a name is a text.
    assert_eq!(done.counts(), [5, 3, 0, 0, 0, 2]);
    let letters = text::table(&done.collected.finals("dead_letters"), false);
    assert!(letters.contains("a header's value is not UTF-8"), "{letters}");
    assert!(letters.contains("a header's name is not UTF-8"), "{letters}");
    // As bytes any value is taken.
    let columns = columns.replace("MAP<STRING, STRING>", "MAP<STRING, BYTES>");
    let done = run(records, &columns, "trace BYTES", "h['trace'] FROM events")
        .unwrap_or_else(|error| panic!("{error}"));
    assert_snapshot!(done.finals(), @r"
    trace
    62
    NULL
    NULL
    ff
    ");
    assert_eq!(done.counts(), [5, 4, 0, 0, 0, 1]);
}

#[test]
fn a_records_timestamp_is_its_event_time() {
    for columns in [
        "k STRING METADATA FROM 'key', t TIMESTAMP_LTZ(3) METADATA FROM 'timestamp', WATERMARK FOR t AS t",
        "`timestamp` TIMESTAMP_LTZ(3) METADATA VIRTUAL, k STRING METADATA FROM 'key', t AS `timestamp`, WATERMARK FOR t AS t",
        "ms BIGINT METADATA FROM 'timestamp', k STRING METADATA FROM 'key', t AS TO_TIMESTAMP_LTZ(ms, 3), WATERMARK FOR t",
    ] {
        let mut records = records();
        records.push((Some(b"k-3"), None, r#"{"v":6}"#));
        let query = "window_start, COUNT(*), SUM(v), COUNT(k)
            FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(t), INTERVAL '10' SECOND))
            WHERE k IS NULL OR k LIKE 'k%' GROUP BY window_start, window_end";
        let out = "w TIMESTAMP(3), n BIGINT, s BIGINT, k BIGINT";
        let done = run(records, columns, out, query).unwrap_or_else(|error| panic!("{error}"));
        assert_snapshot!("windows_by_timestamp", done.finals());
        // Without a timestamp there is no event time.
        assert_eq!(done.counts(), [6, 3, 0, 0, 0, 3], "{columns}");
    }
}

#[test]
fn duplicates_may_be_told_by_the_key() {
    let columns =
        "k STRING METADATA FROM 'key', t TIMESTAMP_LTZ(3) METADATA FROM 'timestamp', WATERMARK FOR t AS t";
    let mut records = records();
    records.insert(1, (Some(b"k-1"), Some(NOON_MS), r#"{"v":7}"#));
    let script = "v FROM events";
    let columns = format!(
        "{columns}) WITH ('connector' = 'scripted', 'deduplicate.key' = 'k'); CREATE TABLE other (x INT"
    );
    let done = run(records, &columns, "v BIGINT", script).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(done.counts(), [6, 3, 0, 0, 1, 2]);
}

#[test]
fn a_files_records_know_its_name() {
    let folder = files(&[vec![br#"{"v":1}"#.to_vec()], vec![br#"{"v":2}"#.to_vec()]]);
    let script = format!(
        "CREATE TABLE events (v BIGINT, name STRING METADATA FROM 'file.name', `file.path` STRING METADATA VIRTUAL)
         WITH ('connector' = 'filesystem', 'path' = '{}');
         CREATE TABLE out (v BIGINT, name STRING, same BOOLEAN) WITH ('connector' = 'collect');
         INSERT INTO out SELECT v, name, `file.path` = '{0}/' || name FROM events",
        folder.path().display()
    );
    let done = block_on(try_run(&script)).unwrap_or_else(|error| panic!("{error}"));
    assert_snapshot!(done.finals(), @r"
    v  name          same
    1  part-0.jsonl  true
    2  part-1.jsonl  true
    ");
}
