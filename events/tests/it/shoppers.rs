//! Behaviour: funnel, popularity, returns, sessions, bots.

use std::collections::{BTreeMap, HashMap, HashSet};

use events::{Event, EventType, Generator, GeneratorConfig, Kind, Product, Traffic};

use crate::{generate, some};

/// Times of a cart's events, their types, their sessions.
type CartLife<'a> = (Vec<i64>, HashSet<EventType>, HashSet<&'a str>);

/// Events of a clean run, in event-time order.
fn clean(config: GeneratorConfig) -> Vec<Event> {
    let (records, _) = generate(config.without_faults());
    records.iter().map(|r| serde_json::from_slice(&r.payload).unwrap()).collect()
}

#[test]
fn the_funnel_has_its_ratios() {
    let events = clean(some(600_000));
    let mut sessions: HashMap<&str, HashSet<EventType>> = HashMap::new();
    for event in events.iter().filter(|e| e.traffic == Traffic::Human && e.event_type != EventType::Refund) {
        sessions.entry(&event.session_id).or_default().insert(event.event_type);
    }
    let share = |t| sessions.values().filter(|s| s.contains(&t)).count() as f64 / sessions.len() as f64;
    let (cart, checkout, purchase) =
        (share(EventType::AddToCart), share(EventType::BeginCheckout), share(EventType::Purchase));
    assert!((0.08..0.10).contains(&cart), "{cart}");
    assert!((0.04..0.06).contains(&checkout), "{checkout}");
    assert!((0.025..0.035).contains(&purchase), "{purchase}");
    assert!(share(EventType::ViewCart) > checkout && share(EventType::AddPaymentInfo) > purchase);
    let taken_out = share(EventType::RemoveFromCart);
    assert!((0.002..0.02).contains(&taken_out), "{taken_out}");
    // Event time advances as set.
    let span = (events[events.len() - 1].time - events[0].time).num_milliseconds() as f64 / 1_000.0;
    let rate = events.len() as f64 / span;
    assert!((190.0..210.0).contains(&rate), "{rate}");
}

#[test]
fn carts_are_left_behind_and_some_are_recovered_after_an_hour() {
    // A thin shop over a long time.
    let events = clean(GeneratorConfig { events_per_second: 20.0, ..some(600_000) });
    let mut carts: BTreeMap<&str, CartLife> = BTreeMap::new();
    for event in &events {
        if let Some(cart) = &event.cart_id {
            let (times, types, sessions) = carts.entry(cart).or_default();
            times.push(event.timestamp_ms());
            types.insert(event.event_type);
            sessions.insert(&event.session_id);
        }
    }
    let whole: Vec<_> =
        carts.values().filter(|(_, types, _)| types.contains(&EventType::AddToCart)).collect();
    let bought: Vec<_> = whole.iter().filter(|(_, types, _)| types.contains(&EventType::Purchase)).collect();
    let recovered =
        bought.iter().filter(|(times, ..)| times.windows(2).any(|w| w[1] - w[0] > 3_600_000)).count();
    let abandoned = 1.0 - bought.len() as f64 / whole.len() as f64;
    assert!((0.55..0.75).contains(&abandoned), "{abandoned}");
    let share = recovered as f64 / bought.len() as f64;
    assert!((0.03..0.25).contains(&share), "{share}");
    assert!(bought.iter().any(|(_, _, sessions)| sessions.len() > 1));
}

#[test]
fn a_visit_is_a_session_and_visitors_come_back() {
    let events = clean(GeneratorConfig { events_per_second: 20.0, ..some(300_000) });
    let mut last: HashMap<&str, (&str, i64)> = HashMap::new();
    let mut back = 0;
    for event in events.iter().filter(|e| e.event_type != EventType::Refund) {
        if let Some((session, time_ms)) =
            last.insert(&event.anonymous_id, (&event.session_id, event.timestamp_ms()))
        {
            let gap = event.timestamp_ms() - time_ms;
            assert_eq!(session == event.session_id, gap <= 1_800_000, "{gap} ms between {event:?}");
            back += i32::from(session != event.session_id);
        }
    }
    let sessions = events.iter().map(|e| &e.session_id).collect::<HashSet<_>>().len();
    let share = f64::from(back) / sessions as f64;
    assert!((0.1..0.3).contains(&share), "{share}");
}

#[test]
fn what_goes_into_a_cart_comes_out_of_it() {
    let events = clean(GeneratorConfig { events_per_second: 20.0, ..some(300_000) });
    // Only carts whose first event is in the stream's second half: none of these began before the start.
    let mut carts: HashMap<&str, Option<BTreeMap<i64, i64>>> = HashMap::new();
    let mut compared = 0;
    for event in events.iter().filter(|e| e.cart_id.is_some()) {
        let fresh = event.event_type == EventType::AddToCart && event.time > events[150_000].time;
        let cart = carts.entry(event.cart_id.as_deref().unwrap()).or_insert(fresh.then(BTreeMap::new));
        let Some(cart) = cart else { continue };
        let (product, quantity) = (event.product_id.unwrap_or(0), event.quantity.unwrap_or(0));
        match event.event_type {
            EventType::AddToCart => *cart.entry(product).or_default() += quantity,
            EventType::RemoveFromCart | EventType::PurchaseItem => {
                assert_eq!(cart.remove(&product), Some(quantity), "{event:?}");
                compared += 1;
            }
            _ => {}
        }
    }
    assert!(compared > 500, "{compared}");
}

#[test]
fn popular_products_are_far_ahead() {
    let events = clean(some(200_000));
    let mut views: BTreeMap<i64, u64> = BTreeMap::new();
    for event in events.iter().filter(|e| e.event_type == EventType::ViewItem) {
        *views.entry(event.product_id.unwrap()).or_default() += 1;
    }
    assert!(views.keys().all(|id| (1..=500).contains(id)));
    assert!(views.len() > 490);
    let mut counts: Vec<_> = views.into_values().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let total: u64 = counts.iter().sum();
    let (head, tail) = (counts[..50].iter().sum::<u64>(), counts[250..].iter().sum::<u64>());
    // Zipf with exponent 1 over 500: 66 % to the first tenth, 10 % to the second half.
    assert!(head as f64 / total as f64 > 0.6 && (tail as f64) < 0.13 * total as f64, "{head} {tail} {total}");
    assert!(counts[0] as f64 / counts[1] as f64 > 1.5);
}

#[test]
fn bots_only_view_and_are_fast() {
    let events = clean(some(100_000));
    let bots: Vec<_> = events.iter().filter(|e| e.traffic == Traffic::Bot).collect();
    assert!(bots.len() > 3_000 && bots.len() < 12_000, "{}", bots.len());
    assert!(bots.iter().all(|e| e.event_type == EventType::ViewItem && e.user_id.is_none()));
    let mut sessions: HashMap<&str, Vec<i64>> = HashMap::new();
    for event in bots {
        sessions.entry(&event.session_id).or_default().push(event.timestamp_ms());
    }
    let gaps: Vec<i64> = sessions.values().flat_map(|times| times.windows(2).map(|w| w[1] - w[0])).collect();
    let mean = gaps.iter().sum::<i64>() / gaps.len() as i64;
    assert!((300..700).contains(&mean), "{mean}");
}

#[test]
fn a_given_catalogue_is_used() {
    let product = |id, price_minor| Product { id, category_id: id % 3 + 1, price_minor };
    let products = vec![product(7, 100), product(11, 250), product(400, 0)];
    let catalogue = events::Catalogue::new(products.clone(), 1.0, 5).unwrap();
    let generator = Generator::with_catalogue(some(30_000), catalogue).unwrap();
    assert_eq!(generator.catalogue().products(), products);
    for record in generator.filter(|r| !matches!(r.kind, Kind::Malformed(_))) {
        let event: Event = serde_json::from_slice(&record.payload).unwrap();
        let Some(id) = event.product_id else { continue };
        let product = products.iter().find(|p| i64::from(p.id) == id).unwrap();
        assert_eq!(event.category_id, Some(i64::from(product.category_id)));
        assert!(event.price_minor.is_none_or(|price| price == i64::from(product.price_minor)));
    }
}
