//! What usually follows what: the memory by which a key is known without being read.
//!
//! Between two values of a record stands always nearly the same: `,"quantity":`. Such a stretch of bytes, from
//! the end of a value to the start of the next, is a `Step`, with white space where a producer writes it.
//! Each step remembers which few steps came after it, the usual one first; the next key is then one comparison
//! with bytes that are known already. Records of several kinds in one topic, and fields that are sometimes
//! absent, are steps with more than one follower, so nothing is learned anew when kinds alternate.
//!
//! The memory is bounded. Records that fill it with keys of their own make the scanner slower, not wrong, until
//! the next batch, which starts with an empty memory then.

use std::sync::Arc;

use super::{
    bytes::{At, expect, plain_string, skip_space},
    shape::Shape,
};

/// Longer steps are read each time.
const MOST_BYTES: usize = 32;
/// Steps remembered; a topic has a few dozen.
const MOST_STEPS: usize = 256;
/// Steps remembered as coming after a step.
const FOLLOWERS: usize = 4;

/// A step, by its index: one byte, so that every number is an index of `MOST_STEPS` steps.
pub(crate) type StepId = u8;

/// The step before a record's first.
pub(crate) const START: StepId = 0;
/// The step after one that is not remembered.
const LOST: StepId = 1;

/// What is to be done behind a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The value is not needed.
    Skip,
    /// The value is of the field of this index.
    Read(usize),
    /// The record ends.
    End,
}

/// Bytes between two values: the first sixteen, and as many more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Text {
    first: u128,
    first_mask: u128,
    more: u128,
    more_mask: u128,
    length: usize,
}

/// A stretch between two values, and what is known of it.
#[derive(Clone, Copy, Debug)]
struct Step {
    text: Text,
    action: Action,
    /// [`START`], which matches nothing, where there are fewer.
    followers: [StepId; FOLLOWERS],
}

/// The memory.
#[derive(Debug)]
pub(crate) struct Order {
    fields: Arc<[(String, Shape)]>,
    steps: Box<[Step; MOST_STEPS]>,
    /// Steps that are known, with the first two, which stand for no bytes.
    known: usize,
}

impl Order {
    /// An empty memory for records of these fields.
    pub(crate) fn new(fields: Arc<[(String, Shape)]>) -> Self {
        // Masked bytes are never this word, so it matches nothing.
        let none = Text { first: 1, first_mask: 0, more: 0, more_mask: 0, length: 0 };
        let step = Step { text: none, action: Action::End, followers: [START; FOLLOWERS] };
        Order { fields, steps: Box::new([step; MOST_STEPS]), known: 2 }
    }

    /// Makes room where none is left.
    pub(crate) fn start_batch(&mut self) {
        if self.known == MOST_STEPS {
            *self = Order::new(Arc::clone(&self.fields));
        }
    }

    /// The step at `at` of a record of `length` bytes, what is to be done behind it, and the place behind it;
    /// `None` if there is no member of an object, or one whose key has escapes.
    #[inline(always)]
    pub(crate) fn follow(
        &mut self,
        from: StepId,
        bytes: &[u8],
        at: At,
        length: usize,
    ) -> Option<(StepId, Action, At)> {
        let usual = self.steps[usize::from(from)].followers[0];
        let step = &self.steps[usize::from(usual)];
        if step.text.begins(bytes.get(at..)?) {
            return Some((usual, step.action, at + step.text.length));
        }
        self.search(from, bytes, at, length)
    }

    /// The same for a step that is not the usual one.
    fn search(&mut self, from: StepId, bytes: &[u8], at: At, length: usize) -> Option<(StepId, Action, At)> {
        let followers = self.steps[usize::from(from)].followers;
        let rest = bytes.get(at..)?;
        for (index, follower) in followers.into_iter().enumerate() {
            let step = &self.steps[usize::from(follower)];
            if step.text.begins_slowly(rest) {
                let found = (follower, step.action, at + step.text.length);
                // What comes often moves to the front.
                let before = index.saturating_sub(1);
                self.steps[usize::from(from)].followers.swap(index, before);
                return Some(found);
            }
        }
        self.learn(from, bytes, at, length)
    }

    /// Reads a step by JSON's grammar and remembers it.
    #[cold]
    fn learn(&mut self, from: StepId, bytes: &[u8], at: At, length: usize) -> Option<(StepId, Action, At)> {
        // What lies behind the record is none of its keys.
        let bytes = bytes.get(..length)?;
        let (action, end) = self.read(from, bytes, at)?;
        let step = self.remember(bytes.get(at..end)?, action);
        if step != LOST {
            let followers = &mut self.steps[usize::from(from)].followers;
            let free = followers.iter().position(|follower| *follower == START);
            followers[free.unwrap_or(FOLLOWERS - 1)] = step;
        }
        Some((step, action, end))
    }

    fn read(&self, from: StepId, bytes: &[u8], at: At) -> Option<(Action, At)> {
        let mut at = skip_space(bytes, at);
        if from == START {
            at = skip_space(bytes, expect(bytes, at, b'{')?);
            if let Some(end) = expect(bytes, at, b'}') {
                return Some((Action::End, end));
            }
        } else if let Some(end) = expect(bytes, at, b'}') {
            return Some((Action::End, end));
        } else {
            at = skip_space(bytes, expect(bytes, at, b',')?);
        }
        let key_start = expect(bytes, at, b'"')?;
        let key_end = plain_string(bytes, key_start)?;
        let key = &bytes[key_start..key_end];
        let field = self.fields.iter().position(|(name, _)| name.as_bytes() == key);
        at = skip_space(bytes, expect(bytes, skip_space(bytes, key_end + 1), b':')?);
        Some((field.map_or(Action::Skip, Action::Read), at))
    }

    /// The step of these bytes, a new one if need be; [`LOST`] if there is no room.
    fn remember(&mut self, bytes: &[u8], action: Action) -> StepId {
        let Some(text) = Text::of(bytes) else { return LOST };
        let known = self.steps.iter().take(self.known).position(|step| step.text == text);
        let id = known.unwrap_or(self.known);
        let Some(step) = self.steps.get_mut(id) else { return LOST };
        if known.is_none() {
            *step = Step { text, action, followers: [START; FOLLOWERS] };
            self.known += 1;
        }
        StepId::try_from(id).unwrap_or(LOST)
    }
}

impl Text {
    /// `None` where it is too long to be remembered.
    fn of(bytes: &[u8]) -> Option<Self> {
        let mut padded = [0; MOST_BYTES];
        padded.get_mut(..bytes.len())?.copy_from_slice(bytes);
        let [first, more] = halves(&padded);
        padded[..bytes.len()].fill(0xff);
        let [first_mask, more_mask] = halves(&padded);
        Some(Text { first, first_mask, more, more_mask, length: bytes.len() })
    }

    /// Whether `bytes` begin with it; `false` also where there are too few of them to compare at once.
    #[inline(always)]
    fn begins(&self, bytes: &[u8]) -> bool {
        if self.length <= 16 {
            let Some(chunk) = bytes.first_chunk() else { return false };
            return u128::from_le_bytes(*chunk) & self.first_mask == self.first;
        }
        let Some(chunk) = bytes.first_chunk() else { return false };
        let [first, more] = halves(chunk);
        (first & self.first_mask) ^ self.first | (more & self.more_mask) ^ self.more == 0
    }

    /// The same, however many bytes there are.
    fn begins_slowly(&self, bytes: &[u8]) -> bool {
        let mut padded = [0; MOST_BYTES];
        let length = bytes.len().min(MOST_BYTES);
        padded[..length].copy_from_slice(&bytes[..length]);
        // What was put behind the bytes is no part of any step.
        self.begins(&padded)
    }
}

fn halves(bytes: &[u8; MOST_BYTES]) -> [u128; 2] {
    let (halves, _) = bytes.as_chunks::<16>();
    [0, 1].map(|half: usize| halves.get(half).map_or(0, |half| u128::from_le_bytes(*half)))
}

#[cfg(test)]
mod tests {
    use super::{super::value::Kind, *};

    fn order() -> Order {
        let text = || Shape::Plain(Kind::Text);
        Order::new([("a".to_owned(), text()), ("b".to_owned(), text())].into())
    }

    /// Walks over `{"key":0,…}`; the actions, and how many steps are remembered afterwards.
    fn walk(order: &mut Order, record: &str) -> (Vec<Action>, usize) {
        let (mut step, mut at, mut actions) = (START, 0, Vec::new());
        loop {
            let (next, action, end) = order.follow(step, record.as_bytes(), at, record.len()).unwrap();
            actions.push(action);
            (step, at) = (next, end + 1);
            if action == Action::End {
                return (actions, order.known - 2);
            }
        }
    }

    #[test]
    fn alternating_layouts_are_learned_once() {
        let mut order = order();
        let layouts = ["{\"a\":0,\"b\":0}", "{\"b\":0,\"a\":0,\"c\":0}", "{}", "{ \"a\" : 0}", "{\"b\":0}"];
        for layout in layouts {
            walk(&mut order, layout);
        }
        let learned = order.known - 2;
        for _ in 0..5 {
            assert_eq!(walk(&mut order, layouts[0]).0, [Action::Read(0), Action::Read(1), Action::End]);
            let all = [Action::Read(1), Action::Read(0), Action::Skip, Action::End];
            assert_eq!(walk(&mut order, layouts[1]).0, all);
            assert_eq!(walk(&mut order, layouts[2]).0, [Action::End]);
            assert_eq!(walk(&mut order, layouts[3]).0, [Action::Read(0), Action::End]);
            assert_eq!(walk(&mut order, layouts[4]).0, [Action::Read(1), Action::End]);
        }
        // `{"a":`, `,"b":`, `}`, `{"b":`, `,"a":`, `,"c":`, `{}`, `{ "a" : `
        assert_eq!((order.known - 2, learned), (8, 8));
    }

    #[test]
    fn the_memory_is_bounded_and_starts_anew() {
        let mut order = order();
        for key in 0..2 * MOST_STEPS {
            walk(&mut order, &format!("{{\"key{key}\":0,\"a\":0}}"));
        }
        assert_eq!(order.known, MOST_STEPS);
        order.start_batch();
        assert_eq!(walk(&mut order, "{\"a\":0}").1, 2);
        let long = format!("{{\"{}\":0,\"a\":0}}", "k".repeat(40));
        assert_eq!(walk(&mut order, &long).0, [Action::Skip, Action::Read(0), Action::End]);
    }
}
