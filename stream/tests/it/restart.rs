//! A job that is stopped, or fails, and is started again on its state gives what one run gives.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use arrow::array::RecordBatch;
use plamatio_stream::{
    StreamError,
    ledger::Ledger,
    planner::{self, Connectors},
    runtime::job::Job,
};

use crate::{
    collect::Collected,
    memory::Memory,
    run::{self, block_on, connectors, files, options},
    text,
};

const SCRIPT: &str = "
    SET 'checkpoint.interval' = '20 ms';
    CREATE TABLE events (`time` TIMESTAMP(3), k STRING, v BIGINT, id BIGINT,
      WATERMARK FOR `time` AS `time` - INTERVAL '5' SECOND)
    WITH ('connector' = 'kept', 'deduplicate.key' = 'id', 'idle-timeout' = '0 s');

    CREATE TABLE minutes (w TIMESTAMP(3), k STRING, n BIGINT, total BIGINT, keys BIGINT)
    WITH ('connector' = 'collect', 'emit' = 'final');
    INSERT INTO minutes
    SELECT window_start, k, COUNT(*), SUM(v), COUNT(DISTINCT v)
    FROM TABLE(HOP(TABLE events, DESCRIPTOR(`time`), INTERVAL '30' SECOND, INTERVAL '1' MINUTE))
    GROUP BY window_start, window_end, k;

    CREATE VIEW sessions AS
    SELECT k, window_start AS s, COUNT(*) AS n, AVG(v) AS mean
    FROM TABLE(SESSION(TABLE events PARTITION BY k, DESCRIPTOR(`time`), INTERVAL '8' SECOND))
    GROUP BY k, window_start, window_end;

    CREATE TABLE rolled (w TIMESTAMP(3), sessions BIGINT, n BIGINT)
    WITH ('connector' = 'collect', 'emit' = 'final');
    INSERT INTO rolled
    SELECT window_start, COUNT(*), SUM(n)
    FROM TABLE(TUMBLE(TABLE sessions, DESCRIPTOR(s), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end;

    CREATE TABLE top (w TIMESTAMP(3), r BIGINT, k STRING, n BIGINT)
    WITH ('connector' = 'collect');
    INSERT INTO top SELECT * FROM (
      SELECT w, ROW_NUMBER() OVER (PARTITION BY w ORDER BY n DESC, k) AS r, k, n
      FROM (SELECT window_start AS w, k, COUNT(*) AS n
            FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '20' SECOND))
            GROUP BY window_start, window_end, k)
    ) WHERE r <= 2;";

/// Three partitions with a second between the records of each, repeated ids, late and broken records.
fn records() -> Vec<Vec<Vec<u8>>> {
    let line = |partition: i64, number: i64| match number % 23 {
        11 => b"{broken".to_vec(),
        step => {
            // Late by more than any window is open, so that it is the ledger's alone to say.
            let behind = if step == 5 && number > 70 { 70 } else { number * 7 % 4 };
            let time = (number - behind).max(0);
            let (key, id) = ((number * 5 + partition) % 4, if step == 7 { number - 1 } else { number });
            let clock = format!("12:{:02}:{:02}", time / 60, time % 60);
            format!(r#"{{"time":"{}T{clock}Z","k":"{key}","v":{},"id":{id}}}"#, text::DAY, number % 9)
                .into_bytes()
        }
    };
    (0..3)
        .map(|partition| (0..200 + partition * 20).map(|number| line(partition, number)).collect())
        .collect()
}

fn with_memory(collected: &Collected, memory: &Memory) -> Connectors {
    let mut connectors = connectors(collected);
    connectors.sources.register("kept", Arc::new(memory.clone()));
    connectors
}

async fn start(
    script: &str,
    collected: &Collected,
    memory: &Memory,
    state: &Path,
) -> Result<Job, StreamError> {
    let connectors = with_memory(collected, memory);
    let plan = planner::plan(script, &BTreeMap::new(), &connectors).await?;
    Job::start(plan, &connectors, options(Some(state))).await
}

/// The final rows of all sinks, dead letters among them, and the ledger without provisional rows.
fn outcome(collected: &Collected, mut ledger: Ledger) -> (BTreeMap<&'static str, String>, Ledger) {
    assert!(ledger.is_balanced(), "{ledger:?}");
    ledger.sinks.values_mut().for_each(|sink| sink.provisional = 0);
    let tables = ["minutes", "rolled", "top", "dead_letters"];
    let rows = |name: &&'static str| {
        let finals: Vec<RecordBatch> = collected.finals(name);
        // When a record was set aside is the clock's business, but the clock of these tests stands still.
        (*name, text::table(&finals, false))
    };
    (tables.iter().map(rows).collect(), ledger)
}

async fn uninterrupted() -> (BTreeMap<&'static str, String>, Ledger) {
    let (collected, memory, state) =
        (Collected::default(), Memory::new(records()), tempfile::tempdir().unwrap());
    memory.end();
    let job = start(SCRIPT, &collected, &memory, state.path()).await.unwrap();
    let ledger = job.wait().await.unwrap();
    let [read, late, repeated, broken] = {
        let events = &ledger.sources["events"];
        [events.read, events.late_dropped, events.duplicate, events.dead_letter]
    };
    assert!(read == 660 && late > 0 && repeated > 0 && broken > 0, "{ledger:?}");
    outcome(&collected, ledger)
}

#[test]
fn stopped_and_started_again() {
    block_on(async {
        let expected = uninterrupted().await;
        let (collected, memory, state) =
            (Collected::default(), Memory::new(records()), tempfile::tempdir().unwrap());
        let mut before = 0;
        for limit in [0, 1, 50, 51, 130, 205] {
            memory.allow(limit);
            let job = start(SCRIPT, &collected, &memory, state.path()).await.unwrap();
            memory.handed(memory.count(limit) - before).await;
            before = memory.count(limit);
            job.stop();
            let ledger = job.wait().await.unwrap();
            assert_eq!(ledger.sources["events"].read, u64::try_from(before).unwrap());
        }
        memory.end();
        let job = start(SCRIPT, &collected, &memory, state.path()).await.unwrap();
        let ledger = job.wait().await.unwrap();
        assert_eq!(outcome(&collected, ledger), expected);
    });
}

/// Each time a sink fails in another of the epochs; what was not committed is read and computed again.
#[test]
fn failed_and_started_again() {
    block_on(async {
        let expected = uninterrupted().await;
        let (collected, memory, state) =
            (Collected::default(), Memory::new(records()), tempfile::tempdir().unwrap());
        for (limit, successes) in [(30, 0), (60, 2), (90, 3), (140, 5), (180, 6), (220, 1)] {
            memory.allow(limit);
            collected.fail_after(successes);
            let job = start(SCRIPT, &collected, &memory, state.path()).await.unwrap();
            let error = job.wait().await.unwrap_err().to_string();
            assert!(error.ends_with("the disk is on fire"), "{error}");
        }
        memory.end();
        let job = start(SCRIPT, &collected, &memory, state.path()).await.unwrap();
        let ledger = job.wait().await.unwrap();
        assert_eq!(outcome(&collected, ledger), expected);
    });
}

#[test]
fn drained() {
    block_on(async {
        let expected = uninterrupted().await;
        let (collected, memory, state) =
            (Collected::default(), Memory::new(records()), tempfile::tempdir().unwrap());
        memory.allow(usize::MAX);
        let job = start(SCRIPT, &collected, &memory, state.path()).await.unwrap();
        memory.handed(memory.count(usize::MAX)).await;
        job.drain();
        let ledger = job.wait().await.unwrap();
        assert_eq!(outcome(&collected, ledger), expected);
    });
}

/// Barriers go by after a source has ended; what the other still brings is final without waiting for its end.
#[test]
fn a_source_that_has_ended_holds_nothing_back() {
    const SCRIPT: &str = "
        SET 'checkpoint.interval' = '5 ms';
        CREATE TABLE events (`time` TIMESTAMP(3), k STRING, WATERMARK FOR `time` AS `time` - INTERVAL '5' SECOND)
        WITH ('connector' = 'kept', 'idle-timeout' = '0 s');
        CREATE TABLE minutes (w TIMESTAMP(3), n BIGINT) WITH ('connector' = 'collect', 'emit' = 'final');
        CREATE VIEW both AS SELECT `time`, k FROM events UNION ALL SELECT `time`, k FROM ended;
        INSERT INTO minutes
        SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE both, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
        GROUP BY window_start, window_end;";
    let line = |second: i64| {
        let clock = format!("12:{:02}:{:02}", second / 60, second % 60);
        format!(r#"{{"time":"{}T{clock}Z","k":"a"}}"#, text::DAY).into_bytes()
    };
    let ended = files(&[vec![line(1), line(2)]]);
    let script = run::events("k STRING", &ended, "").replace("TABLE events", "TABLE ended") + SCRIPT;
    block_on(async {
        let (collected, memory) = (Collected::default(), Memory::new(vec![(0..200).map(line).collect()]));
        let connectors = with_memory(&collected, &memory);
        let plan = planner::plan(&script, &BTreeMap::new(), &connectors).await.unwrap();
        let job = Job::start(plan, &connectors, options(None)).await.unwrap();
        let mut epochs = BTreeSet::new();
        while epochs.len() < 4 {
            epochs.insert(job.status().epoch());
            tokio::task::yield_now().await;
        }
        memory.allow(200);
        memory.handed(200).await;
        job.stop();
        job.wait().await.unwrap();
        insta::assert_snapshot!(text::table(&collected.finals("minutes"), false), @r"
        w         n
        12:00:00  62
        12:01:00  60
        12:02:00  60
        ");
    });
}
