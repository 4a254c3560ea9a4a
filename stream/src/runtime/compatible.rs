//! Whether a job can go on from a checkpoint. Pure: it is decided from the manifest alone, before any state is read and
//! any table or topic is opened.
//!
//! - A source, an operator or a sink of the checkpoint whose uid the script has goes on, wherever it stands now.
//! - One that has **changed** is refused, with what is different in words: its state means something else.
//! - One that is **new** to a source which goes on in the middle is refused: it would have none of the rows before, and
//!   nobody would see that in its results. Over a source that is new as well it may begin.
//! - One that is **gone** is refused unless it was said that state may be dropped, as Flink does with the state of a
//!   savepoint: more often than not the script is the wrong one, or a change was not meant to be one.
//! - Where records are set aside may be switched on and off.
//!
//! A sink that is new, fed without state or by operators that go on, begins with what comes from now on; that is said in
//! the log, since it is what such a sink is for.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    checkpoint::manifest::{Manifest, ManifestOperator},
    known::{Known, KnownOperator, Named},
};
use crate::planner::identity::Identity;

/// What there is to say when a job goes on.
pub(crate) type Warnings = Vec<String>;

/// Holds a checkpoint against a job; `Err` says what does not fit.
pub(crate) fn check(manifest: &Manifest, known: &Known, may_drop: bool) -> Result<Warnings, String> {
    let mut found = Findings::default();
    found.sources(manifest, known);
    found.operators(manifest, known);
    found.sinks(manifest, known);
    found.answer(manifest, may_drop)
}

#[derive(Default)]
struct Findings {
    /// What makes going on impossible.
    refused: Vec<String>,
    /// What has state and is not in the script any more.
    gone: Vec<String>,
    warnings: Warnings,
    /// Sources of the script, by number, of which rows were read before.
    resumed: BTreeSet<usize>,
}

impl Findings {
    fn sources(&mut self, manifest: &Manifest, known: &Known) {
        for before in &manifest.sources {
            let Some(number) = known.sources.iter().position(|now| now.name == before.name) else {
                self.gone.push(format!("the positions of source '{}'", before.name));
                continue;
            };
            let now = &known.sources[number].identity;
            if let Some(difference) = difference(now, &before.identity, &BTreeMap::new()) {
                self.refused.push(format!("source '{}' has changed: {difference}", before.name));
            }
            if before.was_read() {
                self.resumed.insert(number);
            }
        }
    }

    fn operators(&mut self, manifest: &Manifest, known: &Known) {
        let is_known = |before: &&ManifestOperator| known.operator(&before.identity.uid).is_some();
        let was_known = |uid: &str| manifest.operators.iter().any(|before| before.identity.uid == uid);
        let mut left: Vec<&ManifestOperator> =
            manifest.operators.iter().filter(|before| !is_known(before)).collect();
        let mut renamed = BTreeMap::new();
        // Those that feed others come first, so that what follows from their change alone is not told again.
        for now in known.operators.iter().filter(|now| !was_known(&now.identity.uid)) {
            let Some(source) = now.sources.iter().find(|source| self.resumed.contains(source)) else {
                continue;
            };
            let Some(likest) = likest(&left, now) else {
                let source = &known.sources[*source].name;
                let what = name(&now.identity, &now.feeds);
                self.refused.push(format!(
                    "{what} is new, but source '{source}' goes on where it was: it would have no row of before"
                ));
                continue;
            };
            let before = left.remove(likest);
            // What has only followed another's change is told with that.
            let is_told = !renamed.is_empty() && now.identity.changes(&before.identity, &renamed).is_empty();
            if let Some(difference) =
                difference(&now.identity, &before.identity, &renamed).filter(|_| !is_told)
            {
                let what = name(&now.identity, &now.feeds);
                self.refused.push(format!("{what} has changed: {difference}"));
            }
            renamed.insert(before.identity.short(), now.identity.short());
            renamed.insert(before.identity.uid.clone(), now.identity.uid.clone());
        }
        self.gone.extend(left.iter().map(|before| name(&before.identity, &before.feeds)));
    }

    fn sinks(&mut self, manifest: &Manifest, known: &Known) {
        let epoch = manifest.epoch;
        for before in manifest.sinks.iter().filter(|before| !before.token.is_empty()) {
            match known.sinks.iter().find(|now| now.name == before.name) {
                None => self
                    .gone
                    .push(format!("what sink '{}' may not have committed of epoch {epoch}", before.name)),
                Some(now) => self.sink("sink", now, &before.identity),
            }
        }
        for now in &known.sinks {
            if manifest.sinks.iter().all(|before| before.name != now.name) && !self.resumed.is_empty() {
                self.warnings.push(format!("sink '{}' is new: it gets what comes from now on", now.name));
            }
        }
        let uncommitted = manifest.dead_letters.as_ref().filter(|before| !before.token.is_empty());
        match (uncommitted, &known.dead_letters) {
            (None, _) => {}
            (Some(before), Some(now)) => self.sink("the sink of dead letters", now, &before.identity),
            (Some(_), None) => self.warnings.push(format!(
                "dead letters are off: those of epoch {epoch} are dropped, unless they had been committed"
            )),
        }
    }

    /// A token can be committed only where it is from.
    fn sink(&mut self, what: &str, now: &Named, before: &Identity) {
        if let Some(difference) = difference(&now.identity, before, &BTreeMap::new()) {
            self.refused.push(format!("{what} '{}' has changed: {difference}", now.name));
        }
    }

    fn answer(mut self, manifest: &Manifest, may_drop: bool) -> Result<Warnings, String> {
        let epoch = manifest.epoch;
        if self.refused.is_empty() && (self.gone.is_empty() || may_drop) {
            self.warnings.extend(self.gone.into_iter().map(|gone| format!("state is dropped: {gone}")));
            return Ok(self.warnings);
        }
        let is_gone_alone = self.refused.is_empty();
        let gone = self.gone.into_iter().map(|gone| format!("{gone}: not in the script any more"));
        let lines: Vec<String> =
            self.refused.into_iter().chain(gone).map(|line| format!("\n- {line}")).collect();
        let help = if is_gone_alone {
            "to drop this state, start once with --allow-dropped-state; to keep it, start the script of before"
        } else {
            "to go on, start the script of before; to start over, choose another state folder or remove this one"
        };
        Err(format!(
            "the checkpoint of epoch {epoch} does not fit the script, nothing was read or written:{}\n{help}",
            lines.concat()
        ))
    }
}

/// What is different, where anything is.
fn difference(now: &Identity, before: &Identity, renamed: &BTreeMap<String, String>) -> Option<String> {
    if now.uid == before.uid {
        return None;
    }
    let changes = now.changes(before, renamed);
    if changes.is_empty() {
        return Some("this version of the program has other words for it".to_owned());
    }
    Some(changes.join("; "))
}

/// Which of the operators of before one was most likely made of: of its kind, into one of its sinks.
fn likest(before: &[&ManifestOperator], now: &KnownOperator) -> Option<usize> {
    let is_like = |before: &ManifestOperator| {
        before.identity.kind == now.identity.kind && before.feeds.iter().any(|sink| now.feeds.contains(sink))
    };
    let candidates = before.iter().enumerate().filter(|(_, before)| is_like(before));
    // The first of those that are equally alike.
    candidates.rev().max_by_key(|(_, before)| now.identity.likeness(&before.identity)).map(|(index, _)| index)
}

/// An operator for people.
fn name(identity: &Identity, feeds: &[String]) -> String {
    let feeds: Vec<String> = feeds.iter().map(|sink| format!("'{sink}'")).collect();
    format!("{} of {}", identity.kind, feeds.join(", "))
}
