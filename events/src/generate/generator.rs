//! The population of the shop and its clock: who acts next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use chrono::{DateTime, Utc};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::Generated;
use super::catalogue::Catalogue;
use super::config::GeneratorConfig;
use super::emitter::{Emitter, draft};
use super::random::{Chance, Durations, below};
use super::steady::{Pauses, Sample, someone};
use super::summary::{Counts, Summary};
use super::visitor::{Behaviour, Visitor, random_uuid};
use super::writer::Draft;
use crate::{Error, EventType, Traffic};

/// Who acts, at a time in the queue.
#[derive(Debug, Clone, Copy)]
enum Agent {
    Active(Visitor),
    Away(Visitor),
    Refund(Draft),
    Free,
}

/// Traffic of a shop, as an iterator of records in arrival order. See [`crate::generate`] for the model.
///
/// It reads no clock. [`Iterator::next`] goes as fast as it can; [`Generator::next_until`] gives out what is
/// due at a time that the caller supplies, for a stream whose event time is the caller's clock. Without a
/// limit on its records the stream ends after 400 years of event time.
#[derive(Debug)]
pub struct Generator {
    behaviour: Behaviour,
    pauses: Pauses,
    /// Gaps between new visitors, in units of `gap_unit_ns`.
    gaps: Durations,
    gap_unit_ns: f64,
    refund: Chance,
    max_away: usize,
    limit: u64,
    start_ms: i64,

    rng: ChaCha8Rng,
    emitter: Emitter,
    agents: Vec<Agent>,
    free: Vec<u32>,
    /// Event time in milliseconds since the Unix epoch, and the agent's place.
    queue: BinaryHeap<Reverse<(i64, u32)>>,
    /// Visitors and refunds waiting between two visits.
    away: usize,
    /// When the next new visitor comes, in nanoseconds since the start.
    next_visitor_ns: u64,
    counts: Counts,
}

const MEAN_GAP_UNITS: f64 = 1_048_576.0;
const LONGEST_MS: i64 = 400 * 366 * 86_400_000;

impl Generator {
    /// A generator over a catalogue derived from the seed.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first setting out of its bounds.
    pub fn new(config: GeneratorConfig) -> Result<Self, Error> {
        let catalogue =
            Catalogue::derived(config.products, config.categories, config.zipf_exponent, config.seed)?;
        Generator::with_catalogue(config, catalogue)
    }

    /// A generator over the given products, for example those of a shop's database; `products`, `categories`
    /// and `zipf_exponent` of the settings are not used.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first setting out of its bounds.
    pub fn with_catalogue(config: GeneratorConfig, catalogue: Catalogue) -> Result<Self, Error> {
        config.validate()?;
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        let mut fault_rng = rng.clone();
        fault_rng.set_stream(1);
        let refund = Chance::new(config.funnel.refund);
        let mut pauses = Pauses::new();

        let mut behaviour = Behaviour::new(&config, catalogue, 1.0);
        let mut sample = Sample::take(&behaviour, &pauses, refund, &mut rng);
        let mut visitors_per_ms = config.events_per_second / 1_000.0 / sample.events_per_visitor;
        let mut away = visitors_per_ms * sample.returns_per_visitor * pauses.away.mean();
        let most_away = f64::from(config.max_away_visitors);
        if away > most_away {
            behaviour = Behaviour::new(&config, behaviour.catalogue, most_away / away);
            sample = Sample::take(&behaviour, &pauses, refund, &mut rng);
            visitors_per_ms = config.events_per_second / 1_000.0 / sample.events_per_visitor;
            away = (visitors_per_ms * sample.returns_per_visitor * pauses.away.mean()).min(most_away);
        }
        let mut active = visitors_per_ms * sample.active_ms_per_visitor;
        let most_active = f64::from(config.max_active_visitors);
        if active > most_active {
            pauses = pauses.hurried(most_active / active);
            active = most_active;
        }
        let refunds = config.funnel.refund * sample.orders_per_visitor * visitors_per_ms * pauses.away.mean();

        let mut generator = Generator {
            gaps: Durations::exponential(MEAN_GAP_UNITS),
            gap_unit_ns: 1e6 / visitors_per_ms / MEAN_GAP_UNITS,
            refund,
            // The mean is at the setting where the rate asks for it; the rest is room to vary.
            max_away: (most_away * 1.25) as usize,
            limit: config.events.unwrap_or(u64::MAX),
            start_ms: config.start.timestamp_millis(),
            emitter: Emitter::new(&config, fault_rng),
            behaviour,
            pauses,
            rng,
            agents: Vec::new(),
            free: Vec::new(),
            queue: BinaryHeap::new(),
            away: 0,
            next_visitor_ns: 0,
            counts: Counts::default(),
        };
        generator.fill(&sample, active, away, refunds);
        let late_per_ms = config.late_share * config.events_per_second / 1_000.0;
        let Generator { emitter, behaviour, start_ms, .. } = &mut generator;
        emitter.late_views_before(*start_ms, late_per_ms, &behaviour.catalogue, |rng| behaviour.arrive(rng));
        Ok(generator)
    }

    /// The products of the shop.
    pub fn catalogue(&self) -> &Catalogue {
        &self.behaviour.catalogue
    }

    /// Counts of the records given out so far.
    pub fn summary(&self) -> Summary {
        self.counts.summary()
    }

    /// The next record that has arrived by `now`; `None` when there is none, or when the stream has ended.
    /// With `start` set to the caller's present and `now` to its clock at each call, event time is the
    /// clock's: no record has an event time after `now`. After a pause of the caller everything that has
    /// become due is given out at once.
    pub fn next_until(&mut self, now: DateTime<Utc>) -> Option<Generated> {
        self.advance(now.timestamp_millis())
    }

    /// When to call [`Generator::next_until`] again after it gave `None`: nothing arrives before this time.
    /// `None` when the stream has ended.
    pub fn next_due(&self) -> Option<DateTime<Utc>> {
        let acts = self.next_act_ms();
        let due = self.emitter.arrivals.next_ms().map_or(acts, |arrival| arrival.min(acts));
        if self.counts.events >= self.limit || due > self.start_ms + LONGEST_MS {
            return None;
        }
        DateTime::from_timestamp_millis(due)
    }

    fn advance(&mut self, until_ms: i64) -> Option<Generated> {
        if self.counts.events >= self.limit {
            return None;
        }
        loop {
            let acts = self.next_act_ms();
            // An act yet to come gives records that arrive at its time or after it.
            if let Some(record) = self.emitter.arrivals.pop(acts.min(until_ms)) {
                self.counts.add(&record);
                return Some(record);
            }
            if acts > until_ms || acts > self.start_ms + LONGEST_MS {
                return None;
            }
            self.step(acts);
        }
    }

    fn next_visitor_ms(&self) -> i64 {
        self.start_ms + (self.next_visitor_ns / 1_000_000) as i64
    }

    fn next_act_ms(&self) -> i64 {
        let visitor = self.next_visitor_ms();
        self.queue.peek().map_or(visitor, |Reverse((due, _))| visitor.min(*due))
    }

    /// Lets whoever is due at `time_ms` act.
    fn step(&mut self, time_ms: i64) {
        if self.next_visitor_ms() <= time_ms {
            let gap = self.gaps.sample(&mut self.rng) as f64 * self.gap_unit_ns;
            self.next_visitor_ns = self.next_visitor_ns.saturating_add(gap as u64);
            let visitor = self.behaviour.arrive(&mut self.rng);
            let place = self.settle(Agent::Free);
            self.act(place, visitor, time_ms);
            return;
        }
        let Some(Reverse((_, place))) = self.queue.pop() else { return };
        match self.agents[place as usize] {
            Agent::Active(visitor) => self.act(place, visitor, time_ms),
            Agent::Away(mut visitor) => {
                self.away -= 1;
                self.behaviour.begin_session(&mut self.rng, &mut visitor);
                self.act(place, visitor, time_ms);
            }
            Agent::Refund(refund) => {
                self.away -= 1;
                self.leave(place);
                self.emitter.refund(&mut self.rng, refund, time_ms);
            }
            Agent::Free => {}
        }
    }

    fn act(&mut self, place: u32, mut visitor: Visitor, time_ms: i64) {
        let rng = &mut self.rng;
        let act = self.behaviour.advance(rng, &mut visitor);
        let order = self.emitter.act(rng, &self.behaviour.catalogue, &visitor, act, time_ms);
        if let Some((refund, first_line)) = order {
            self.plan_refund(refund, first_line, time_ms);
        }
        let rng = &mut self.rng;
        if let Some(pace) = self.behaviour.pace(&visitor) {
            let pause = self.pauses.of(pace).sample(rng) as i64;
            self.agents[place as usize] = Agent::Active(visitor);
            self.queue.push(Reverse((time_ms + pause, place)));
        } else if self.behaviour.returns(rng, &mut visitor) && self.away < self.max_away {
            let pause = self.pauses.away.sample(rng) as i64;
            self.agents[place as usize] = Agent::Away(visitor);
            self.away += 1;
            self.queue.push(Reverse((time_ms + pause, place)));
        } else {
            self.leave(place);
        }
    }

    fn plan_refund(&mut self, mut refund: Draft, first_line: u64, time_ms: i64) {
        if !self.refund.hit(&mut self.rng) || self.away >= self.max_away {
            return;
        }
        if below(&mut self.rng, 2) == 0 {
            refund.value_minor = Some(first_line);
        }
        if refund.value_minor.is_none_or(|value| value == 0) {
            return;
        }
        let pause = self.pauses.away.sample(&mut self.rng) as i64;
        self.wait(Agent::Refund(refund), time_ms + pause);
    }

    /// Takes a place for an agent.
    fn settle(&mut self, agent: Agent) -> u32 {
        if let Some(place) = self.free.pop() {
            self.agents[place as usize] = agent;
            return place;
        }
        self.agents.push(agent);
        (self.agents.len() - 1) as u32
    }

    fn leave(&mut self, place: u32) {
        self.agents[place as usize] = Agent::Free;
        self.free.push(place);
    }

    fn wait(&mut self, agent: Agent, until_ms: i64) {
        if !matches!(agent, Agent::Active(_)) {
            self.away += 1;
        }
        let place = self.settle(agent);
        self.queue.push(Reverse((until_ms, place)));
    }

    /// Fills the shop with its steady state.
    fn fill(&mut self, sample: &Sample, active: f64, away: f64, refunds: f64) {
        for _ in 0..active.round() as u64 {
            let Some(visitor) = someone(&sample.active, &mut self.rng) else { break };
            let Some(pace) = self.behaviour.pace(&visitor) else { continue };
            let left = self.pauses.of(pace).residual(&mut self.rng) as i64;
            self.wait(Agent::Active(visitor), self.start_ms + left);
        }
        for _ in 0..away.round() as u64 {
            let Some(visitor) = someone(&sample.away, &mut self.rng) else { break };
            let left = self.pauses.away.residual(&mut self.rng) as i64;
            self.wait(Agent::Away(visitor), self.start_ms + left);
        }
        for _ in 0..refunds.round() as u64 {
            let Some(mut visitor) = someone(&sample.active, &mut self.rng) else { break };
            visitor.traffic = Traffic::Human;
            let product = self.behaviour.catalogue.at(self.behaviour.catalogue.pick(&mut self.rng));
            let refund = Draft {
                source: "api",
                event_type: EventType::Refund,
                order_id: random_uuid(&mut self.rng),
                value_minor: Some(u64::from(product.price_minor.max(1))),
                ..draft(&visitor, self.start_ms)
            };
            let left = self.pauses.away.residual(&mut self.rng) as i64;
            self.wait(Agent::Refund(refund), self.start_ms + left);
        }
    }
}

impl Iterator for Generator {
    type Item = Generated;

    fn next(&mut self) -> Option<Generated> {
        self.advance(i64::MAX)
    }
}
