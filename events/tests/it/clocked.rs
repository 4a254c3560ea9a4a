//! The generator against a clock of the caller.

use chrono::TimeDelta;
use events::{Generator, GeneratorConfig, Kind};

#[test]
fn event_time_is_the_callers_clock() {
    let config = GeneratorConfig { events_per_second: 500.0, ..GeneratorConfig::default() };
    let start = config.start;
    let mut generator = Generator::new(config.clone()).unwrap();
    let (mut records, mut purchases) = (Vec::new(), 0);
    for tick in 1..=1_200 {
        let now = start + TimeDelta::milliseconds(tick * 50);
        while let Some(record) = generator.next_until(now) {
            assert!(record.time_ms <= now.timestamp_millis());
            let on_time = matches!(record.kind, Kind::OnTime | Kind::Duplicate);
            assert!(!on_time || record.time_ms >= now.timestamp_millis() - 2_000 - 50);
            purchases += u64::from(record.event_type == events::EventType::Purchase);
            records.push(record);
        }
        assert!(generator.next_due().unwrap() > now);
    }
    // A minute: the rate holds, from the first seconds on, and all parts of the funnel are there.
    let rate = records.len() as f64 / 60.0;
    assert!((450.0..550.0).contains(&rate), "{rate}");
    let first_seconds = records.iter().filter(|r| r.time_ms < start.timestamp_millis() + 5_000).count();
    assert!((2_000..3_000).contains(&first_seconds), "{first_seconds}");
    assert!(purchases > 60, "{purchases}");
    // The same records as without a clock.
    let free: Vec<_> = Generator::new(config).unwrap().take(records.len()).collect();
    assert_eq!(free, records);
}

#[test]
fn the_limit_ends_both() {
    let config = GeneratorConfig { events: Some(10), ..GeneratorConfig::default() };
    let mut generator = Generator::new(config.clone()).unwrap();
    let far = config.start + TimeDelta::days(1);
    assert_eq!(std::iter::from_fn(|| generator.next_until(far)).count(), 10);
    assert_eq!(generator.next_due(), None);
    assert_eq!(generator.next(), None);
    assert_eq!(generator.next_until(config.start - TimeDelta::days(1)), None);
}

#[test]
fn extreme_settings_run() {
    let base = GeneratorConfig { events: Some(3_000), ..GeneratorConfig::default() };
    let with = |change: fn(&mut GeneratorConfig)| {
        let mut config = base.clone();
        change(&mut config);
        let mut generator = Generator::new(config).unwrap();
        assert_eq!(generator.by_ref().count() as u64, generator.summary().events);
        generator.summary().events
    };
    assert_eq!(with(|c| c.events_per_second = 1_000_000.0), 3_000);
    assert_eq!(with(|c| c.bot_share = 0.99), 3_000);
    assert_eq!(with(|c| c.test_share = 0.98), 3_000);
    assert_eq!(with(|c| (c.products, c.categories) = (1, 1)), 3_000);
    assert_eq!(with(|c| (c.max_active_visitors, c.max_away_visitors) = (1, 1)), 3_000);
    assert_eq!(with(|c| (c.duplicate_share, c.malformed_share, c.late_share) = (1.0, 1.0, 0.5)), 3_000);
    assert_eq!(with(|c| c.funnel.cart = 0.0), 3_000);
    assert_eq!(with(|c| (c.funnel.return_plain, c.funnel.return_with_cart) = (0.0, 0.0)), 3_000);
    assert_eq!(with(|c| c.events_per_second = 0.001), 3_000);
}
