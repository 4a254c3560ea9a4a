//! Settings of the generator, with their defaults and their bounds.

use std::ops::RangeInclusive;
use std::time::Duration;

use chrono::{DateTime, Datelike, Utc};

use crate::Error;

/// How shoppers behave. Each share is of those who reached the step before.
#[derive(Debug, Clone, PartialEq)]
pub struct Funnel {
    /// Sessions in which something is put into a cart.
    pub cart: f64,
    /// Of these, sessions that begin the checkout.
    pub checkout: f64,
    /// Of these, sessions that give payment details.
    pub payment: f64,
    /// Of these, sessions that purchase.
    pub purchase: f64,
    /// Visitors who left without a cart, and come back.
    pub return_plain: f64,
    /// Visitors who left a cart behind, and come back.
    pub return_with_cart: f64,
    /// Of the latter, those who then purchase what is in it: recovered carts.
    pub recover: f64,
    /// Orders that are refunded, in whole or by one line.
    pub refund: f64,
}

impl Default for Funnel {
    /// 9 % of sessions reach the cart, 5 % the checkout, about 3 % purchase.
    fn default() -> Self {
        Funnel {
            cart: 0.09,
            checkout: 0.55,
            payment: 0.75,
            purchase: 0.76,
            return_plain: 0.2,
            return_with_cart: 0.3,
            recover: 0.2,
            refund: 0.015,
        }
    }
}

/// Settings of the generator. All shares are from 0 (off) to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneratorConfig {
    /// The same seed and settings give the same bytes.
    pub seed: u64,
    /// Event time of the beginning. Only late records have an earlier event time.
    pub start: DateTime<Utc>,
    /// Number of records, faults included; `None` goes on for ever.
    pub events: Option<u64>,
    /// Mean rate in event time, of events without duplicates and malformed records. It sets how many visitors
    /// are in the shop at once.
    pub events_per_second: f64,
    /// Number of products; ids are `1..=products`.
    pub products: u32,
    /// Number of categories.
    pub categories: u32,
    /// Exponent of the products' popularity: 0 is all alike, 1 the classical law.
    pub zipf_exponent: f64,
    /// ISO 4217 code of all prices.
    pub currency: String,
    /// Behaviour of shoppers.
    pub funnel: Funnel,
    /// Share of sessions that are bots'. A bot's session has many more events than a person's.
    pub bot_share: f64,
    /// Share of sessions by the shop's own people.
    pub staff_share: f64,
    /// Share of sessions that are test orders.
    pub test_share: f64,
    /// No record but a late one arrives with an event time further below the highest one seen so far.
    pub max_disorder: Duration,
    /// Share of events that arrive late; at most 0.5.
    pub late_share: f64,
    /// How far below the highest event time seen a late event arrives, at least. Must lie above
    /// `max_disorder`.
    pub late_by: RangeInclusive<Duration>,
    /// Share of events of which a second copy arrives, within `max_disorder`.
    pub duplicate_share: f64,
    /// Malformed records per event, beside the event itself.
    pub malformed_share: f64,
    /// Most visitors in the shop at once. When the rate asks for more, visitors think faster.
    pub max_active_visitors: u32,
    /// Most visitors remembered between two visits. When the rate asks for more, fewer return.
    pub max_away_visitors: u32,
}

impl Default for GeneratorConfig {
    /// 200 events per second of event time from 2026-01-05T00:00:00Z, so that a million events are about 83
    /// minutes; 500 products in 20 categories.
    fn default() -> Self {
        GeneratorConfig {
            seed: 1,
            start: DateTime::from_timestamp(1_767_571_200, 0).unwrap_or_default(),
            events: None,
            events_per_second: 200.0,
            products: 500,
            categories: 20,
            zipf_exponent: 1.0,
            currency: "EUR".to_owned(),
            funnel: Funnel::default(),
            bot_share: 0.01,
            staff_share: 0.005,
            test_share: 0.002,
            max_disorder: Duration::from_secs(2),
            late_share: 0.001,
            late_by: Duration::from_secs(60)..=Duration::from_secs(600),
            duplicate_share: 0.002,
            malformed_share: 0.0005,
            max_active_visitors: 250_000,
            max_away_visitors: 200_000,
        }
    }
}

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const MOST_HELD: f64 = 10_000_000.0;

impl GeneratorConfig {
    /// No late, duplicate, malformed or disordered records; the same shoppers.
    #[must_use]
    pub fn without_faults(self) -> Self {
        GeneratorConfig {
            max_disorder: Duration::ZERO,
            late_share: 0.0,
            duplicate_share: 0.0,
            malformed_share: 0.0,
            ..self
        }
    }

    /// Holds the settings against their bounds; [`crate::Generator::new`] does it too.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first setting out of bounds. The products are checked by
    /// [`crate::Catalogue`].
    pub fn validate(&self) -> Result<(), Error> {
        self.validate_shares()?;
        if !(0.001..=1_000_000.0).contains(&self.events_per_second) {
            let problem = format!("is {}; use 0.001 to 1000000", self.events_per_second);
            return wrong("events_per_second", problem);
        }
        if !(1970..=2999).contains(&self.start.year()) {
            return wrong("start", format!("is in the year {}; use 1970 to 2999", self.start.year()));
        }
        if self.currency.len() != 3 || !self.currency.bytes().all(|b| b.is_ascii_uppercase()) {
            return wrong("currency", format!("is {:?}; use an ISO 4217 code like EUR", self.currency));
        }
        self.validate_disorder()?;
        for (setting, most) in
            [("max_active_visitors", self.max_active_visitors), ("max_away_visitors", self.max_away_visitors)]
        {
            if !(1..=4_000_000).contains(&most) {
                return wrong(setting, format!("is {most}; use 1 to 4000000"));
            }
        }
        Ok(())
    }

    fn validate_shares(&self) -> Result<(), Error> {
        let f = &self.funnel;
        let shares = [
            ("funnel.cart", f.cart, 1.0),
            ("funnel.checkout", f.checkout, 1.0),
            ("funnel.payment", f.payment, 1.0),
            ("funnel.purchase", f.purchase, 1.0),
            ("funnel.return_plain", f.return_plain, 0.95),
            ("funnel.return_with_cart", f.return_with_cart, 0.95),
            ("funnel.recover", f.recover, 1.0),
            ("funnel.refund", f.refund, 1.0),
            ("bot_share", self.bot_share, 1.0),
            ("staff_share", self.staff_share, 1.0),
            ("test_share", self.test_share, 1.0),
            ("late_share", self.late_share, 0.5),
            ("duplicate_share", self.duplicate_share, 1.0),
            ("malformed_share", self.malformed_share, 1.0),
        ];
        for (setting, share, most) in shares {
            if !(0.0..=most).contains(&share) {
                return wrong(setting, format!("is {share}; use a share from 0 to {most}"));
            }
        }
        if self.bot_share + self.staff_share + self.test_share > 1.0 {
            let problem = "with staff_share and test_share is above 1; lower one of them";
            return wrong("bot_share", problem.to_owned());
        }
        Ok(())
    }

    /// How far records may come after their turn, and how many wait for that in memory.
    fn validate_disorder(&self) -> Result<(), Error> {
        if self.max_disorder > HOUR {
            return wrong("max_disorder", format!("is {:?}; use at most an hour", self.max_disorder));
        }
        let (low, high) = (*self.late_by.start(), *self.late_by.end());
        if low > high || high > DAY {
            return wrong("late_by", format!("is {low:?} to {high:?}; use a rising range of at most a day"));
        }
        if self.late_share > 0.0 && low <= self.max_disorder {
            let problem =
                format!("starts at {low:?}; it must start above max_disorder, {:?}", self.max_disorder);
            return wrong("late_by", problem);
        }
        let held = [
            ("max_disorder", self.events_per_second * self.max_disorder.as_secs_f64()),
            ("late_by", self.events_per_second * self.late_share * high.as_secs_f64()),
        ];
        for (setting, records) in held {
            if records > MOST_HELD {
                let problem = format!("would hold {records:.0} records in memory; use less, or a lower rate");
                return wrong(setting, problem);
            }
        }
        Ok(())
    }
}

fn wrong(setting: &'static str, problem: String) -> Result<(), Error> {
    Err(Error::Setting { setting, problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_hold() {
        let config = GeneratorConfig::default();
        config.validate().unwrap();
        assert_eq!(crate::wire_time::format(config.start), "2026-01-05T00:00:00.000Z");
        config.without_faults().validate().unwrap();
    }

    #[test]
    fn each_bound_names_its_setting() {
        let check = |setting: &str, change: fn(&mut GeneratorConfig)| {
            let mut config = GeneratorConfig::default();
            change(&mut config);
            let error = config.validate().unwrap_err();
            assert!(matches!(&error, Error::Setting { setting: s, .. } if *s == setting), "{error}");
        };
        check("late_share", |c| c.late_share = 0.6);
        check("late_share", |c| c.late_share = -0.1);
        check("malformed_share", |c| c.malformed_share = f64::NAN);
        check("funnel.cart", |c| c.funnel.cart = 2.0);
        check("bot_share", |c| (c.bot_share, c.staff_share) = (0.6, 0.6));
        check("events_per_second", |c| c.events_per_second = 0.0);
        check("events_per_second", |c| c.events_per_second = f64::INFINITY);
        check("currency", |c| c.currency = "euro\"".into());
        check("max_disorder", |c| c.max_disorder = DAY);
        check("late_by", |c| c.max_disorder = Duration::from_secs(60));
        check("late_by", |c| c.late_by = DAY..=HOUR);
        check("late_by", |c| (c.late_share, c.events_per_second) = (0.5, 1e6));
        check("max_disorder", |c| (c.max_disorder, c.late_share, c.events_per_second) = (HOUR, 0.0, 1e6));
        check("start", |c| c.start = DateTime::<Utc>::MIN_UTC);
        check("max_active_visitors", |c| c.max_active_visitors = 0);
        check("max_away_visitors", |c| c.max_away_visitors = u32::MAX);
    }
}
