//! The provisional rows that make up values: some of them go, and what is left makes the value, or none.
//!
//! Rows of a fixed window come and go together. Sessions come one by one, and those that end together make one value.

use std::collections::{HashMap, VecDeque};

use crate::live::LiveSpan;

/// A provisional row.
#[derive(Debug)]
pub(super) struct OpenRow {
    /// By which it is known again.
    pub(super) content: Vec<u8>,
    /// What is shown of it, if that is more.
    pub(super) shown: Option<Vec<u8>>,
}

/// The provisional rows of one value.
#[derive(Debug)]
pub(super) struct OpenValue {
    pub(super) window: Option<LiveSpan>,
    /// In the order in which they came: what came together mostly goes together, from the front.
    rows: VecDeque<OpenRow>,
}

/// The provisional rows of all values, by the values' ids.
#[derive(Debug, Default)]
pub(super) struct OpenValues(HashMap<String, OpenValue>);

impl OpenValues {
    /// A row that is there from now on.
    pub(super) fn come(&mut self, id: &str, window: Option<LiveSpan>, row: OpenRow) {
        match self.0.get_mut(id) {
            Some(value) => value.rows.push_back(row),
            None => {
                self.0.insert(id.to_owned(), OpenValue { window, rows: VecDeque::from([row]) });
            }
        }
    }

    /// A row that is gone. Answers whether it was there: what has become final is here no longer.
    pub(super) fn go(&mut self, id: &str, content: &[u8]) -> bool {
        let Some(value) = self.0.get_mut(id) else { return false };
        let place = value.rows.iter().position(|row| row.content == content);
        place.and_then(|place| value.rows.remove(place)).is_some()
    }

    /// The value is final.
    pub(super) fn settle(&mut self, id: &str) {
        self.0.remove(id);
    }

    /// The rows of a value as a JSON array, `None` if it has none left; and its window.
    pub(super) fn show(&mut self, id: &str) -> (Option<Vec<u8>>, Option<LiveSpan>) {
        let Some(value) = self.0.get(id) else { return (None, None) };
        let window = value.window;
        if value.rows.is_empty() {
            self.0.remove(id);
            return (None, window);
        }
        // Of several rows with one primary key the last one counts.
        let first = if window.is_some() { 0 } else { value.rows.len() - 1 };
        let mut array = Vec::new();
        for row in value.rows.range(first..) {
            array.push(if array.is_empty() { b'[' } else { b',' });
            array.extend_from_slice(row.shown.as_deref().unwrap_or(&row.content));
        }
        array.push(b']');
        (Some(array), window)
    }
}
