//! Which changes a listener is told: those of its newest windows and of the current one, each value once.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use events::LiveWindow;

type Version = (u64, u64, bool);

fn version(window: &LiveWindow) -> Version {
    (window.epoch, window.revision, window.is_final)
}

/// What the listener has been told.
#[derive(Debug)]
pub(super) struct Filter {
    limit: usize,
    current: Option<DateTime<Utc>>,
    /// The newest windows (at most `limit`) and the current one, with the version told last.
    told: BTreeMap<DateTime<Utc>, Version>,
}

/// What to tell of a change.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Admitted {
    pub(super) current_changed: bool,
    pub(super) window: bool,
}

impl Filter {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, current: None, told: BTreeMap::new() }
    }

    /// Begins again with what a snapshot tells.
    pub(super) fn reset(&mut self, current: Option<DateTime<Utc>>, windows: &[LiveWindow]) {
        self.current = current;
        self.told = windows.iter().map(|window| (window.window_end, version(window))).collect();
    }

    pub(super) fn admit(&mut self, current: Option<DateTime<Utc>>, window: &LiveWindow) -> Admitted {
        let current_changed = std::mem::replace(&mut self.current, current) != current;
        let end = window.window_end;
        let newer = self.told.range(end..).filter(|(told, _)| **told != end).count();
        let listened = newer < self.limit || Some(end) == current;
        let window = listened && self.told.insert(end, version(window)) != Some(version(window));
        while self.told.len() > self.limit + 1
            && let Some(oldest) = self.told.keys().find(|end| Some(**end) != current).copied()
        {
            self.told.remove(&oldest);
        }
        Admitted { current_changed, window }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(minute * 60, 0).unwrap()
    }

    fn window(minute: i64, revision: u64) -> LiveWindow {
        LiveWindow {
            metric: "m".into(),
            window_start: at(minute - 1),
            window_end: at(minute),
            epoch: 0,
            revision,
            is_final: false,
            updated_at: at(minute),
            rows: vec![],
        }
    }

    #[test]
    fn each_value_once_and_only_the_newest_and_the_current() {
        let mut filter = Filter::new(2);
        filter.reset(Some(at(3)), &[window(5, 1), window(4, 1), window(3, 1)]);
        let mut admit = |current: i64, minute, revision| {
            let Admitted { current_changed, window } =
                filter.admit(Some(at(current)), &window(minute, revision));
            (current_changed, window)
        };
        assert_eq!(admit(3, 5, 1), (false, false), "already in the snapshot");
        assert_eq!(admit(3, 5, 2), (false, true));
        assert_eq!(admit(3, 3, 2), (false, true), "the current one, though not among the newest two");
        assert_eq!(admit(3, 2, 9), (false, false), "old");
        assert_eq!(admit(4, 3, 3), (true, false), "no longer current, and old");
        assert_eq!(admit(4, 6, 1), (false, true), "a new window");
        assert_eq!(admit(4, 4, 2), (false, true), "current");
        assert_eq!(admit(5, 4, 3), (true, false));
    }
}
