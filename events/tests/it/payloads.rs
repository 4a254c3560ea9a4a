//! Payloads read as events, hold the rules, and agree with the summary and with the record around them.

use std::collections::BTreeMap;

use events::{
    Event, EventType, Generator, GeneratorConfig, Kind, Limits, Topic, Traffic, accept, check, wire_time,
};

use crate::{generate, some};

#[test]
fn a_seed_gives_the_same_records() {
    let (a, summary) = generate(some(20_000));
    let (b, again) = generate(some(20_000));
    assert_eq!(a, b);
    assert_eq!(summary, again);
    let (c, _) = generate(GeneratorConfig { seed: 2, ..some(20_000) });
    assert_ne!(a[0].payload, c[0].payload);
    // A longer run begins with the shorter one.
    assert!(Generator::new(some(30_000)).unwrap().take(20_000).eq(a));
}

#[test]
fn payloads_read_validate_and_are_canonical() {
    let config =
        GeneratorConfig { late_share: 0.01, malformed_share: 0.01, duplicate_share: 0.01, ..some(100_000) };
    let (records, _) = generate(config);
    let limits = Limits { ahead: chrono::TimeDelta::zero(), ..Limits::default() };
    for record in &records {
        if let Kind::Malformed(flaw) = record.kind {
            assert!(serde_json::from_slice::<Event>(&record.payload).is_err(), "{flaw:?}");
            continue;
        }
        let event: Event = serde_json::from_slice(&record.payload).unwrap();
        assert_eq!(serde_json::to_vec(&event).unwrap(), record.payload, "the bytes are serde's");
        let received = event.received_at.unwrap();
        assert_eq!(check(&event, received, &limits), []);
        let value = serde_json::from_slice(&record.payload).unwrap();
        assert_eq!(accept(&value, received, &limits, String::new).unwrap(), event);

        assert_eq!(event.topic(), record.topic);
        assert_eq!(event.key(), record.key);
        assert_eq!(event.timestamp_ms(), record.time_ms);
        assert_eq!((event.event_type, event.traffic), (record.event_type, record.traffic));
        assert_eq!(event.headers(), record.headers());
        assert!(
            event.time <= received && event.sent_at.is_none_or(|sent| event.time < sent && sent < received)
        );
        assert_eq!(event.source, if record.topic == Topic::OrderEvents { "api" } else { "web" });
    }
}

#[test]
fn the_summary_equals_a_recount() {
    let config =
        GeneratorConfig { late_share: 0.01, malformed_share: 0.01, duplicate_share: 0.01, ..some(100_000) };
    let (records, summary) = generate(config);
    let (mut types, mut topics) = (BTreeMap::new(), BTreeMap::new());
    let mut traffic: BTreeMap<Traffic, u64> = BTreeMap::new();
    let mut ids = std::collections::HashSet::new();
    let (mut malformed, mut duplicates, mut orders, mut refunds, mut bytes) = (0, 0, 0, 0, 0);
    let mut times = Vec::new();
    for record in &records {
        *topics.entry(record.topic.name()).or_insert(0) += 1;
        bytes += record.payload.len() as u64;
        let Ok(event) = serde_json::from_slice::<Event>(&record.payload) else {
            malformed += 1;
            continue;
        };
        *types.entry(event.event_type.name()).or_insert(0) += 1;
        *traffic.entry(event.traffic).or_default() += 1;
        times.push(event.time);
        if !ids.insert((event.source, event.id)) {
            duplicates += 1;
            continue;
        }
        orders += u64::from(event.event_type == EventType::Purchase);
        refunds += u64::from(event.event_type == EventType::Refund);
    }
    assert_eq!(summary.events, 100_000);
    assert_eq!(summary.on_time + summary.late + summary.duplicates + summary.malformed, summary.events);
    assert_eq!((summary.malformed, summary.duplicates), (malformed, duplicates));
    assert_eq!(summary.malformed_by_flaw.values().sum::<u64>(), malformed);
    assert_eq!((&summary.types, &summary.topics), (&types, &topics));
    assert_eq!((summary.orders, summary.refunds, summary.bytes), (orders, refunds, bytes));
    let of = |t| traffic.get(&t).copied().unwrap_or(0);
    assert_eq!(
        [summary.human, summary.bots, summary.test, summary.staff],
        [Traffic::Human, Traffic::Bot, Traffic::Test, Traffic::Staff].map(of)
    );
    assert!(of(Traffic::Bot) > 1_000 && of(Traffic::Staff) > 100 && of(Traffic::Test) > 50, "{traffic:?}");
    assert_eq!(
        (summary.first_time, summary.last_time),
        (times.iter().min().copied(), times.iter().max().copied())
    );
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(json["types"]["purchase"], types["purchase"]);
    assert_eq!(json["last_time"], wire_time::format(*times.iter().max().unwrap()));
}

#[test]
fn an_order_and_its_lines_agree() {
    let mut config = some(200_000);
    (config.late_share, config.duplicate_share, config.malformed_share) = (0.0, 0.0, 0.0);
    let (records, _) = generate(config);
    let mut open: BTreeMap<String, (i64, i64, i64)> = BTreeMap::new();
    let (mut lines, mut discounted) = (0, 0);
    for record in records.iter().filter(|r| r.topic == Topic::OrderEvents) {
        let event: Event = serde_json::from_slice(&record.payload).unwrap();
        let order = event.order_id.clone().unwrap();
        if event.event_type == EventType::Purchase {
            let value = event.value_minor.unwrap();
            assert!(open.insert(order, (value, record.time_ms, 0)).is_none());
        } else if event.event_type == EventType::PurchaseItem {
            let (left, time_ms, line) = open.get_mut(&order).expect("the purchase comes first");
            *left -= event.value_minor.unwrap();
            *line += 1;
            lines += 1;
            assert_eq!((event.line.unwrap(), record.time_ms), (*line, *time_ms));
            let full = event.price_minor.unwrap() * event.quantity.unwrap();
            discounted += i32::from(event.value_minor.unwrap() < full);
            assert!((full * 9 / 10..=full).contains(&event.value_minor.unwrap()));
        }
    }
    let whole = open.values().filter(|(left, ..)| *left == 0).count();
    assert!(open.len() > 500 && lines > open.len() && discounted > 50, "{} {lines} {discounted}", open.len());
    assert!(open.len() - whole <= 1, "only the last order may be cut");
}

#[test]
fn the_summary_of_nothing() {
    let (records, summary) = generate(some(0));
    assert!(records.is_empty());
    assert_eq!((summary.events, summary.first_time), (0, None));
}
