//! What state is known by from one run to the next.
//!
//! An [`Identity`] is what the state means, in words, and a **uid** that is the hash of these words: so whatever makes a
//! uid another can be told. It goes into the checkpoint beside the state. Where the words come from is in
//! `canonical`; they depend neither on names that a script gives to things within it, nor on what
//! else stands there, nor on how many threads run it.
//!
//! A release that words the same operator otherwise (DataFusion's expressions among it) changes its uid, and with it
//! refuses state of before. A golden value in the tests shows that before a release does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_128;

/// How uids are made; part of each, and raised with every change of that.
const VERSION: &str = "u1";
/// Digits of a uid that name it within a text.
pub(crate) const SHORT: usize = 12;

/// What holds state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Hash of all that follows.
    pub uid: String,
    /// What it is, in a word or two.
    pub kind: String,
    /// What its state depends on, by name.
    pub details: Vec<(String, String)>,
}

impl Identity {
    /// What is of this kind and has these details; empty ones are left out.
    pub(crate) fn new(kind: &str, details: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let details = details.into_iter().filter(|(_, value)| !value.is_empty());
        let details: Vec<(String, String)> = details.map(|(name, value)| (name.to_owned(), value)).collect();
        let words = details.iter().flat_map(|(name, value)| [name.as_str(), value]);
        let uid = format!("{VERSION}-{}", digits(std::iter::once(kind).chain(words)));
        Identity { uid, kind: kind.to_owned(), details }
    }

    /// A short name for texts that go on to something else.
    pub(crate) fn short(&self) -> String {
        let digits = self.uid.split('-').next_back().unwrap_or_default();
        format!("#{}", &digits[..digits.len().min(SHORT)])
    }

    /// A detail, if it has it.
    pub(crate) fn detail(&self, name: &str) -> Option<&str> {
        self.details.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }

    /// How many details of another are the same.
    pub(crate) fn likeness(&self, other: &Identity) -> usize {
        self.details.iter().filter(|detail| other.details.contains(detail)).count()
    }

    /// How it differs from what was `before`, a phrase a detail. `renamed` has the uids that others were known by before,
    /// and what they have become: what differs by them alone is no difference of its own.
    pub(crate) fn changes(&self, before: &Identity, renamed: &BTreeMap<String, String>) -> Vec<String> {
        let mut names: Vec<&str> = before.details.iter().map(|(name, _)| name.as_str()).collect();
        names.extend(self.details.iter().map(|(name, _)| name.as_str()));
        let mut changes = Vec::new();
        for (index, name) in names.iter().enumerate() {
            if names[..index].contains(name) {
                continue;
            }
            let was = before.detail(name).map(|was| with_uids(was, renamed));
            let change = match (was, self.detail(name)) {
                (Some(was), Some(is)) if was == is => continue,
                (Some(was), Some(is)) => format!("{name} was {was}, is {is}"),
                (Some(was), None) => format!("{name} was {was}, is none"),
                (None, Some(is)) => format!("{name} was none, is {is}"),
                (None, None) => continue,
            };
            changes.push(change);
        }
        changes
    }
}

fn with_uids(text: &str, renamed: &BTreeMap<String, String>) -> String {
    renamed.iter().fold(text.to_owned(), |text, (was, is)| text.replace(was, is))
}

/// The hash of some texts in order, in hexadecimal digits.
pub(crate) fn digits<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut all = String::new();
    for text in texts {
        // With their lengths, so that no two lists are one text.
        all.push_str(&format!("{}:{text};", text.len()));
    }
    format!("{:032x}", XxHash3_128::oneshot(all.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(window: &str, rows: &str) -> Identity {
        let details = [("window", window.to_owned()), ("rows", rows.to_owned()), ("key", String::new())];
        Identity::new("window aggregate", details)
    }

    #[test]
    fn the_uid_depends_on_every_word_and_on_nothing_else() {
        let uid = |window, rows| identity(window, rows).uid;
        assert_eq!(uid("a", "b"), uid("a", "b"));
        assert_ne!(uid("a", "b"), uid("ab", ""));
        assert_ne!(uid("a", "b"), uid("b", "a"));
        let gathered = Identity::new("gathered", [("window", "a".to_owned()), ("rows", "b".to_owned())]);
        assert_ne!(uid("a", "b"), gathered.uid);
    }

    #[test]
    fn changes_are_told_by_name() {
        let (before, after) = (identity("a", "of #1"), identity("b", "of #2"));
        assert_eq!(
            after.changes(&before, &BTreeMap::new()),
            ["window was a, is b", "rows was of #1, is of #2"]
        );
        let renamed = BTreeMap::from([("#1".to_owned(), "#2".to_owned())]);
        assert_eq!(after.changes(&before, &renamed), ["window was a, is b"]);
        let keyed = Identity::new("window aggregate", [("window", "a".to_owned()), ("key", "k".to_owned())]);
        assert_eq!(keyed.changes(&before, &renamed), ["rows was of #2, is none", "key was none, is k"]);
    }
}
