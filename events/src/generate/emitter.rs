//! From an act to records: drafts of the events, then the faults, then the arrival order.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;
use uuid::Uuid;

use super::arrival::Arrivals;
use super::catalogue::Catalogue;
use super::config::GeneratorConfig;
use super::random::{Chance, below};
use super::visitor::{Act, Cart, Line, Visitor, random_uuid};
use super::writer::{Draft, Writer};
use super::{Flaw, Generated, Kind};
use crate::EventType;

/// Shares of faults, and their random stream.
#[derive(Debug)]
struct Faults {
    rng: ChaCha8Rng,
    late: Chance,
    duplicate: Chance,
    malformed: Chance,
    max_disorder_ms: u64,
    late_by_ms: (u64, u64),
    /// The most by which a copy follows its original.
    copy_within_ms: u64,
}

/// How the records of one act arrive; those of an order stay together.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    /// When the collector gets it.
    received_ms: i64,
    late: bool,
}

/// From sending to reception, of what a browser sends when it is online again.
const UPLOAD_MS: i64 = 40;
/// Events between an original and its copy, about.
const COPY_WITHIN_EVENTS: f64 = 2_000.0;

/// Writes records and puts them into arrival order.
#[derive(Debug)]
pub(crate) struct Emitter {
    faults: Faults,
    writer: Writer,
    pub(crate) arrivals: Arrivals,
}

impl Emitter {
    pub(crate) fn new(config: &GeneratorConfig, rng: ChaCha8Rng) -> Self {
        let ms = |duration: Duration| duration.as_millis() as u64;
        Emitter {
            faults: Faults {
                rng,
                late: Chance::new(config.late_share),
                duplicate: Chance::new(config.duplicate_share),
                malformed: Chance::new(config.malformed_share),
                max_disorder_ms: ms(config.max_disorder),
                late_by_ms: (ms(*config.late_by.start()), ms(*config.late_by.end())),
                copy_within_ms: (COPY_WITHIN_EVENTS / config.events_per_second * 1_000.0) as u64,
            },
            writer: Writer::new(&config.currency),
            arrivals: Arrivals::new(),
        }
    }

    /// Writes what a visitor did. Gives the order, where it was a purchase, as the draft of its full refund
    /// and the value of its first line.
    pub(crate) fn act(
        &mut self,
        rng: &mut impl RngCore,
        catalogue: &Catalogue,
        visitor: &Visitor,
        act: Act,
        time_ms: i64,
    ) -> Option<(Draft, u64)> {
        let arrival = self.faults.arrival(time_ms);
        let mut draft = draft(visitor, time_ms);
        match act {
            Act::Purchase(cart) => return Some(self.order(rng, catalogue, draft, &cart, arrival)),
            Act::ViewList { product } => {
                draft.event_type = EventType::ViewItemList;
                draft.category_id = catalogue.at(product).category_id;
            }
            Act::View { product } => {
                draft.event_type = EventType::ViewItem;
                let product = catalogue.at(product);
                (draft.product_id, draft.category_id) = (product.id, product.category_id);
            }
            Act::Add(line) => {
                draft.event_type = EventType::AddToCart;
                of_line(&mut draft, catalogue, line);
            }
            Act::Remove(line) => {
                draft.event_type = EventType::RemoveFromCart;
                of_line(&mut draft, catalogue, line);
            }
            Act::ViewCart => draft.event_type = EventType::ViewCart,
            Act::BeginCheckout => draft.event_type = EventType::BeginCheckout,
            Act::AddPaymentInfo => draft.event_type = EventType::AddPaymentInfo,
        }
        if draft.event_type.topic() == crate::Topic::CartEvents {
            draft.cart_id = visitor.cart.id;
        }
        draft.id = random_uuid(rng);
        self.put(draft, arrival);
        None
    }

    /// One `purchase` and its lines.
    fn order(
        &mut self,
        rng: &mut impl RngCore,
        catalogue: &Catalogue,
        mut draft: Draft,
        cart: &Cart,
        arrival: Arrival,
    ) -> (Draft, u64) {
        let discounted = below(rng, 7) == 0;
        let value = |line: &Line| {
            let full = u64::from(catalogue.at(line.product).price_minor) * u64::from(line.quantity);
            if discounted { full * 9 / 10 } else { full }
        };
        draft.source = "api";
        draft.cart_id = cart.id;
        draft.order_id = random_uuid(rng);
        draft.event_type = EventType::Purchase;
        draft.value_minor = Some(cart.lines().iter().map(value).sum());
        draft.id = random_uuid(rng);
        self.put(draft, arrival);
        for (number, line) in (1..).zip(cart.lines()) {
            let mut item = Draft { event_type: EventType::PurchaseItem, line: number, ..draft };
            of_line(&mut item, catalogue, *line);
            item.value_minor = Some(value(line));
            item.id = random_uuid(rng);
            self.put(item, arrival);
        }
        let refund = Draft { event_type: EventType::Refund, cart_id: Uuid::nil(), ..draft };
        (refund, cart.lines().first().map_or(0, value))
    }

    /// Writes the refund of an order that [`Emitter::act`] gave.
    pub(crate) fn refund(&mut self, rng: &mut impl RngCore, refund: Draft, time_ms: i64) {
        let arrival = self.faults.arrival(time_ms);
        self.put(Draft { id: random_uuid(rng), time_ms, ..refund }, arrival);
    }

    /// Late views of a time before `start_ms`: those that would be on their way at the start. `per_ms` is the
    /// mean rate of late events.
    pub(crate) fn late_views_before(
        &mut self,
        start_ms: i64,
        per_ms: f64,
        catalogue: &Catalogue,
        arrive: impl Fn(&mut ChaCha8Rng) -> Visitor,
    ) {
        let (low, high) = self.faults.late_by_ms;
        let count = (per_ms * (low + high) as f64 / 2.0).round() as u64;
        for _ in 0..count {
            // Those late by more are more often on their way: accept in proportion.
            let late_by = loop {
                let late_by = self.faults.late_by_ms();
                if below(&mut self.faults.rng, high.max(1)) <= late_by {
                    break late_by;
                }
            };
            let age = below(&mut self.faults.rng, late_by) as i64;
            let time_ms = start_ms - 1 - age;
            let visitor = arrive(&mut self.faults.rng);
            let product = catalogue.at(catalogue.pick(&mut self.faults.rng));
            let mut draft = draft(&visitor, time_ms);
            draft.id = random_uuid(&mut self.faults.rng);
            (draft.product_id, draft.category_id) = (product.id, product.category_id);
            self.put(draft, Arrival { received_ms: time_ms + late_by as i64, late: true });
        }
    }

    fn put(&mut self, mut draft: Draft, arrival: Arrival) {
        draft.received_ms = arrival.received_ms;
        if arrival.late {
            // A browser that was offline says when it could send; orders come from the server.
            let sent_ms = (arrival.received_ms - UPLOAD_MS).max(draft.time_ms);
            draft.sent_ms = (draft.source == "web").then_some(sent_ms);
            let record = record(&draft, self.writer.write(&draft), Kind::Late);
            self.arrivals.hold(arrival.received_ms, record);
            return;
        }
        let faults = &mut self.faults;
        let record_on_time = record(&draft, self.writer.write(&draft), Kind::OnTime);
        let copy = faults.duplicate.hit(&mut faults.rng).then(|| record_on_time.clone());
        self.arrivals.push(arrival.received_ms, record_on_time);
        if let Some(copy) = copy {
            let latest = draft.time_ms + faults.max_disorder_ms as i64;
            let span = ((latest - arrival.received_ms).max(0) as u64).min(faults.copy_within_ms);
            let after = below(&mut faults.rng, span + 1) as i64;
            self.arrivals.push(arrival.received_ms + after, Generated { kind: Kind::Duplicate, ..copy });
        }
        if faults.malformed.hit(&mut faults.rng) {
            draft.id = random_uuid(&mut faults.rng);
            let flaw = Flaw::draw(&mut faults.rng);
            let payload = flaw.apply(self.writer.write(&draft), &mut faults.rng);
            self.arrivals.push(arrival.received_ms, record(&draft, payload, Kind::Malformed(flaw)));
        }
    }
}

impl Faults {
    fn arrival(&mut self, time_ms: i64) -> Arrival {
        if self.late.hit(&mut self.rng) {
            return Arrival { received_ms: time_ms + self.late_by_ms() as i64, late: true };
        }
        // The square of a uniform draw: most arrive soon, some just within the bound.
        let draw = u64::from(self.rng.next_u32() >> 16);
        let delay = self.max_disorder_ms * draw * draw / (0xffff * 0xffff);
        Arrival { received_ms: time_ms + delay as i64, late: false }
    }

    fn late_by_ms(&mut self) -> u64 {
        let (low, high) = self.late_by_ms;
        low + below(&mut self.rng, high - low + 1)
    }
}

/// The envelope of a visitor's event: a `view_item` until it is said otherwise.
pub(crate) fn draft(visitor: &Visitor, time_ms: i64) -> Draft {
    Draft {
        id: Uuid::nil(),
        source: "web",
        event_type: EventType::ViewItem,
        time_ms,
        received_ms: time_ms,
        sent_ms: None,
        session_id: visitor.session_id,
        anonymous_id: visitor.anonymous_id,
        user: visitor.user,
        traffic: visitor.traffic,
        product_id: 0,
        category_id: 0,
        quantity: 0,
        price_minor: None,
        cart_id: Uuid::nil(),
        order_id: Uuid::nil(),
        line: 0,
        value_minor: None,
    }
}

fn of_line(draft: &mut Draft, catalogue: &Catalogue, line: Line) {
    let product = catalogue.at(line.product);
    (draft.product_id, draft.category_id) = (product.id, product.category_id);
    draft.quantity = line.quantity;
    draft.price_minor = Some(u64::from(product.price_minor));
}

fn record(draft: &Draft, payload: Vec<u8>, kind: Kind) -> Generated {
    let mut text = Uuid::encode_buffer();
    Generated {
        topic: draft.event_type.topic(),
        key: draft.anonymous_id.hyphenated().encode_lower(&mut text).to_owned(),
        payload,
        time_ms: draft.time_ms,
        kind,
        event_type: draft.event_type,
        traffic: draft.traffic,
        id: draft.id,
        source: draft.source,
    }
}
