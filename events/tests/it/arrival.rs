//! Arrival order: disorder, late records, duplicates, malformed records, and the helper that shuffles.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use events::{Generated, GeneratorConfig, Kind, shuffle_within};

use crate::{generate, some};

/// Asserts the bounds that the generator's documentation states, and gives the number of late records.
fn assert_bounds(records: &[Generated], max_disorder: Duration, late_by: Duration) -> usize {
    let (disorder, late_by) = (max_disorder.as_millis() as i64, late_by.as_millis() as i64);
    let mut highest = i64::MIN;
    let mut late = 0;
    let mut originals = HashMap::new();
    for record in records {
        match record.kind {
            Kind::Late => {
                late += 1;
                assert!(record.time_ms < highest - late_by, "{record:?} against {highest}");
                continue;
            }
            Kind::OnTime => {
                let known = originals
                    .insert((record.source, record.id), (&record.payload, &record.key, record.topic));
                assert!(known.is_none(), "an id twice: {record:?}");
            }
            Kind::Duplicate => {
                let original = originals.get(&(record.source, record.id)).expect("the original comes first");
                assert_eq!(*original, (&record.payload, &record.key, record.topic));
            }
            Kind::Malformed(_) => {}
        }
        assert!(highest == i64::MIN || record.time_ms >= highest - disorder, "{record:?} against {highest}");
        highest = highest.max(record.time_ms);
    }
    late
}

#[test]
fn disorder_is_bounded_and_late_is_late() {
    let mut config = some(200_000);
    (config.late_share, config.duplicate_share) = (0.01, 0.02);
    let (records, summary) = generate(config.clone());
    let late = assert_bounds(&records, config.max_disorder, *config.late_by.start());
    assert!((1_800..2_200).contains(&late), "{late} of 200,000 are not a share of 0.01");
    assert_eq!(late as u64, summary.late);
    let share = summary.duplicates as f64 / summary.events as f64;
    assert!((0.018..0.022).contains(&share), "{share}");
    // The bound is used, not just kept.
    let falls = records.windows(2).filter(|w| w[1].kind != Kind::Late && w[1].time_ms < w[0].time_ms).count();
    assert!(falls > 50_000, "{falls}");
}

#[test]
fn a_duplicate_comes_soon() {
    let mut config = some(100_000);
    (config.duplicate_share, config.events_per_second) = (0.02, 20_000.0);
    let (records, _) = generate(config);
    let mut place = HashMap::new();
    let mut farthest = 0;
    for (i, record) in records.iter().enumerate() {
        match record.kind {
            Kind::OnTime => drop(place.insert(record.id, i)),
            Kind::Duplicate => farthest = farthest.max(i - place[&record.id]),
            _ => {}
        }
    }
    assert!((1_000..4_000).contains(&farthest), "{farthest}");
}

#[test]
fn faults_are_there_from_the_start_and_in_every_size() {
    // Thin traffic: gaps of seconds are wider than the disorder.
    let mut config = some(5_000);
    (config.events_per_second, config.late_share) = (0.2, 0.02);
    let (records, _) = generate(config.clone());
    assert!(assert_bounds(&records, config.max_disorder, *config.late_by.start()) > 20);
    // One minute of the default rate already has late records.
    let (records, summary) = generate(some(12_000));
    assert!(summary.late > 3 && summary.malformed > 1, "{summary:?}");
    assert!(
        records.iter().filter(|r| r.kind == Kind::Late).all(|r| r.time_ms < records[11_999].time_ms - 60_000)
    );
    // No disorder at all.
    let config = GeneratorConfig { max_disorder: Duration::ZERO, duplicate_share: 0.1, ..some(20_000) };
    let (records, summary) = generate(config);
    assert_bounds(&records, Duration::ZERO, Duration::from_secs(60));
    assert!(summary.duplicates > 1_500);
}

#[test]
fn faults_can_be_switched_off_and_change_no_shopper() {
    let faulty =
        GeneratorConfig { late_share: 0.05, duplicate_share: 0.05, malformed_share: 0.05, ..some(50_000) };
    let (records, summary) = generate(faulty.clone().without_faults());
    assert_eq!((summary.late, summary.duplicates, summary.malformed), (0, 0, 0));
    assert_eq!(summary.on_time, 50_000);
    assert!(records.is_sorted_by_key(|r| r.time_ms));
    assert!(records.iter().all(|r| r.kind == Kind::OnTime));

    let clean: HashSet<_> = records.iter().map(|r| (r.id, r.time_ms, r.key.clone(), r.event_type)).collect();
    let (faulty, _) = generate(faulty);
    let well_formed = faulty.iter().filter(|r| r.kind == Kind::OnTime);
    assert!(well_formed.clone().count() > 40_000);
    for record in well_formed {
        assert!(clean.contains(&(record.id, record.time_ms, record.key.clone(), record.event_type)));
    }
}

#[test]
fn shuffling_keeps_what_it_promises() {
    let (records, _) = generate(GeneratorConfig { late_share: 0.01, duplicate_share: 0.05, ..some(50_000) });
    for seconds in [0, 1, 5, 30] {
        let delay = Duration::from_secs(seconds);
        let shuffled = shuffle_within(records.clone(), delay, 9);
        assert_bounds(&shuffled, delay, Duration::from_secs(60));
        let ids = |records: &[Generated]| {
            let mut ids: Vec<_> =
                records.iter().map(|r| (r.id, r.kind == Kind::OnTime, r.payload.len())).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(ids(&shuffled), ids(&records));
        assert_ne!(shuffled, records);
        assert_eq!(shuffled, shuffle_within(records.clone(), delay, 9));
    }
    assert_ne!(
        shuffle_within(records.clone(), Duration::from_secs(5), 1),
        shuffle_within(records, Duration::from_secs(5), 2)
    );
    assert!(shuffle_within(Vec::new(), Duration::MAX, 1).is_empty());
}
