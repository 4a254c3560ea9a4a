//! What may change about a script while its state goes on: a restart in the middle gives the rows of a run that is not
//! disturbed.

use super::{EVENTS, Folder, MINUTES, VISITS, undisturbed};
use crate::run::block_on;

/// Begins with one script, goes on with another; its rows of `out` are those that it has by itself.
fn keeps(before: &str, after: &str) {
    keeps_rows_of("out", before, after);
}

fn keeps_rows_of(table: &str, before: &str, after: &str) {
    block_on(async {
        let folder = Folder::new();
        folder.begin(before).await;
        folder.end(after, folder.options()).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(folder.rows(table), undisturbed(after, table).await);
    });
}

fn script() -> String {
    format!("{EVENTS}{MINUTES}")
}

#[test]
fn comments_and_white_space() {
    let after = script().replace('\n', "\n\n  -- a comment\n").replace("COUNT(*),", "COUNT( * ) /* all */ ,");
    keeps(&script(), &after);
}

#[test]
fn threads_and_intervals() {
    let set = |settings: &[(&str, &str)]| {
        let settings = settings.iter().map(|(name, value)| format!("SET '{name}' = '{value}';"));
        settings.collect::<String>() + &script()
    };
    let before = set(&[("parallelism", "1")]);
    keeps(&before, &set(&[("parallelism", "2")]));
    keeps(&before, &set(&[("checkpoint.interval", "10 ms"), ("emit.interval", "1 ms")]));
}

#[test]
fn a_password_and_other_ways_to_reach_the_source() {
    let with = |password: &str| {
        script()
            .replace("'idle-timeout'", &format!("'properties.sasl.password' = '{password}', 'idle-timeout'"))
    };
    keeps(&with("old"), &with("new"));
    keeps(&with("old"), &script().replace("'0 s'", "'0 s', 'max-future' = '1 h'"));
}

#[test]
fn names_of_views_aliases_and_subqueries() {
    let table = MINUTES.split("INSERT").next().unwrap();
    let after = format!(
        "{EVENTS}{table}
         CREATE VIEW positive AS SELECT v AS amount, `time` AS at, k AS name FROM events AS e WHERE 0 < e.v;
         INSERT INTO out SELECT w, name, how_many, total FROM
         (SELECT window_start AS w, p.name, COUNT(*) AS how_many, SUM(p.amount) AS total
          FROM TABLE(TUMBLE(TABLE positive, DESCRIPTOR(at), INTERVAL '1' MINUTE)) AS p
          GROUP BY window_start, window_end, p.name) AS x;"
    );
    keeps(&script(), &after);
    keeps(&after, &script());
}

#[test]
fn a_neighbour_without_state_that_is_added() {
    let neighbour = "
        CREATE TABLE large (k STRING, v BIGINT) WITH ('connector' = 'collect', 'emit' = 'final');
        INSERT INTO large SELECT k, v FROM events WHERE v > 4;";
    keeps(&script(), &(script() + neighbour));
    keeps(&script(), &format!("{EVENTS}{neighbour}{MINUTES}"));
}

/// Its own source is new as well, so it misses nothing.
#[test]
fn a_neighbour_over_another_source_that_is_added() {
    let others = EVENTS.replace("events", "others").replace("'kept'", "'others'");
    let after = format!("{others}{}{EVENTS}{MINUTES}", VISITS.replace("events", "others"));
    keeps(&script(), &after);
    keeps_rows_of("visits", &script(), &after);
}

/// The state that is there already is that of the new statement, too.
#[test]
fn a_neighbour_that_computes_the_same() {
    let twin = MINUTES
        .replace("out", "twin")
        .replace("SELECT window_start", "SELECT m.window_start")
        .replace("INTERVAL '1' MINUTE))", "INTERVAL '1' MINUTE)) AS m");
    let after = format!("{EVENTS}{twin}{MINUTES}");
    keeps(&script(), &after);
    block_on(async {
        let folder = Folder::new();
        folder.begin(&script()).await;
        folder.end(&after, folder.options()).await.unwrap();
        // The first minute was written before the twin was there.
        let whole = undisturbed(&after, "twin").await;
        let missing = folder.rows("out").lines().filter(|line| line.starts_with("12:00:00")).count();
        assert!(missing > 0);
        let expected: Vec<&str> = whole.lines().filter(|line| !line.starts_with("12:00:00")).collect();
        assert_eq!(folder.rows("twin").lines().collect::<Vec<_>>(), expected);
    });
}

/// The other is what holds the state now; only its sink is missed.
#[test]
fn one_of_two_that_compute_the_same_is_removed() {
    let before = format!("{EVENTS}{}{MINUTES}", MINUTES.replace("out", "twin"));
    block_on(async {
        let folder = Folder::new();
        folder.begin(&before).await;
        let mut options = folder.options();
        options.may_drop_state = true;
        folder.end(&script(), options).await.unwrap();
        assert_eq!(folder.rows("out"), undisturbed(&script(), "out").await);
    });
}

#[test]
fn what_a_neighbour_does_with_its_results() {
    let before = script() + VISITS;
    let after = script() + &VISITS.replace("k, COUNT(*)", "'x' || k, COUNT(*) + 1");
    assert_ne!(before, after);
    keeps(&before, &after);
}

#[test]
fn the_order_of_statements() {
    keeps(&format!("{EVENTS}{MINUTES}{VISITS}"), &format!("{EVENTS}{VISITS}{MINUTES}"));
}

#[test]
fn a_neighbour_that_is_removed_and_whose_state_may_be_dropped() {
    block_on(async {
        let folder = Folder::new();
        folder.begin(&(script() + VISITS)).await;
        let mut options = folder.options();
        options.may_drop_state = true;
        folder.end(&script(), options).await.unwrap();
        assert_eq!(folder.rows("out"), undisturbed(&script(), "out").await);
    });
}

#[test]
fn dead_letters_on_and_off() {
    block_on(async {
        for first in [true, false] {
            let folder = Folder::new();
            let options = |letters: bool| {
                let mut options = folder.options();
                options.dead_letters = options.dead_letters.filter(|_| letters);
                options
            };
            folder.begin_with(&script(), options(first)).await;
            folder.end(&script(), options(!first)).await.unwrap();
            assert_eq!(folder.rows("out"), undisturbed(&script(), "out").await);
        }
    });
}
