//! Makes what is wrong smaller: one sink, one thread, no restarts, fewer rows.

use tokio::runtime::Runtime;

use super::{
    check::{Outcome, check},
    script::{Run, Script},
};

/// How often a script is tried again.
const TRIES: usize = 150;

/// The smallest script that was found to be wrong still, and what is wrong with it.
pub(crate) fn shrink(runtime: &Runtime, script: Script, wrong: String) -> (Script, String) {
    let mut shrinking = Shrinking { runtime, best: (script, wrong), tries: 0 };
    for sink in shrinking.best.0.sinks.clone() {
        let one = shrinking.best.0.only(&sink);
        if shrinking.take(one) {
            break;
        }
    }
    shrinking.simpler(|script| script.run.stops.clear());
    shrinking.simpler(|script| script.run = Run { parallelism: 1, step: None, stops: Vec::new() });
    shrinking.simpler(|script| script.tables.iter_mut().for_each(|table| table.files = 1));
    shrinking.simpler(|script| script.inline = false);
    for table in 0..shrinking.best.0.tables.len() {
        shrinking.rows(table);
    }
    shrinking.best
}

struct Shrinking<'a> {
    runtime: &'a Runtime,
    best: (Script, String),
    tries: usize,
}

impl Shrinking<'_> {
    /// Takes a script if it is wrong.
    fn take(&mut self, script: Script) -> bool {
        self.tries += 1;
        match check(self.runtime, &script) {
            Outcome::Wrong(wrong) => {
                self.best = (script, wrong);
                true
            }
            Outcome::Equal(_) | Outcome::Refused(_) | Outcome::Unjudged(_) => false,
        }
    }

    fn simpler(&mut self, simplify: impl Fn(&mut Script)) {
        let mut script = self.best.0.clone();
        simplify(&mut script);
        self.take(script);
    }

    /// Drops rows of a table: halves, then quarters, down to single ones.
    fn rows(&mut self, table: usize) {
        let mut length = self.best.0.tables[table].rows.len();
        while length > 0 {
            let mut from = 0;
            while from < self.best.0.tables[table].rows.len() && self.tries < TRIES {
                let mut script = self.best.0.clone();
                let rows = &mut script.tables[table].rows;
                rows.drain(from..rows.len().min(from + length));
                if !self.take(script) {
                    from += length;
                }
            }
            length /= 2;
        }
    }
}
