"""The same SQL over the same events on this engine, Apache Flink and DuckDB, in one run.

    make bench-peers                                          # from a file, both numbers of cores
    make bench-peers PEERS_ARGS='--events 1000000 --runs 7'
    make bench-peers PEERS_ARGS='--kafka'                     # the engine and Flink from one topic
    make bench-peers PEERS_ARGS='--nexmark'                   # Nexmark queries, the engine and Flink
    make bench-peers PEERS_ARGS='--check'                     # whether all answers are equal; no figures

Every measurement is a process of its own, held to as many processors as it has threads (slots, on Flink). A run is one
measurement of every engine in turn; ratios are taken within a run, and the table has the median and the range over the
runs. What each clock covers: the engine's from before the source is opened until every row is written, see
benches/README.md; Flink's and DuckDB's in flink.py and duckdb_batch.py beside this file. No clock has the start of a
process in it. Files are read once before each measurement, so that they are in the page cache.

Flink gets the events of a file spread over as many files as it has slots, by visit, since it reads a file in one slot;
that is made before and not measured. A folder of files is also what every engine reads for Nexmark.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import rows
import table

HERE = Path(__file__).resolve().parent
SQL = HERE.parent / "sql"
QUERIES = ["top_products", "funnel", "sessions"]
NEXMARK = ["q0", "q1", "q2", "q5"]
ENGINES = {"ours": "this engine", "flink": "Flink", "duckdb": "DuckDB"}
# Events that Flink runs over before a measurement, to have its classes compiled.
WARM_UP = 200_000
CHECKED = 100_000
# A lost broker is waited for without end; no measurement takes nearly so long.
LONGEST_SECONDS = 1_800
SESSION = re.compile(rb'"session_id":"([^"]*)"')


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, help=f"default: 2000000, with --check {CHECKED}")
    parser.add_argument("--runs", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--threads", default="2,1", help="default: %(default)s")
    parser.add_argument("--queries", help="some of them, each alone; default: three at once, and each")
    parser.add_argument("--kafka", action="store_true", help="from a topic at KAFKA_BROKERS, three at once")
    parser.add_argument("--nexmark", action="store_true", help=f"{', '.join(NEXMARK)} instead")
    parser.add_argument("--check", action="store_true", help="compare every row instead of measuring")
    parser.add_argument("--without", action="append", default=[], choices=["flink", "duckdb"])
    parser.add_argument("--data", type=Path, help="where generated events are kept; otherwise a temporary folder")
    parser.add_argument("--out", type=Path, default=Path("plamatio-data/peers.json"), help="default: %(default)s")
    parser.add_argument("--programs", type=Path, default=Path("target/release"), help="folder of the built programs")
    args = parser.parse_args()
    if args.runs < 1:
        parser.error("--runs must be at least 1")
    if args.kafka and args.nexmark:
        parser.error("Nexmark is measured from files only")
    args.events = args.events or (CHECKED if args.check else 2_000_000)
    args.threads = [int(threads) for threads in args.threads.split(",")]
    args.queries = args.queries.split(",") if args.queries else []
    for query in args.queries:
        if query not in (NEXMARK if args.nexmark else QUERIES):
            parser.error(f"no such query: {query}")
    args.brokers = os.environ.get("KAFKA_BROKERS", "")
    if args.kafka and not args.brokers:
        parser.error("--kafka needs KAFKA_BROKERS; `make bench-peers` starts a broker")
    return args


class Failed(Exception):
    """A program that did not end well, or rows that are not equal."""


def run(command, threads=None):
    """The last line that a program prints, as JSON; held to some processors."""
    command = [str(part) for part in command]
    if threads and shutil.which("taskset"):
        processors = sorted(os.sched_getaffinity(0))[:threads]
        command = ["taskset", "--cpu-list", ",".join(map(str, processors)), *command]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONGEST_SECONDS)
    except subprocess.TimeoutExpired as expired:
        raise Failed(f"{' '.join(command)}\nhas not ended after {LONGEST_SECONDS} seconds") from expired
    if done.returncode != 0 or not done.stdout.strip():
        raise Failed(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def say(text):
    print(text, file=sys.stderr, flush=True)


class Events:
    """Generated events, and where each engine finds them."""

    def __init__(self, args):
        self.args = args
        self.program = args.programs / ("nexmark" if args.nexmark else "throughput")
        # Few enough a second for some minutes, so that windows open and close.
        self.rate = ["--event-rate", 500 if args.nexmark else 50] if args.check else []
        say(f"generating {args.events} events")
        # The workload in one file; Nexmark has a file a thread.
        self.file = None if args.nexmark else Path(self.generate(args.events, 1)["path"])
        self.folders = {threads: self.folder(args.events, threads) for threads in args.threads}
        self.warm_up = {}
        if "flink" not in args.without and not args.check:
            self.warm_up = {threads: self.folder(WARM_UP, threads) for threads in args.threads}

    def folder(self, events, threads):
        """A folder with as many files as there are threads."""
        made = self.generate(events, threads)
        if self.args.nexmark:
            return Path(made["folder"])
        return split(Path(made["path"]), threads)

    def generate(self, events, threads):
        return run([self.program, "--generate", "--data", self.args.data, "--events", events,
                    "--threads", threads, *self.rate])


def split(file, parts):
    """A folder with the file's lines in so many files, those of a visit in one of them, each in its order."""
    if parts == 1:
        return file.parent
    folder = file.parent.with_name(f"{file.parent.name}-by-{parts}")
    # Files with a `_` in front are no part of the data.
    marker = folder / "_complete"
    if marker.exists():
        return folder
    folder.mkdir(exist_ok=True)
    outputs = [open(folder / f"part-{part}.jsonl", "wb", buffering=1 << 20) for part in range(parts)]
    with open(file, "rb") as lines:
        for line in lines:
            session = SESSION.search(line)
            outputs[zlib.crc32(session.group(1)) % parts].write(line)
    for output in outputs:
        output.close()
    marker.touch()
    return folder


class Topic:
    """A topic filled with the workload, for as long as its program is given input."""

    def __init__(self, args, rate):
        say(f"filling a topic at {args.brokers}")
        command = [args.programs / "peers", "topic", "--brokers", args.brokers, "--events", args.events, *rate]
        self.process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.name = self.process.stdout.readline().strip()
        if not self.name:
            raise Failed(f"no topic at {args.brokers}, see above")

    def delete(self):
        self.process.communicate()


class Bench:
    """One case: some queries from one input on so many threads."""

    def __init__(self, args, events, topic, name, queries, threads):
        self.args, self.events, self.topic = args, events, topic
        self.name, self.queries, self.threads = name, queries, threads

    def label(self):
        return f"{self.name} from {'Kafka' if self.topic else 'file'}, {self.threads} cores"

    def engines(self):
        """Who can run it."""
        batch = [] if self.topic or self.args.nexmark else ["duckdb"]
        return [engine for engine in ["ours", "flink", *batch] if engine not in self.args.without]

    def measure(self, engine, check=None):
        """What an engine takes, in seconds; with `check`, rows go into that folder, by query."""
        measured = getattr(self, engine)(check)
        events = measured.setdefault("events", self.args.events)
        if events != self.args.events:
            raise Failed(f"{ENGINES[engine]}, {self.label()}: read {events} of {self.args.events} events")
        return measured

    def files(self, engine):
        """What an engine reads."""
        if self.topic:
            return []
        if self.args.nexmark or engine == "flink":
            return list(self.events.folders[self.threads].iterdir())
        return [self.events.file]

    def ours(self, check):
        program = self.args.programs
        if self.args.nexmark:
            case = {"folder": str(self.events.folders[self.threads]), "threads": self.threads,
                    "query": self.queries[0], "rows": str(check / self.queries[0]) if check else None}
            return run([program / "nexmark", "--case", json.dumps(case)], self.threads)
        if check:
            source = ["--path", self.events.file]
            if self.topic:
                source = ["--brokers", self.args.brokers, "--topic", self.topic.name]
            return run([program / "peers", "rows", *source, "--threads", self.threads, "--out", check,
                        "--queries", ",".join(self.queries)], self.threads)
        source = {"file": {"path": str(self.events.file)}}
        if self.topic:
            source = {"kafka": {"brokers": self.args.brokers, "topic": self.topic.name}}
        case = {"input": source, "threads": self.threads, "work": "engine", "queries": self.queries}
        return run([program / "throughput", "--case", json.dumps(case)], self.threads)

    def flink(self, check):
        command = [sys.executable, HERE / "flink.py", "--parallelism", self.threads]
        for file in sql_files(self.queries):
            command += ["--sql", file]
        if self.topic:
            command += ["--brokers", self.args.brokers, "--topic", self.topic.name]
        else:
            command += ["--folder", self.events.folders[self.threads]]
        if check:
            command += ["--check", check]
        elif self.events.warm_up:
            command += ["--warm-up", self.events.warm_up[self.threads]]
        return run(command, self.threads)

    def duckdb(self, check):
        command = [sys.executable, HERE / "duckdb_batch.py", "--path", self.events.file,
                   "--queries", ",".join(self.queries), "--threads", self.threads]
        if check:
            command += ["--check", check]
        return run(command, self.threads)


def cache(file):
    """Reads a file, so that it is in the page cache."""
    buffer = bytearray(1 << 20)
    with open(file, "rb", buffering=0) as bytes_of:
        while bytes_of.readinto(buffer):
            pass


def sql_files(queries):
    """The files of some queries, their source first."""
    folder = SQL / "nexmark" if queries[0] in NEXMARK else SQL
    return [folder / f"{name}.sql" for name in ["events", *queries]]


def cases(args, events, topic):
    """The cases of a run, in the order of the table."""
    if args.nexmark:
        queries = [(query, [query]) for query in args.queries or NEXMARK]
    elif args.queries:
        queries = [(query, [query]) for query in args.queries]
    else:
        queries = [("three at once", QUERIES)]
        # Rows are the same however many queries there are at once; a topic is slow to read.
        if not (args.check or args.kafka):
            queries += [(query, [query]) for query in QUERIES]
    return [Bench(args, events, topic, name, names, threads) for threads in args.threads for name, names in queries]


def check(benches, folder):
    """Compares every row of every query; tells all that differs before it fails."""
    unequal = 0
    for number, bench in enumerate(benches):
        found = {}
        for engine in bench.engines():
            out = folder / f"{number}-{engine}"
            bench.measure(engine, out)
            found[engine] = {query: answer(out, query) for query in bench.queries}
        for query in bench.queries:
            ours = found["ours"][query]
            if not ours:
                raise Failed(f"{bench.label()}: {query} has no rows")
            for engine in bench.engines()[1:]:
                theirs = found[engine][query]
                lines = rows.difference(ours, theirs)
                counts = f"{query}, {bench.threads} threads: {sum(ours.values())} rows"
                if lines:
                    unequal += 1
                    print(f"{counts}, NOT EQUAL to {ENGINES[engine]}'s {sum(theirs.values())}", *lines, sep="\n    ")
                else:
                    print(f"{counts}, all equal to {ENGINES[engine]}")
    if unequal:
        raise Failed(f"{unequal} answers differ, see above (- only ours, + only theirs)")


def answer(folder, query):
    """The rows of a query: a file or a folder."""
    file = folder / f"{query}.jsonl"
    return rows.read(file if file.exists() else folder / query)


def measure(args, benches):
    """All runs; for each case, a measurement of each engine and run."""
    measured = [{engine: [] for engine in bench.engines()} for bench in benches]
    for number in range(1, args.runs + 1):
        for bench, results in zip(benches, measured):
            for engine in bench.engines():
                for file in bench.files(engine):
                    cache(file)
                result = bench.measure(engine)
                results[engine].append(result)
                same_counts(bench, results)
                say(f"run {number}, {bench.label()}: {ENGINES[engine]}: {result['seconds']:.2f} s")
    return measured


def same_counts(bench, results):
    """Fails where the engine and DuckDB have another number of rows: such a figure is of no use."""
    ours, batch = results["ours"], results.get("duckdb")
    if batch and (wrong := {name: (ours[-1]["final_rows"][name], rows) for name, rows in batch[-1]["rows"].items()
                            if ours[-1]["final_rows"][name] != rows}):
        raise Failed(f"{bench.label()}: numbers of rows, ours and DuckDB's: {wrong}; --check shows the rows")


def report(args, benches, measured):
    """Prints the table and writes every figure."""
    peers = [engine for engine in ("flink", "duckdb") if any(engine in results for results in measured)]
    head = ["what", "from", "cores", "ours, M events/s", *(ENGINES[peer] for peer in peers),
            *(f"ours / {ENGINES[peer]}" for peer in peers)]
    lines, figures = [], []
    for bench, results in zip(benches, measured):
        rates = {engine: [run["events"] / run["seconds"] for run in runs] for engine, runs in results.items()}
        spreads = {engine: table.Spread(values) for engine, values in rates.items()}
        ratios = {peer: table.Spread(ours / theirs for ours, theirs in zip(rates["ours"], rates[peer]))
                  for peer in peers if peer in rates}
        source = "Kafka" if bench.topic else "file"
        lines.append([bench.name, source, str(bench.threads), spreads["ours"].rate(),
                      *(spreads[peer].rate() if peer in spreads else "-" for peer in peers),
                      *(ratios[peer].ratio() if peer in ratios else "-" for peer in peers)])
        figures.append({
            "what": bench.name, "from": source, "threads": bench.threads,
            "events_per_second": {engine: spread.json() for engine, spread in spreads.items()},
            "ours_over": {peer: ratio.json() for peer, ratio in ratios.items()},
            "runs": results,
        })
    versions = {ENGINES[peer]: next((runs[0]["version"] for results in measured if (runs := results.get(peer))), None)
                for peer in peers}
    machine = machine_now()
    print(f"{machine['processor']}; {machine['processors']} cores, {machine['memory_mib']} MiB; {machine['system']}")
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    print(f"{args.events} events; {args.runs} runs, medians (lowest to highest); ratios run by run\n")
    print(table.render(head, lines, left=2))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    whole = {"machine": machine, "versions": versions, "events": args.events, "runs": args.runs, "rows": figures}
    args.out.write_text(json.dumps(whole, indent=2), encoding="utf-8")
    print(f"\nall figures: {args.out}")


def machine_now():
    """What this is, as the other harness says it."""
    def line(file, name, split_at):
        try:
            found = [line for line in Path(file).read_text(encoding="utf-8").splitlines() if line.startswith(name)]
        except OSError:
            found = []
        return found[0].split(split_at, 1)[1].strip() if found else ""

    memory = line("/proc/meminfo", "MemTotal", ":").split()
    return {
        "processor": line("/proc/cpuinfo", "model name", ":") or platform.processor(),
        "processors": len(os.sched_getaffinity(0)),
        "memory_mib": int(memory[0]) // 1024 if memory else 0,
        "system": line("/etc/os-release", "PRETTY_NAME", "=").strip('"') or platform.platform(),
        "load": os.getloadavg()[0],
    }


def work(args, folder):
    args.data = args.data or folder / "data"
    args.data.mkdir(parents=True, exist_ok=True)
    events = Events(args)
    topic = Topic(args, events.rate) if args.kafka else None
    try:
        benches = cases(args, events, topic)
        if args.check:
            check(benches, folder)
        else:
            report(args, benches, measure(args, benches))
    finally:
        if topic:
            topic.delete()


def main():
    args = arguments()
    for peer in args.without:
        print(f"WITHOUT {ENGINES[peer].upper()}")
    if args.programs.name == "debug" and not args.check:
        print("THIS IS A DEBUG BUILD OF OUR ENGINE: it shows that the measurements work, not how fast anything is")
    try:
        with tempfile.TemporaryDirectory(prefix="plamatio-peers-") as folder:
            work(args, Path(folder))
    except Failed as failed:
        sys.exit(f"error: {failed}")


if __name__ == "__main__":
    main()
