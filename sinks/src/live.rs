//! Live values and the rule by which one replaces another: the same for Redis and for the in-process store.
//!
//! Key names and the fields of a window are those of [`events::live`]. A value has a [`Version`]; a store
//! keeps the value that [`accepts`] lets through. Redis decides by a script with the same rule
//! (`redis/put.lua`), and a test holds both against each other.

use std::time::Duration;

use chrono::{DateTime, Utc};
use stream::time::Watermark;

/// How many windows of a metric a store lists, the newest ones. Readers show far fewer; without a bound the
/// list would grow for ever.
pub const WINDOWS_KEPT: usize = 2_000;

/// What orders the writes of one value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Version {
    /// The epoch of the write.
    pub epoch: u64,
    /// Rises with every write of the job.
    pub revision: u64,
    /// Whether the value is final.
    pub is_final: bool,
}

/// Whether a write with version `new` may replace what is `stored`: not when that has a newer
/// `(epoch, revision)`, and not when that is final and the new one provisional. The same version may be
/// written again, so that a write whose answer was lost can be repeated.
pub fn accepts(stored: Option<Version>, new: Version) -> bool {
    stored.is_none_or(|stored| {
        (new.epoch, new.revision) >= (stored.epoch, stored.revision) && (new.is_final || !stored.is_final)
    })
}

/// The window to show first: the one that closes next, so the smallest end above `watermark`; where all have
/// closed, the last one. `ends` rise.
///
/// The newest window would be the wrong one to show: of hopping windows it has seen one slide's rows only,
/// so its values jump to almost nothing with every hop.
pub fn current_window(
    ends: impl DoubleEndedIterator<Item = i64> + Clone,
    watermark: Watermark,
) -> Option<i64> {
    let floor = watermark_ms(watermark);
    let open = |end: &i64| floor.is_none_or(|floor| *end > floor);
    ends.clone().find(open).or_else(|| ends.clone().next_back())
}

/// The watermark in milliseconds, rounded down; `None` before the first row. An end in milliseconds is above
/// the watermark exactly when it is above this.
pub(crate) fn watermark_ms(watermark: Watermark) -> Option<i64> {
    (watermark != Watermark::START).then(|| watermark.time().micros().div_euclid(1_000))
}

/// One value on its way into a store.
#[derive(Clone, Debug)]
pub(crate) struct LiveValue {
    /// End of the key: the window's end in milliseconds, or the primary key's values.
    pub(crate) id: String,
    /// The window; `None` where the table has none.
    pub(crate) window: Option<LiveSpan>,
    pub(crate) version: Version,
    pub(crate) updated_at: DateTime<Utc>,
    /// A JSON array of all rows of the value; `None` takes it back, under the same rule as any write.
    pub(crate) rows: Option<String>,
    /// How long a store should keep the value after this write.
    pub(crate) ttl: Duration,
}

impl LiveValue {
    /// What the value replaces in a list of waiting ones; such a list is in order of time.
    pub(crate) fn place(&self) -> (Option<DateTime<Utc>>, String) {
        (self.window.map(|window| window.end), self.id.clone())
    }
}

/// `[start, end)` in event time, whole milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LiveSpan {
    pub(crate) start: DateTime<Utc>,
    pub(crate) end: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use events::LiveWindow;
    use proptest::prelude::*;
    use stream::time::EventTime;

    use super::*;

    fn version() -> impl Strategy<Value = Version> {
        (0_u64..4, 0_u64..4, any::<bool>()).prop_map(|(epoch, revision, is_final)| Version {
            epoch,
            revision,
            is_final,
        })
    }

    fn window(version: Version) -> LiveWindow {
        LiveWindow {
            metric: String::new(),
            window_start: DateTime::UNIX_EPOCH,
            window_end: DateTime::UNIX_EPOCH,
            epoch: version.epoch,
            revision: version.revision,
            is_final: version.is_final,
            updated_at: DateTime::UNIX_EPOCH,
            rows: Vec::new(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_rule_is_the_readers_rule(stored in version(), new in version()) {
            prop_assert_eq!(accepts(Some(stored), new), window(new).may_replace(&window(stored)));
            prop_assert!(accepts(None, new));
            prop_assert!(accepts(Some(new), new));
        }
    }

    #[test]
    fn the_current_window_closes_next() {
        let at = |micros| Watermark::at(EventTime::from_micros(micros));
        let ends = [60_000, 70_000, 80_000];
        let current = |watermark| current_window(ends.into_iter(), watermark);
        assert_eq!(current(Watermark::START), Some(60_000));
        assert_eq!(current(at(59_999_999)), Some(60_000));
        assert_eq!(current(at(60_000_000)), Some(70_000));
        assert_eq!(current(at(60_000_001)), Some(70_000));
        assert_eq!(current(at(80_000_000)), Some(80_000));
        assert_eq!(current(Watermark::END), Some(80_000));
        assert_eq!(current_window([].into_iter(), Watermark::START), None);
    }
}
