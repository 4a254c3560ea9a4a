//! Where threads put together what each of them knows of a minute.

use std::collections::BTreeMap;

/// Parts of minutes, by thread how far it has handed them over.
#[derive(Debug)]
pub struct Meeting<T> {
    parts: BTreeMap<i64, T>,
    /// Minutes below this are complete, by thread.
    before: Vec<i64>,
    add: fn(&mut T, T),
}

impl<T> Meeting<T> {
    /// For so many threads; `add` puts two parts of a minute together.
    pub fn new(threads: usize, add: fn(&mut T, T)) -> Self {
        Meeting { parts: BTreeMap::new(), before: vec![i64::MIN; threads], add }
    }

    /// Takes all that `thread` has of the minutes below `before`. Answers the minutes that are complete now,
    /// and below which all are.
    pub fn hand_over(
        &mut self,
        thread: usize,
        before: i64,
        parts: BTreeMap<i64, T>,
    ) -> (BTreeMap<i64, T>, i64) {
        for (minute, part) in parts {
            match self.parts.entry(minute) {
                std::collections::btree_map::Entry::Vacant(place) => {
                    place.insert(part);
                }
                std::collections::btree_map::Entry::Occupied(mut place) => (self.add)(place.get_mut(), part),
            }
        }
        self.before[thread] = before;
        let all = self.before.iter().copied().min().unwrap_or(i64::MAX);
        let later = self.parts.split_off(&all);
        (std::mem::replace(&mut self.parts, later), all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_complete_when_every_thread_has_passed_it() {
        let mut meeting = Meeting::new(2, |sum: &mut i64, more| *sum += more);
        let parts = |pairs: &[(i64, i64)]| pairs.iter().copied().collect::<BTreeMap<_, _>>();
        assert_eq!(meeting.hand_over(0, 3, parts(&[(1, 10), (2, 20)])), (parts(&[]), i64::MIN));
        assert_eq!(meeting.hand_over(1, 2, parts(&[(1, 1)])), (parts(&[(1, 11)]), 2));
        assert_eq!(meeting.hand_over(1, 5, parts(&[(2, 2), (4, 4)])), (parts(&[(2, 22)]), 3));
        assert_eq!(meeting.hand_over(0, i64::MAX, parts(&[])), (parts(&[(4, 4)]), 5));
    }
}
