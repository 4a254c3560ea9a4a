//! The three entities, and how an event's number decides what it is.

use serde::Serialize;

use super::{clock::Clock, random::Random};

/// Of every 50 events, in this order: 1 person, 3 auctions, 46 bids.
const PERSONS: u64 = 1;
const AUCTIONS: u64 = 3;
const EPOCH: u64 = 50;

/// Ids and categories do not begin at 0, so that small streams match the queries too.
const FIRST_PERSON: u64 = 1_000;
const FIRST_AUCTION: u64 = 1_000;
const FIRST_CATEGORY: u64 = 10;
const CATEGORIES: u64 = 5;

/// One in so many sellers, bidders and auctions is a hot one …
const HOT_EVERY: u64 = 100;
/// … and it gets all but one in so many auctions or bids.
const HOT_SELLER_RATIO: u64 = 4;
const HOT_BIDDER_RATIO: u64 = 4;
const HOT_AUCTION_RATIO: u64 = 2;

/// Auctions that are open at any time, people who take part.
const OPEN_AUCTIONS: u64 = 100;
const ACTIVE_PERSONS: u64 = 1_000;
/// Ids that may be named before their person or auction has come.
const LEAD: u64 = 10;

/// Idealised sizes in bytes, 8 a number: what `extra` fills up to.
const PERSON_BYTES: usize = 200;
const AUCTION_BYTES: usize = 500;
const BID_BYTES: usize = 100;

const CHANNELS: u64 = 10_000;
const HOT_CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];
const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];
const CITIES: [&str; 10] = [
    "Phoenix",
    "Los Angeles",
    "San Francisco",
    "Boise",
    "Portland",
    "Bend",
    "Redmond",
    "Seattle",
    "Kent",
    "Cheyenne",
];
const FIRST_NAMES: [&str; 11] =
    ["Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"];
const LAST_NAMES: [&str; 9] =
    ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"];

/// One event, as the fields of one JSON object.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Event {
    Person(Person),
    Auction(Auction),
    Bid(Bid),
}

#[derive(Debug, Serialize)]
pub(super) struct Person {
    event_type: u8,
    id: u64,
    name: String,
    email_address: String,
    credit_card: String,
    city: &'static str,
    state: &'static str,
    date_time: String,
    extra: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Auction {
    event_type: u8,
    id: u64,
    item_name: String,
    description: String,
    initial_bid: u64,
    reserve: u64,
    date_time: String,
    expires: String,
    seller: u64,
    category: u64,
    extra: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Bid {
    event_type: u8,
    auction: u64,
    bidder: u64,
    price: u64,
    channel: String,
    url: String,
    date_time: String,
    extra: String,
}

/// The event with this number, from 0 on.
pub(super) fn event(number: u64, seed: u64, clock: &mut Clock) -> Event {
    let mut random = Random::new(seed, number);
    let position = number % EPOCH;
    if position < PERSONS {
        Event::Person(person(number, &mut random, clock))
    } else if position < PERSONS + AUCTIONS {
        Event::Auction(auction(number, &mut random, clock))
    } else {
        Event::Bid(bid(number, seed, &mut random, clock))
    }
}

fn person(number: u64, random: &mut Random, clock: &mut Clock) -> Person {
    let name = format!("{} {}", random.one_of(&FIRST_NAMES), random.one_of(&LAST_NAMES));
    let email_address = format!("{}@{}.com", random.words(7), random.words(5));
    let [a, b, c, d] = [(); 4].map(|()| random.below(10_000));
    let credit_card = format!("{a:04} {b:04} {c:04} {d:04}");
    let (city, state) = (random.one_of(&CITIES), random.one_of(&STATES));
    let size = 8 + name.len() + email_address.len() + credit_card.len() + city.len() + state.len();
    Person {
        event_type: 0,
        id: FIRST_PERSON + last_person(number),
        name,
        email_address,
        credit_card,
        city,
        state,
        date_time: time(number, clock),
        extra: random.filler(size, PERSON_BYTES),
    }
}

fn auction(number: u64, random: &mut Random, clock: &mut Clock) -> Auction {
    let seller = match random.is_hot(HOT_SELLER_RATIO) {
        true => last_person(number) / HOT_EVERY * HOT_EVERY,
        false => some_person(number, random),
    };
    let category = FIRST_CATEGORY + random.below(CATEGORIES);
    let initial_bid = random.price();
    // On average an auction ends when as many more have begun as are open at a time.
    let now = clock.millis(number);
    let horizon = clock.millis(number + OPEN_AUCTIONS * EPOCH / AUCTIONS) - now;
    let expires = now + 1 + random.below((2 * horizon).max(1));
    let (item_name, description) = (random.words(20), random.words(100));
    let reserve = initial_bid + random.price();
    let size = 8 + item_name.len() + description.len() + 5 * 8;
    Auction {
        event_type: 1,
        id: FIRST_AUCTION + last_auction(number),
        item_name,
        description,
        initial_bid,
        reserve,
        date_time: clock.text(now),
        expires: clock.text(expires),
        seller: FIRST_PERSON + seller,
        category,
        extra: random.filler(size, AUCTION_BYTES),
    }
}

fn bid(number: u64, seed: u64, random: &mut Random, clock: &mut Clock) -> Bid {
    let auction = match random.is_hot(HOT_AUCTION_RATIO) {
        true => last_auction(number) / HOT_EVERY * HOT_EVERY,
        false => some_auction(number, random),
    };
    let bidder = match random.is_hot(HOT_BIDDER_RATIO) {
        // The second of its hundred: the first is the hot seller.
        true => last_person(number) / HOT_EVERY * HOT_EVERY + 1,
        false => some_person(number, random),
    };
    let price = random.price();
    let (channel, url) = channel(random, seed);
    Bid {
        event_type: 2,
        auction: FIRST_AUCTION + auction,
        bidder: FIRST_PERSON + bidder,
        price,
        channel,
        url,
        date_time: time(number, clock),
        extra: random.filler(4 * 8, BID_BYTES),
    }
}

/// A channel and its address: every second bid comes by one of four, the others by one of 10,000.
fn channel(random: &mut Random, seed: u64) -> (String, String) {
    if random.is_hot(2) {
        let name = random.one_of(&HOT_CHANNELS);
        let number = HOT_CHANNELS.iter().position(|other| *other == name).unwrap_or_default();
        let number = CHANNELS + u64::try_from(number).unwrap_or_default();
        return (name.to_owned(), url(&mut Random::new(!seed, number)));
    }
    let number = random.below(CHANNELS);
    // Drawn from the channel's number, so that it has the same address each time.
    let mut random = Random::new(!seed, number);
    let mut url = url(&mut random);
    if random.below(10) > 0 {
        let reversed = u32::try_from(number).unwrap_or_default().reverse_bits();
        url.push_str(&format!("&channel_id={}", i32::from_ne_bytes(reversed.to_ne_bytes()).unsigned_abs()));
    }
    (format!("channel-{number}"), url)
}

fn url(random: &mut Random) -> String {
    let mut part = || random.words(5).replace(' ', "_");
    format!("https://www.nexmark.com/{}/{}/{}/item.htm?query=1", part(), part(), part())
}

fn time(number: u64, clock: &mut Clock) -> String {
    let millis = clock.millis(number);
    clock.text(millis)
}

/// The newest person when this event comes, itself if it is one; counted from 0. A person opens each epoch.
fn last_person(number: u64) -> u64 {
    number / EPOCH
}

/// The newest auction when this event comes, itself if it is one; counted from 0. Not for persons: before the
/// first of them there is no auction.
fn last_auction(number: u64) -> u64 {
    let position = (number % EPOCH).saturating_sub(PERSONS);
    number / EPOCH * AUCTIONS + position.min(AUCTIONS - 1)
}

fn some_person(number: u64, random: &mut Random) -> u64 {
    let persons = last_person(number) + 1;
    let active = persons.min(ACTIVE_PERSONS);
    persons - active + random.below(active + LEAD)
}

fn some_auction(number: u64, random: &mut Random) -> u64 {
    let last = last_auction(number);
    let first = last.saturating_sub(OPEN_AUCTIONS);
    first + random.below(last - first + 1 + LEAD)
}
