//! The state of the shop at the moment at which the generator starts.
//!
//! Traffic is steady from its first second: visitors are in the middle of their sessions, others are away
//! and will return, some with a cart left behind. A warm-up run would get there too, but would take a good
//! part of a day of event time. Instead a sample of visitors is followed from first to last visit, without time;
//! it gives the mean number of events per session, from which follow the rates, and it gives states of
//! visitors, each met in proportion to how long it lasts, from which the shop is filled.

use rand_chacha::rand_core::RngCore;

use super::random::{Chance, Durations, below};
use super::visitor::{Act, Behaviour, Pace, Visitor};

/// Pauses, in milliseconds.
#[derive(Debug)]
pub(crate) struct Pauses {
    pub(crate) read: Durations,
    pub(crate) form: Durations,
    pub(crate) bot: Durations,
    /// Between two visits, and between an order and its refund. At least 31 minutes: a visit is a session by
    /// the rule of 30 minutes.
    pub(crate) away: Durations,
}

const MINUTE_MS: f64 = 60_000.0;

impl Pauses {
    pub(crate) fn new() -> Self {
        Pauses {
            read: Durations::log_normal(12_000.0, 1.0, 0.0, 20.0 * MINUTE_MS),
            form: Durations::log_normal(35_000.0, 0.7, 0.0, 20.0 * MINUTE_MS),
            bot: Durations::log_normal(400.0, 0.5, 0.0, 10_000.0),
            away: Durations::log_normal(45.0 * MINUTE_MS, 0.7, 31.0 * MINUTE_MS, 480.0 * MINUTE_MS),
        }
    }

    /// The pauses within a session multiplied by `factor`.
    pub(crate) fn hurried(self, factor: f64) -> Self {
        Pauses {
            read: self.read.scaled(factor),
            form: self.form.scaled(factor),
            bot: self.bot.scaled(factor),
            away: self.away,
        }
    }

    pub(crate) fn of(&self, pace: Pace) -> &Durations {
        match pace {
            Pace::Read => &self.read,
            Pace::Form => &self.form,
            Pace::Bot => &self.bot,
        }
    }
}

/// What the sample says.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) events_per_visitor: f64,
    /// Mean time in sessions.
    pub(crate) active_ms_per_visitor: f64,
    pub(crate) returns_per_visitor: f64,
    pub(crate) orders_per_visitor: f64,
    /// States in the middle of a session, each waiting for its next act.
    pub(crate) active: Vec<Visitor>,
    /// States between two sessions.
    pub(crate) away: Vec<Visitor>,
}

const SESSIONS: u32 = 20_000;
const STATES: usize = 8_192;

impl Sample {
    pub(crate) fn take(
        behaviour: &Behaviour,
        pauses: &Pauses,
        refund: Chance,
        rng: &mut impl RngCore,
    ) -> Self {
        let means = [Pace::Read, Pace::Form, Pace::Bot].map(|pace| pauses.of(pace).mean());
        let longest = means.iter().copied().fold(1.0, f64::max);
        // About one state in fifteen is kept, weighted by how long it lasts.
        let keep = means.map(|mean| Chance::new(mean / longest * 0.15));
        let (mut visitors, mut sessions, mut events, mut orders, mut returns) =
            (0u32, 0u32, 0u64, 0u32, 0u32);
        let mut paused = [0u64; 3];
        let (mut active, mut away) = (Vec::new(), Vec::new());
        while sessions < SESSIONS {
            visitors += 1;
            let mut visitor = behaviour.arrive(rng);
            loop {
                sessions += 1;
                loop {
                    events += 1;
                    if let Act::Purchase(cart) = behaviour.advance(rng, &mut visitor) {
                        orders += 1;
                        events += cart.lines().len() as u64 + u64::from(refund.hit(rng));
                    }
                    let Some(pace) = behaviour.pace(&visitor) else { break };
                    paused[pace as usize] += 1;
                    if active.len() < STATES && keep[pace as usize].hit(rng) {
                        active.push(visitor);
                    }
                }
                if !behaviour.returns(rng, &mut visitor) {
                    break;
                }
                returns += 1;
                if away.len() < STATES {
                    away.push(visitor);
                }
                behaviour.begin_session(rng, &mut visitor);
            }
        }
        let visitors = f64::from(visitors);
        let active_ms: f64 = paused.iter().zip(means).map(|(count, mean)| *count as f64 * mean).sum();
        Sample {
            events_per_visitor: events as f64 / visitors,
            active_ms_per_visitor: active_ms / visitors,
            returns_per_visitor: f64::from(returns) / visitors,
            orders_per_visitor: f64::from(orders) / visitors,
            active,
            away,
        }
    }
}

/// A state from a sample, as another person.
pub(crate) fn someone(states: &[Visitor], rng: &mut impl RngCore) -> Option<Visitor> {
    if states.is_empty() {
        return None;
    }
    let state = states[below(rng, states.len() as u64) as usize];
    Some(state.as_someone_else(rng))
}
