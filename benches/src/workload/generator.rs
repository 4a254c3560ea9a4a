//! Which event comes next: visits, what is done in them, and when.

use super::{
    Shape, Workload,
    random::{Bits, Random},
    render::{Kind, Parts, Render},
};

/// Event time of the first event: 2026-01-05T00:00:00Z.
pub const START_MS: i64 = 1_767_571_200_000;

/// Products, the most popular first.
const PRODUCTS: u16 = 5_000;
/// Buckets of [`Visits`], and how much time each covers: more than two minutes together.
const BUCKETS: usize = 8_192;
const BUCKET_MS: i64 = 16;
/// No visit.
const NONE: u32 = u32::MAX;

/// What is to be known of an event besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its time, milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// Its visit's id, as in the text.
    pub session: [u8; 32],
}

/// Makes one partition's events, in the order of their arrival.
pub struct Generator {
    left: u64,
    index: u64,
    partition: u8,
    partitions: u64,
    rate: u64,
    shape: Shape,
    start_ms: i64,
    random: Random,
    /// A product for each number of 16 bits.
    popularity: Vec<u16>,
    visits: Visits,
    render: Render,
}

impl Generator {
    /// The events of partition `partition` of `partitions`. The first 256 have session ids of their own.
    pub fn new(workload: &Workload, partition: u32, partitions: u32) -> Self {
        let (number, of) = (u64::from(partition), u64::from(partitions.max(1)));
        Generator {
            left: workload.events / of + u64::from(number < workload.events % of),
            index: 0,
            partition: partition.to_le_bytes()[0],
            partitions: of,
            rate: workload.rate.max(1),
            shape: workload.shape,
            start_ms: START_MS,
            random: Random::new(workload.seed, number),
            popularity: popularity(),
            visits: Visits::new(START_MS),
            render: Render::new(PRODUCTS),
        }
    }

    /// The same with event times from `start_ms` on.
    #[must_use]
    pub fn starting_at(self, start_ms: i64) -> Self {
        Generator { start_ms, visits: Visits::new(start_ms), ..self }
    }

    /// Events to come.
    pub const fn left(&self) -> u64 {
        self.left
    }

    /// Appends the next event to `out`; `None` after the last.
    pub fn append(&mut self, out: &mut Vec<u8>) -> Option<Event> {
        self.left = self.left.checked_sub(1)?;
        let after_ms = self.index * 1_000 * self.partitions / self.rate;
        let place_ms = self.start_ms.saturating_add_unsigned(after_ms);
        self.index += 1;
        let mut bits = Bits(self.random.next());
        let behind_ms = match bits.take(3) {
            0 => (bits.take(11) * 2_001) >> 11,
            _ => bits.take(6),
        };
        Some(self.make(place_ms, place_ms - i64::from(behind_ms), bits, out))
    }

    /// Appends an event of this very time. These do not come to an end.
    pub fn append_at(&mut self, now_ms: i64, out: &mut Vec<u8>) -> Event {
        let bits = Bits(self.random.next());
        self.make(now_ms, now_ms, bits, out)
    }

    fn make(&mut self, now_ms: i64, time_ms: i64, mut bits: Bits, out: &mut Vec<u8>) -> Event {
        let kind = match bits.take(8) {
            0..192 => Kind::ProductViewed,
            192..230 => Kind::CartItemAdded,
            230..240 => Kind::OrderCompleted,
            240..250 => Kind::SearchPerformed,
            _ => Kind::CartItemRemoved,
        };
        let quantity = match kind {
            Kind::CartItemAdded | Kind::OrderCompleted => 1 + bits.take(1) + bits.take(1),
            _ => 1,
        };
        let drawn = self.popularity[usize::from(bits.take(16) as u16)];
        let visit = match self.shape {
            Shape::OpenSessions => Visit { product: drawn, ..self.arrive(1) },
            Shape::Visitors => self.visit(now_ms, kind, drawn),
        };
        let parts = Parts {
            id: [self.random.next(), self.random.next()],
            kind,
            time_ms,
            session: &visit.session,
            user: &visit.user,
            product: visit.product,
            quantity,
        };
        self.render.append(&parts, out);
        Event { time_ms, session: visit.session }
    }

    /// The visit that acts now: one that is due, or else a new one.
    fn visit(&mut self, now_ms: i64, kind: Kind, drawn: u16) -> Visit {
        let place = match self.visits.due(now_ms) {
            Some(place) => place,
            None => {
                let events = 1 + u8::try_from(self.random.next() % 15).unwrap_or(0);
                let visit = Visit { product: drawn, ..self.arrive(events) };
                self.visits.add(visit)
            }
        };
        let mut bits = Bits(self.random.next());
        let gap_ms = match bits.take(16) % 20 {
            0 => 20_000 + bits.take(32) % 70_001,
            _ => 500 + bits.take(13),
        };
        let visit = self.visits.get(place);
        if kind == Kind::ProductViewed {
            visit.product = drawn;
        }
        visit.left -= 1;
        let now = *visit;
        if now.left == 0 {
            self.visits.end(place);
        } else {
            self.visits.wait(place, now_ms + i64::from(gap_ms));
        }
        now
    }

    fn arrive(&mut self, events: u8) -> Visit {
        let [high, low] = [self.random.next(), self.random.next()];
        let mut id = [0; 16];
        id[..8].copy_from_slice(&high.to_be_bytes());
        id[8..].copy_from_slice(&low.to_be_bytes());
        id[0] = self.partition;
        let user = (self.random.next() >> 32) as u32 % 10_000_000;
        Visit {
            session: super::render::hex(id),
            user: super::render::seven_digits(user),
            left: events,
            product: 0,
            next: NONE,
        }
    }
}

/// A product for each number of 16 bits: product n has 1/n of the first one's numbers.
fn popularity() -> Vec<u16> {
    let weight = |product: u16| 1.0 / f64::from(product);
    let total: f64 = (1..=PRODUCTS).map(weight).sum();
    let mut numbers = Vec::with_capacity(1 << 16);
    let mut sum = 0.0;
    for product in 1..=PRODUCTS {
        sum += weight(product);
        // Plain divisions and sums are the same on every machine, unlike powers.
        while numbers.len() < (1 << 16) && f64::from(numbers.len() as u32) < sum / total * 65_536.0 {
            numbers.push(product);
        }
    }
    numbers.resize(1 << 16, 1);
    numbers
}

#[derive(Clone, Copy)]
struct Visit {
    session: [u8; 32],
    user: [u8; 7],
    /// Events to come.
    left: u8,
    /// What it looked at last.
    product: u16,
    /// The next visit of its bucket, or the next free place.
    next: u32,
}

/// The visits under way, by when they act next: a wheel of buckets, each a list. What is in a bucket comes
/// out in no order in particular, but always in the same.
struct Visits {
    places: Vec<Visit>,
    free: u32,
    buckets: Vec<u32>,
    /// The bucket that is being emptied, counted from the Unix epoch.
    now: i64,
}

impl Visits {
    fn new(start_ms: i64) -> Self {
        let buckets = vec![NONE; BUCKETS];
        Visits { places: Vec::new(), free: NONE, buckets, now: start_ms.div_euclid(BUCKET_MS) }
    }

    fn bucket(&mut self, number: i64) -> &mut u32 {
        let index = usize::try_from(number.rem_euclid(BUCKETS as i64)).unwrap_or_default();
        &mut self.buckets[index]
    }

    fn get(&mut self, place: u32) -> &mut Visit {
        &mut self.places[place as usize]
    }

    /// Takes a visit out that acts at `now_ms` or was to act before.
    fn due(&mut self, now_ms: i64) -> Option<u32> {
        let last = now_ms.div_euclid(BUCKET_MS);
        loop {
            let first = *self.bucket(self.now);
            if first != NONE {
                *self.bucket(self.now) = self.get(first).next;
                return Some(first);
            }
            if self.now >= last {
                return None;
            }
            self.now += 1;
        }
    }

    fn add(&mut self, visit: Visit) -> u32 {
        let place = self.free;
        if place == NONE {
            self.places.push(visit);
            return u32::try_from(self.places.len() - 1).unwrap_or_default();
        }
        self.free = self.get(place).next;
        *self.get(place) = visit;
        place
    }

    fn wait(&mut self, place: u32, due_ms: i64) {
        // Behind the one that is being emptied, and not a whole turn of the wheel ahead.
        let bucket = due_ms.div_euclid(BUCKET_MS).clamp(self.now + 1, self.now + BUCKETS as i64 - 1);
        let first = std::mem::replace(self.bucket(bucket), place);
        self.get(place).next = first;
    }

    fn end(&mut self, place: u32) {
        self.get(place).next = self.free;
        self.free = place;
    }
}
