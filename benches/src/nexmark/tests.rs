//! What is generated. The queries are held against batch SQL in `tests/nexmark.rs`.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;
use tempfile::TempDir;

use super::*;

fn nexmark(events: u64, files: usize) -> Nexmark {
    // 500 a second: 50,000 events are 100 seconds, so that windows of ten close on the way.
    Nexmark { events, seed: 7, events_per_second: 500, files }
}

fn objects(folder: &Path, file: usize) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join(format!("part-{file}.jsonl"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn proportions_and_ranges_are_those_of_the_specification() {
    let data = TempDir::new().unwrap();
    let files = nexmark(50_000, 2).files(data.path()).unwrap();
    for file in 0..2 {
        let objects = objects(&files.folder, file);
        let mut kinds = BTreeMap::new();
        let mut last = String::new();
        let (mut hot, mut bytes) = (0, 0);
        for object in &objects {
            let number = |name: &str| object[name].as_u64().unwrap();
            *kinds.entry(number("event_type")).or_insert(0) += 1;
            let time = object["date_time"].as_str().unwrap();
            assert!(last.as_str() <= time, "events are in order");
            time.clone_into(&mut last);
            match number("event_type") {
                0 => assert!((1_000..2_000).contains(&number("id")), "1,000 persons in 50,000 events"),
                1 => {
                    assert!((1_000..4_000).contains(&number("id")));
                    assert!((10..15).contains(&number("category")));
                    assert!(number("reserve") > number("initial_bid"));
                    assert!(object["expires"].as_str().unwrap() > time);
                }
                _ => {
                    assert!((1_000..4_010).contains(&number("auction")));
                    assert!((1_000..2_010).contains(&number("bidder")));
                    assert!((100..=100_000_000).contains(&number("price")));
                    hot += u64::from(number("auction") % 100 == 0);
                    bytes += 4 * 8 + object["extra"].as_str().unwrap().len();
                }
            }
        }
        assert_eq!(kinds, BTreeMap::from([(0, 500), (1, 1_500), (2, 23_000)]));
        // Half of the bids, and the few of the rest that fall on a hundredth auction.
        assert!((11_500..12_500).contains(&hot), "{hot}");
        assert!((95..105).contains(&(bytes / 23_000)), "{bytes}");
    }
}

#[test]
fn files_are_the_same_bytes_and_kept() {
    let (data, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let first = nexmark(1_000, 1).files(data.path()).unwrap();
    let second = nexmark(1_000, 1).files(other.path()).unwrap();
    let read = |files: &NexmarkFiles| std::fs::read(files.folder.join("part-0.jsonl")).unwrap();
    assert_eq!(read(&first), read(&second));
    assert_eq!(u64::try_from(read(&first).len()).unwrap(), first.bytes + 1_000);

    let part = first.folder.join("part-0.jsonl");
    let written = std::fs::metadata(&part).unwrap().modified().unwrap();
    nexmark(1_000, 1).files(data.path()).unwrap();
    assert_eq!(std::fs::metadata(&part).unwrap().modified().unwrap(), written);
}
