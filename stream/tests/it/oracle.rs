//! Random streams against a plain computation over all rows at once.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use proptest::prelude::*;

use crate::{
    run::{Done, run_bytes},
    scripted::{batches, run_steps},
    text::DAY_US,
};

/// All in seconds.
const DELAY: i64 = 10;
const TUMBLE: i64 = 20;
const SLIDE: i64 = 15;
const HOP: i64 = 45;
const GAP: i64 = 12;
const ROLL: i64 = 60;

#[derive(Clone, Copy, Debug)]
struct Event {
    /// Seconds of the day.
    time: i64,
    key: u8,
    value: i64,
    /// How long it is under way, and the file that it ends up in.
    jitter: i64,
    file: usize,
}

/// `(window start, window end, key)` to count and sum; every window and key once.
type Windows = BTreeMap<(i64, i64, u8), (i64, i64)>;

fn event(delay: i64) -> impl Strategy<Value = Event> {
    (0_i64..400, 0_u8..4, -50_i64..50, 0..=delay, 0_usize..4)
        .prop_map(|(time, key, value, jitter, file)| Event { time, key, value, jitter, file })
}

/// The events in the order in which they come, by file.
fn partitions(events: &[Event], files: usize) -> Vec<Vec<Event>> {
    let mut arriving = events.to_vec();
    arriving.sort_by_key(|event| event.time + event.jitter);
    let mut partitions = vec![Vec::new(); files];
    for event in arriving {
        partitions[event.file % files].push(event);
    }
    partitions
}

fn lines(partition: &[Event]) -> Vec<Vec<u8>> {
    let line = |event: &Event| {
        let time = chrono::DateTime::from_timestamp_micros(DAY_US + event.time * 1_000_000).unwrap();
        let time = time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        format!(r#"{{"time":"{time}","k":"{}","v":{}}}"#, event.key, event.value).into_bytes()
    };
    partition.iter().map(line).collect()
}

fn add(windows: &mut Windows, key: (i64, i64, u8), (count, sum): (i64, i64)) {
    let entry = windows.entry(key).or_default();
    *entry = (entry.0 + count, entry.1 + sum);
}

/// The ends of all windows that hold a time.
fn ends(time: i64, slide: i64, size: i64) -> impl Iterator<Item = i64> {
    let last = time.div_euclid(slide) * slide;
    (0..size / slide).map(move |back| last - back * slide + size)
}

fn hopping(events: &[Event], slide: i64, size: i64) -> Windows {
    hopping_late(&events.iter().map(|event| (*event, i64::MIN)).collect::<Vec<_>>(), slide, size)
}

/// Each event with what its partition had closed when it came: the windows that ended by then miss it.
fn hopping_late(events: &[(Event, i64)], slide: i64, size: i64) -> Windows {
    let mut windows = Windows::new();
    for (event, closed) in events {
        for end in ends(event.time, slide, size).filter(|end| end > closed) {
            add(&mut windows, (end - size, end, event.key), (1, event.value));
        }
    }
    windows
}

/// Each event reaches from its time, or from what its partition had closed if that is later, to its time plus the
/// gap; what reaches the same moment is one session.
fn sessions_late(events: &[(Event, i64)]) -> Windows {
    let mut sessions: Vec<(u8, i64, i64, Vec<Event>)> = Vec::new();
    for (event, closed) in events {
        let (mut from, mut to) = (event.time.max(*closed), event.time + GAP);
        if from >= to {
            continue;
        }
        let mut all = vec![*event];
        while let Some(at) =
            sessions.iter().position(|(key, f, t, _)| *key == event.key && *f <= to && from <= *t)
        {
            let (_, f, t, more) = sessions.swap_remove(at);
            (from, to) = (from.min(f), to.max(t));
            all.extend(more);
        }
        sessions.push((event.key, from, to, all));
    }
    let mut windows = Windows::new();
    for (key, _, _, events) in sessions {
        let first = events.iter().map(|event| event.time).min().unwrap();
        let last = events.iter().map(|event| event.time).max().unwrap();
        let counted = (i64::try_from(events.len()).unwrap(), events.iter().map(|event| event.value).sum());
        // Two that begin and end alike can be apart only by what had been closed between them.
        add(&mut windows, (first, last + GAP, key), counted);
    }
    windows
}

fn sessions(events: &[Event]) -> Windows {
    let mut sorted = events.to_vec();
    sorted.sort_by_key(|event| (event.key, event.time));
    let mut windows = Windows::new();
    let mut open: Option<(u8, i64, i64, i64, i64)> = None;
    for event in sorted {
        match &mut open {
            Some((key, _, last, count, sum)) if *key == event.key && event.time - *last <= GAP => {
                (*last, *count, *sum) = (event.time, *count + 1, *sum + event.value);
            }
            _ => {
                if let Some((key, first, last, count, sum)) = open.take() {
                    add(&mut windows, (first, last + GAP, key), (count, sum));
                }
                open = Some((event.key, event.time, event.time, 1, event.value));
            }
        }
    }
    if let Some((key, first, last, count, sum)) = open {
        add(&mut windows, (first, last + GAP, key), (count, sum));
    }
    windows
}

/// Sessions counted by the window that their start, or their last millisecond, falls into.
fn rolled(sessions: &Windows, millis: impl Fn(i64, i64) -> i64) -> Windows {
    let mut windows = Windows::new();
    for ((start, end, _), (count, _)) in sessions {
        let window = millis(*start, *end).div_euclid(ROLL * 1_000) * ROLL;
        add(&mut windows, (window, window + ROLL, 0), (1, *count));
    }
    windows
}

/// The rows `(s, e, k, n, total)` of a sink; panics where a window and key come twice.
fn windows(batches: &[RecordBatch]) -> Windows {
    let mut windows = Windows::new();
    for batch in batches {
        let int = |column: usize| batch.column(column).as_primitive::<Int64Type>();
        let seconds = |column: usize, row: usize| {
            (batch.column(column).as_primitive::<TimestampMicrosecondType>().value(row) - DAY_US) / 1_000_000
        };
        for row in 0..batch.num_rows() {
            let key = batch.column(2).as_string::<i32>().value(row).parse().unwrap();
            assert!(int(4).is_valid(row));
            let twice = windows
                .insert((seconds(0, row), seconds(1, row), key), (int(3).value(row), int(4).value(row)));
            assert_eq!(twice, None, "a window came twice");
        }
    }
    windows
}

fn run(partitions: &[Vec<Event>], parallelism: usize, sinks: &[(&str, &str)]) -> Done {
    run_split(partitions, None, 0, parallelism, sinks)
}

/// The same in batches of so many records, where windows take rows for `lateness` seconds after their end.
fn run_split(
    partitions: &[Vec<Event>],
    batch: Option<usize>,
    lateness: i64,
    parallelism: usize,
    sinks: &[(&str, &str)],
) -> Done {
    let partitions: Vec<Vec<Vec<u8>>> = partitions.iter().map(|partition| lines(partition)).collect();
    let mut script = format!(
        "SET 'parallelism' = '{parallelism}';
         CREATE VIEW sessions AS
         SELECT window_start AS s, window_end AS e, window_time AS t, k, COUNT(*) AS n, SUM(v) AS total
         FROM TABLE(SESSION(TABLE events PARTITION BY k, DESCRIPTOR(`time`), INTERVAL '{GAP}' SECOND))
         GROUP BY k, window_start, window_end, window_time;\n"
    );
    for (name, query) in sinks {
        script += &format!(
            "CREATE TABLE {name} (s TIMESTAMP(3), e TIMESTAMP(3), k STRING, n BIGINT, total BIGINT)
             WITH ('connector' = 'collect', 'emit' = 'final');
             INSERT INTO {name} {query};\n"
        );
    }
    let (columns, more) =
        ("k STRING, v BIGINT", format!(", 'idle-timeout' = '0 s', 'allowed-lateness' = '{lateness} s'"));
    match batch {
        None => run_bytes(&partitions, columns, &more, &script),
        Some(records) => {
            let partitions = partitions.iter().map(|lines| batches(lines, records)).collect();
            run_steps(partitions, columns, &more, &script)
        }
    }
}

fn windowed(function: &str, table: &str, column: &str, intervals: &[i64], key: &str, sums: &str) -> String {
    let intervals: Vec<String> =
        intervals.iter().map(|seconds| format!("INTERVAL '{seconds}' SECOND")).collect();
    let group = if key.starts_with('\'') { String::new() } else { format!(", {key}") };
    format!(
        "SELECT window_start, window_end, {key}, {sums}
         FROM TABLE({function}(TABLE {table}, DESCRIPTOR({column}), {}))
         GROUP BY window_start, window_end{group}",
        intervals.join(", ")
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn windows_equal_the_oracle(
        events in prop::collection::vec(event(DELAY), 0..120), files in 1_usize..5, parallelism in 1_usize..4,
    ) {
        let per_key = "COUNT(*), SUM(v)";
        let done = run(&partitions(&events, files), parallelism, &[
            ("tumble", &windowed("TUMBLE", "events", "`time`", &[TUMBLE], "k", per_key)),
            ("hop", &windowed("HOP", "events", "`time`", &[SLIDE, HOP], "k", per_key)),
            ("session", "SELECT s, e, k, n, total FROM sessions"),
            ("by_start", &windowed("TUMBLE", "sessions", "s", &[ROLL], "'0'", "COUNT(*), SUM(n)")),
            ("by_time", &windowed("TUMBLE", "sessions", "t", &[ROLL], "'0'", "COUNT(*), SUM(n)")),
        ]);
        let finals = |name: &str| windows(&done.collected.finals(name));
        let sessions = sessions(&events);
        prop_assert_eq!(finals("tumble"), hopping(&events, TUMBLE, TUMBLE));
        prop_assert_eq!(finals("hop"), hopping(&events, SLIDE, HOP));
        prop_assert_eq!(finals("by_start"), rolled(&sessions, |start, _| start * 1_000));
        prop_assert_eq!(finals("by_time"), rolled(&sessions, |_, end| end * 1_000 - 1));
        prop_assert_eq!(finals("session"), sessions);
        let all = u64::try_from(events.len()).unwrap();
        prop_assert_eq!(done.counts(), [all, all, 0, 0, 0, 0]);
    }

    /// With rows out of order by more than the delay: each is judged by its own partition alone, for each of its
    /// windows, whatever the threads and batches.
    #[test]
    fn late_rows_are_told_apart_whatever_the_threads(
        events in prop::collection::vec(event(12 * DELAY), 0..120), files in 1_usize..5,
        lateness in prop::sample::select(vec![0, 7, 30]),
    ) {
        let partitions = partitions(&events, files);
        let (mut judged, mut counts, mut in_part) = (Vec::new(), [0_u64; 6], 0);
        for partition in &partitions {
            let mut max = i64::MIN;
            for event in partition {
                let watermark = max.saturating_sub(DELAY);
                let closed = watermark.saturating_sub(lateness);
                let taken = |slide: i64, size: i64| ends(event.time, slide, size).filter(|end| *end > closed).count();
                let hops = taken(SLIDE, HOP);
                let by_all = taken(TUMBLE, TUMBLE) > 0 && hops > 0 && event.time + GAP > closed;
                counts[0] += 1;
                counts[if event.time >= watermark { 1 } else if by_all { 2 } else { 3 }] += 1;
                in_part += u64::from((1..3).contains(&hops));
                judged.push((*event, closed));
                max = max.max(event.time);
            }
        }
        let per_key = "COUNT(*), SUM(v)";
        let sinks = [
            ("tumble", windowed("TUMBLE", "events", "`time`", &[TUMBLE], "k", per_key)),
            ("hop", windowed("HOP", "events", "`time`", &[SLIDE, HOP], "k", per_key)),
            ("session", "SELECT s, e, k, n, total FROM sessions".to_owned()),
            ("by_start", windowed("TUMBLE", "sessions", "s", &[ROLL], "'0'", "COUNT(*), SUM(n)")),
        ];
        let sinks: Vec<(&str, &str)> = sinks.iter().map(|(name, query)| (*name, query.as_str())).collect();
        let sessions = sessions_late(&judged);
        for (parallelism, batch) in [(1, None), (3, None), (1, Some(1)), (2, Some(7)), (3, Some(1_000))] {
            let done = run_split(&partitions, batch, lateness, parallelism, &sinks);
            let finals = |name: &str| windows(&done.collected.finals(name));
            prop_assert_eq!(finals("tumble"), hopping_late(&judged, TUMBLE, TUMBLE));
            prop_assert_eq!(finals("hop"), hopping_late(&judged, SLIDE, HOP));
            prop_assert_eq!(finals("session"), sessions.clone());
            prop_assert_eq!(finals("by_start"), rolled(&sessions, |start, _| start * 1_000));
            prop_assert_eq!(done.counts(), counts);
            prop_assert_eq!(done.ledger.sources["events"].late_in_part, in_part);
            let letters: usize = done.collected.finals("dead_letters").iter().map(RecordBatch::num_rows).sum();
            prop_assert_eq!(u64::try_from(letters).unwrap(), counts[3]);
        }
    }
}
