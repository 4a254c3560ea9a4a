"""The workload's answers in plain batch SQL on DuckDB; prints one line of JSON.

    duckdb_batch.py --path EVENTS --queries top_products,funnel,sessions --threads 2

The JSON is read once into a table, of the columns that the queries use; then each query's answer is made into a table.
`seconds` is both together, `load_seconds` the first. Opening the database (in memory) is in neither.

The queries are written as one who knows DuckDB would write them, not as the streaming files have them: the hopping
window is counted by the minute first and ten minutes are added up, sessions come from the gap to the event before.
"""

import argparse
import json
import resource
import time
from pathlib import Path

COLUMNS = {
    "event_type": "VARCHAR",
    "event_time": "TIMESTAMP",
    "session_id": "VARCHAR",
    "product_id": "BIGINT",
    "quantity": "BIGINT",
    "price_cents": "BIGINT",
}

QUERIES = {
    "top_products": (
        ["event_type", "event_time", "product_id", "quantity", "price_cents"],
        """
        WITH minutes AS (
          SELECT
            date_trunc('minute', event_time) AS minute, product_id,
            sum(CASE WHEN event_type = 'order_completed' THEN quantity * price_cents ELSE 0 END) AS revenue_cents,
            sum(CASE WHEN event_type = 'order_completed' THEN quantity ELSE 0 END) AS units,
            count(*) FILTER (WHERE event_type = 'product_viewed') AS views
          FROM events
          GROUP BY minute, product_id
        ),
        windows AS (
          SELECT
            minute - to_minutes(back) AS window_start, product_id,
            sum(revenue_cents)::BIGINT AS revenue_cents, sum(units)::BIGINT AS units, sum(views)::BIGINT AS views
          FROM minutes CROSS JOIN range(10) AS slides (back)
          GROUP BY window_start, product_id
        )
        SELECT
          window_start, window_start + INTERVAL 10 MINUTE AS window_end,
          row_number() OVER (PARTITION BY window_start ORDER BY revenue_cents DESC, product_id) AS rank,
          product_id, revenue_cents, units, views
        FROM windows
        QUALIFY rank <= 10
        """,
    ),
    "funnel": (
        ["event_type", "event_time", "session_id"],
        """
        SELECT
          date_trunc('minute', event_time) AS window_start, window_start + INTERVAL 1 MINUTE AS window_end,
          count(DISTINCT session_id) FILTER (WHERE event_type = 'product_viewed') AS viewed,
          count(DISTINCT session_id) FILTER (WHERE event_type = 'cart_item_added') AS carted,
          count(DISTINCT session_id) FILTER (WHERE event_type = 'order_completed') AS ordered
        FROM events
        GROUP BY window_start
        """,
    ),
    "sessions": (
        ["event_type", "event_time", "session_id", "quantity", "price_cents"],
        """
        WITH marked AS (
          SELECT *, event_time - lag(event_time) OVER (PARTITION BY session_id ORDER BY event_time)
                    > INTERVAL 30 SECOND AS begins
          FROM events
        ),
        numbered AS (
          -- By range, so that events of one time have one number.
          SELECT *, count(*) FILTER (WHERE begins) OVER (PARTITION BY session_id ORDER BY event_time) AS visit
          FROM marked
        )
        SELECT
          min(event_time) AS window_start, max(event_time) + INTERVAL 30 SECOND AS window_end, session_id,
          count(*) FILTER (WHERE event_type = 'product_viewed') AS views,
          count(*) FILTER (WHERE event_type = 'cart_item_added') AS additions,
          sum(CASE WHEN event_type = 'order_completed' THEN quantity * price_cents ELSE 0 END)::BIGINT AS revenue_cents
        FROM numbered
        GROUP BY session_id, visit
        """,
    ),
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", required=True, help="a file of JSON lines, or a folder of such files")
    parser.add_argument("--queries", default=",".join(QUERIES), help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--check", metavar="DIR", help="also write each answer's rows there, as JSON lines")
    args = parser.parse_args()
    args.queries = args.queries.split(",")
    for query in args.queries:
        if query not in QUERIES:
            parser.error(f"no such query: {query} (there are: {', '.join(QUERIES)})")
    return args


def cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main():
    import duckdb

    args = arguments()
    path = Path(args.path)
    files = [str(path)]
    if path.is_dir():
        files = sorted(str(file) for file in path.iterdir() if not file.name.startswith((".", "_")))
    used = [name for name in COLUMNS if any(name in QUERIES[query][0] for query in args.queries)]
    columns = {name: COLUMNS[name] for name in used}
    database = duckdb.connect(":memory:")
    database.execute(f"SET threads = {args.threads}")
    database.execute("SET TimeZone = 'UTC'")

    started, cpu = time.monotonic(), cpu_seconds()
    database.execute(
        "CREATE TABLE events AS SELECT * FROM read_json($files, format = 'newline_delimited', columns = $columns)",
        {"files": files, "columns": columns},
    )
    loaded = time.monotonic() - started
    for query in args.queries:
        database.execute(f"CREATE TABLE {query} AS {QUERIES[query][1]}")
    seconds, cpu = time.monotonic() - started, cpu_seconds() - cpu

    def count(table):
        return database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]

    measured = {
        "events": count("events"),
        "rows": {query: count(query) for query in args.queries},
        "seconds": seconds,
        "load_seconds": loaded,
        "cpu_seconds": cpu,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "version": duckdb.__version__,
    }
    if args.check:
        folder = Path(args.check)
        folder.mkdir(parents=True, exist_ok=True)
        for query in args.queries:
            file = str(folder / f"{query}.jsonl").replace("'", "''")
            database.execute(f"COPY {query} TO '{file}' (FORMAT json)")
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
