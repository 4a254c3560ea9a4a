//! Windows over windows.

use insta::assert_snapshot;

use crate::run::check;

/// Sessions of `a`: [12:00:05, 12:00:50], [12:02:10, 12:02:10]; of `b`: [12:00:10, 12:01:35].
const EVENTS: &str = "
    time      k  v
    12:00:05  a  1
    12:00:10  b  1
    12:00:30  a  1
    12:00:35  b  1
    12:00:50  a  1
    12:01:00  b  1
    12:01:20  b  1
    12:01:35  b  1
    12:02:10  a  1";

fn sessions_then_tumble(time: &str) -> String {
    check(
        EVENTS,
        "minute TIMESTAMP(3), sessions BIGINT, longest BIGINT",
        &format!(
            "WITH sessions AS (
               SELECT k, window_start, window_end, window_time, COUNT(*) AS n
               FROM TABLE(SESSION(TABLE events PARTITION BY k, DESCRIPTOR(`time`), INTERVAL '30' SECOND))
               GROUP BY k, window_start, window_end, window_time
             ), renamed AS (
               SELECT window_start AS s, window_end AS e, window_time AS t, n FROM sessions
             )
             SELECT window_start, COUNT(*), MAX(n)
             FROM TABLE(TUMBLE(TABLE renamed, DESCRIPTOR({time}), INTERVAL '1' MINUTE))
             GROUP BY window_start, window_end"
        ),
    )
}

#[test]
fn sessions_by_the_minute_in_which_they_began() {
    assert_snapshot!(sessions_then_tumble("s"), @r"
    minute    sessions  longest
    12:00:00  2         5
    12:02:00  1         1
    ");
}

#[test]
fn sessions_by_the_minute_in_which_they_were_over() {
    assert_snapshot!(sessions_then_tumble("t"), @r"
    minute    sessions  longest
    12:01:00  1         3
    12:02:00  2         5
    ");
    assert_snapshot!(sessions_then_tumble("e"), @r"
    minute    sessions  longest
    12:01:00  1         3
    12:02:00  2         5
    ");
}

#[test]
fn minutes_to_three_minutes() {
    let rolled = check(
        EVENTS,
        "w TIMESTAMP(3), minutes BIGINT, events BIGINT",
        "WITH minutes AS (
           SELECT window_time AS t, COUNT(*) AS n
           FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
           GROUP BY window_start, window_end, window_time
         )
         SELECT window_start, COUNT(*), SUM(n)
         FROM TABLE(TUMBLE(TABLE minutes, DESCRIPTOR(t), INTERVAL '3' MINUTE))
         GROUP BY window_start, window_end",
    );
    assert_snapshot!(rolled, @r"
    w         minutes  events
    12:00:00  3        9
    ");
}

#[test]
fn busy_minutes_in_sessions() {
    let busy = check(
        EVENTS,
        "s TIMESTAMP(3), e TIMESTAMP(3), minutes BIGINT",
        "WITH minutes AS (
           SELECT window_start AS t, COUNT(*) AS n
           FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '10' SECOND))
           GROUP BY window_start, window_end
         )
         SELECT window_start, window_end, COUNT(*)
         FROM TABLE(SESSION(TABLE minutes, DESCRIPTOR(t), INTERVAL '20' SECOND))
         GROUP BY window_start, window_end",
    );
    assert_snapshot!(busy, @r"
    s         e         minutes
    12:00:00  12:01:50  7
    12:02:10  12:02:30  1
    ");
}
