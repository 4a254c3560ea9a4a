//! An oracle for the language: random scripts over random tables, in the engine and in batch by DataFusion.
//!
//! A script's rows must be those of batch SQL in which each window is spelled by arithmetic, or the script must
//! be refused at planning with a message of its own. No script may differ, fail while it runs, or panic.
//!
//! `PLAMATIO_FUZZ_SCRIPTS` and `PLAMATIO_FUZZ_SEED` say how many scripts and from which seed on; a script's seed
//! is in the report on it, and `PLAMATIO_FUZZ_SCRIPTS=1 PLAMATIO_FUZZ_SEED=…` runs it alone (and shows it, with
//! `PLAMATIO_FUZZ_SHOW=1`). `make fuzz` runs many.
//!
//! | module | what |
//! |---|---|
//! | [`tree`] | queries as trees, and their streaming and batch texts |
//! | [`script`], [`data`] | whole scripts; source tables and their rows |
//! | [`generate`], [`columns`], [`random`] | random ones, from a seed |
//! | [`streaming`], [`batch`], [`rows`] | both runs, and rows that can be compared |
//! | [`check`], [`shrink`] | the verdict on a script; the smallest data for it |
//! | `found` | what was found, by hand and with its expected rows |

#[path = "language/batch.rs"]
mod batch;
#[path = "language/check.rs"]
mod check;
#[path = "language/columns.rs"]
mod columns;
#[path = "language/data.rs"]
mod data;
#[path = "language/found.rs"]
mod found;
#[path = "language/generate.rs"]
mod generate;
#[path = "language/lists.rs"]
mod lists;
#[path = "language/random.rs"]
pub(crate) mod random;
#[path = "language/rows.rs"]
mod rows;
#[path = "language/script.rs"]
mod script;
#[path = "language/shrink.rs"]
mod shrink;
#[path = "language/streaming.rs"]
mod streaming;
#[path = "language/tree.rs"]
mod tree;

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    io::Write as _,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use tokio::runtime::Runtime;

use self::check::{Outcome, check};

/// Scripts of a plain test run.
const SCRIPTS: u64 = 2_000;
const SEED: u64 = 1;
/// Of a hundred scripts, how many must be run rather than refused: a planner that refuses is never wrong.
const FLOOR: u64 = 65;
/// Of a hundred scripts, how many may be none that DataFusion can plan: the generator makes no nonsense.
const UNJUDGED: u64 = 1;
/// Wrong scripts after which the run ends; `PLAMATIO_FUZZ_WRONG` says otherwise.
const WRONG: u64 = 5;

#[derive(Default)]
struct Report {
    equal: u64,
    rows: usize,
    /// By kind: how many, and the first one's seed.
    refused: BTreeMap<String, (u64, u64)>,
    /// Batch queries that DataFusion does not plan, with what it says.
    unjudged: Vec<String>,
    wrong: Vec<String>,
}

impl Report {
    fn scripts(&self) -> u64 {
        let others = u64::try_from(self.wrong.len() + self.unjudged.len()).unwrap();
        self.equal + self.refused() + others
    }

    fn refused(&self) -> u64 {
        self.refused.values().map(|(count, _)| count).sum()
    }

    fn summary(&self) -> String {
        let mut kinds: Vec<_> = self.refused.iter().collect();
        kinds.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        let mut text = format!(
            "language oracle: scripts {}, equal {} ({} rows), refused {}, unjudged {}, differing {}\n",
            self.scripts(),
            self.equal,
            self.rows,
            self.refused(),
            self.unjudged.len(),
            self.wrong.len()
        );
        for (kind, (count, seed)) in kinds {
            writeln!(text, "  refused {count:5}  {kind} (seed {seed})").unwrap();
        }
        for error in &self.unjudged {
            let first: String =
                error.lines().take(3).collect::<Vec<_>>().join(" ").chars().take(160).collect();
            writeln!(text, "  unjudged  {first}").unwrap();
        }
        text
    }
}

fn setting(name: &str, default: u64) -> u64 {
    match env::var(name) {
        Ok(value) if !value.is_empty() => {
            value.parse().unwrap_or_else(|_| panic!("{name} is a number, not '{value}'"))
        }
        _ => default,
    }
}

/// Says something at once, past the test harness, which keeps what tests print.
fn say(text: &str) {
    std::io::stderr().write_all(text.as_bytes()).unwrap();
}

#[test]
fn scripts_equal_batch_sql_or_are_refused() {
    let scripts = setting("PLAMATIO_FUZZ_SCRIPTS", SCRIPTS);
    let first = setting("PLAMATIO_FUZZ_SEED", SEED);
    let most = usize::try_from(setting("PLAMATIO_FUZZ_WRONG", WRONG)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (next, report) = (AtomicU64::new(0), Mutex::new(Report::default()));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= scripts || report.lock().unwrap().wrong.len() >= most {
                        break;
                    }
                    try_one(&runtime, first.wrapping_add(number), &report);
                }
            });
        }
    });
    let report = report.into_inner().unwrap();
    say(&report.summary());
    assert!(report.wrong.is_empty(), "seeds from {first} on:\n{}", report.wrong.join("\n\n"));
    // A handful says nothing about shares.
    if scripts < 100 {
        return;
    }
    let unjudged = u64::try_from(report.unjudged.len()).unwrap();
    assert!(unjudged * 100 <= UNJUDGED * scripts, "no queries:\n{}", report.unjudged.join("\n"));
    let enough = report.equal * 100 >= FLOOR * report.scripts();
    assert!(enough, "only {} of {} scripts were run at all", report.equal, report.scripts());
}

fn try_one(runtime: &Runtime, seed: u64, report: &Mutex<Report>) {
    let script = generate::script(seed);
    if setting("PLAMATIO_FUZZ_SHOW", 0) > 0 {
        say(&check::shown(&script));
    }
    match check(runtime, &script) {
        Outcome::Equal(rows) => {
            let mut report = report.lock().unwrap();
            report.equal += 1;
            report.rows += rows;
        }
        Outcome::Refused(kind) => report.lock().unwrap().refused.entry(kind).or_insert((0, seed)).0 += 1,
        Outcome::Unjudged(error) => report.lock().unwrap().unjudged.push(format!("seed {seed}: {error}")),
        Outcome::Wrong(wrong) => {
            let (script, wrong) = shrink::shrink(runtime, script, wrong);
            let text = format!("== seed {seed}: {wrong}\n{}", check::shown(&script));
            say(&format!("{text}\n"));
            report.lock().unwrap().wrong.push(text);
        }
    }
}
