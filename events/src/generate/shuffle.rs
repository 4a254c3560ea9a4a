//! Another arrival order of the same records, for tests.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use uuid::Uuid;

use super::random::below;
use super::{Generated, Kind};

/// Permutes records so that none but a late one lies more than `delay` below the highest event time before
/// it. With a watermark that trails by `delay` or more, a consumer's final results must not change.
///
/// What was true stays true: a late record arrives only after an event time at least as high as the one it
/// was late behind, so it is at least as late as before; a duplicate comes after its original. Of records
/// with one key the order may change, also of an order and its lines.
pub fn shuffle_within(events: Vec<Generated>, delay: Duration, seed: u64) -> Vec<Generated> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX - 1).min(u64::MAX - 1);
    let mut highest = i64::MIN;
    let mut arrival_of: HashMap<(&'static str, Uuid), i64> = HashMap::new();
    let mut on_time: Vec<(i64, usize)> = Vec::with_capacity(events.len());
    // The event time that a late record was late behind.
    let mut late: BinaryHeap<Reverse<(i64, usize)>> = BinaryHeap::new();
    for (i, event) in events.iter().enumerate() {
        if event.kind == Kind::Late {
            late.push(Reverse((highest, i)));
            continue;
        }
        highest = highest.max(event.time_ms);
        let shift = i64::try_from(below(&mut rng, delay_ms + 1)).unwrap_or(i64::MAX);
        let mut arrival = event.time_ms.saturating_add(shift);
        match event.kind {
            Kind::OnTime => {
                arrival_of.insert((event.source, event.id), arrival);
            }
            Kind::Duplicate => {
                let original = arrival_of.get(&(event.source, event.id));
                arrival = arrival.max(original.copied().unwrap_or(arrival));
            }
            Kind::Late | Kind::Malformed(_) => {}
        }
        on_time.push((arrival, i));
    }
    // Equal arrivals keep their order, so a duplicate stays behind its original.
    on_time.sort_unstable();

    let mut slots: Vec<Option<Generated>> = events.into_iter().map(Some).collect();
    let mut shuffled = Vec::with_capacity(slots.len());
    let mut highest = i64::MIN;
    let mut on_time = on_time.into_iter();
    loop {
        while late.peek().is_some_and(|Reverse((behind, _))| *behind <= highest) {
            let Some(Reverse((_, i))) = late.pop() else { break };
            shuffled.extend(slots[i].take());
        }
        let Some((_, i)) = on_time.next() else { break };
        if let Some(event) = slots[i].take() {
            highest = highest.max(event.time_ms);
            shuffled.push(event);
        }
    }
    shuffled
}
