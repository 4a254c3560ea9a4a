//! The sessions of a key that has several open at once, in order of time: which of them a row touches, and which is
//! gone, is found in `O(log n)`. Most keys have one session, which stands in the table of keys alone.

use std::collections::BTreeMap;

use super::{NONE, Sessions, Span};
use crate::{
    error::StreamError,
    operator::aggregate::slots::words::{Slot, index},
};

/// Lists of sessions, each of one key.
#[derive(Default)]
pub(super) struct Several {
    /// By where their reach begins. Reaches of a key's sessions do not meet, so that their ends are in order too.
    lists: Vec<BTreeMap<i64, Slot>>,
    free: Vec<u32>,
}

impl Several {
    fn new_list(&mut self) -> Result<u32, StreamError> {
        if let Some(list) = self.free.pop() {
            return Ok(list);
        }
        let list = u32::try_from(self.lists.len()).ok().filter(|list| *list != NONE);
        let list =
            list.ok_or_else(|| StreamError::internal("more than four billion keys have open sessions"))?;
        self.lists.push(BTreeMap::new());
        Ok(list)
    }

    fn release(&mut self, list: u32) {
        self.lists[index(list)].clear();
        self.free.push(list);
    }

    /// Forgets all lists; no session may be in one from now on.
    pub(super) fn clear(&mut self) {
        self.lists.clear();
        self.free.clear();
    }
}

impl Sessions {
    /// Finds or opens the session of a row or fragment, of a key that has several sessions or whose only one is too far
    /// away; `head` is the one in the table.
    pub(super) fn place_among(&mut self, head: Slot, span: Span) -> Result<Slot, StreamError> {
        let mut list = self.entries[index(head)].several;
        if list == NONE {
            list = self.several.new_list()?;
            let from_us = self.span(head).from_us;
            self.several.lists[index(list)].insert(from_us, head);
            self.entries[index(head)].several = list;
        }
        let touched = self.touched(list, span);
        // Together they reach no further than each does or the row: what they touch, one of them does.
        let whole = touched.iter().fold(span, |whole, slot| whole.hull(self.span(*slot)));
        for slot in &touched {
            let from_us = self.span(*slot).from_us;
            self.several.lists[index(list)].remove(&from_us);
        }
        let into = match touched.split_first() {
            None => {
                let key = self.keys.get(&self.entries[index(head)].key).map(<[u8]>::to_vec);
                let slot = self.open(key.as_deref(), span)?;
                self.entries[index(slot)].several = list;
                slot
            }
            Some((into, rest)) => {
                for from in rest {
                    self.joins.push((*into, *from));
                    self.join_shown(*from);
                    self.leave_starts(*from);
                    self.reaches.remove(from);
                    self.entries[index(*from)].is_open = false;
                    self.open -= 1;
                }
                self.extend(*into, whole);
                if rest.contains(&head) {
                    self.put_in_table(head, *into);
                }
                *into
            }
        };
        self.several.lists[index(list)].insert(whole.from_us, into);
        self.keep_list(list);
        Ok(into)
    }

    /// The sessions of a list that a row or fragment touches, the latest first.
    fn touched(&self, list: u32, span: Span) -> Vec<Slot> {
        let reach_us = span.last_us.saturating_add(self.gap_us);
        let earlier = self.several.lists[index(list)].range(..=reach_us).rev().map(|(_, slot)| *slot);
        earlier.take_while(|slot| self.span(*slot).touches(span, self.gap_us)).collect()
    }

    /// Takes a session that has closed out of its key's list.
    pub(super) fn leave_list(&mut self, slot: Slot) {
        let list = self.entries[index(slot)].several;
        let from_us = self.span(slot).from_us;
        self.several.lists[index(list)].remove(&from_us);
        if let Some((_, other)) = self.several.lists[index(list)].first_key_value() {
            self.put_in_table(slot, *other);
        }
        self.keep_list(list);
    }

    /// Lets another session of its key stand in the table, if `head` does.
    fn put_in_table(&mut self, head: Slot, other: Slot) {
        let hash = self.keys.hash_of(&self.entries[index(head)].key);
        if let Some(place) = self.table.find_mut(hash, |slot| *slot == head) {
            *place = other;
        }
    }

    /// A list of one is none.
    fn keep_list(&mut self, list: u32) {
        let sessions = &self.several.lists[index(list)];
        if sessions.len() > 1 {
            return;
        }
        if let Some((_, last)) = sessions.first_key_value() {
            self.entries[index(*last)].several = NONE;
        }
        self.several.release(list);
    }
}
