//! The stored format and the traffic of one seed, as a golden file: a change of either is seen.

use std::fmt::Write;

use events::{EventType, Flaw, GeneratorConfig, Kind};

use crate::generate;

#[test]
fn first_record_of_each_type_and_kind() {
    let config = GeneratorConfig {
        seed: 42,
        events: Some(40_000),
        late_share: 0.005,
        malformed_share: 0.002,
        ..GeneratorConfig::default()
    };
    let (records, _) = generate(config);
    let mut text = String::new();
    let mut first = |title: String, wanted: &dyn Fn(&events::Generated) -> bool| {
        let record = records.iter().find(|r| wanted(r)).expect("forty thousand records have it");
        let payload = String::from_utf8_lossy(&record.payload);
        writeln!(text, "{title}\n{} {} {}\n{payload}\n", record.topic, record.key, record.time_ms).unwrap();
    };
    for event_type in EventType::ALL {
        first(event_type.to_string(), &|r| r.event_type == event_type && r.kind == Kind::OnTime);
    }
    first("late".into(), &|r| r.kind == Kind::Late);
    first("duplicate".into(), &|r| r.kind == Kind::Duplicate);
    for flaw in Flaw::ALL {
        first(format!("{flaw:?}"), &|r| r.kind == Kind::Malformed(flaw));
    }
    insta::assert_snapshot!(text);
}
