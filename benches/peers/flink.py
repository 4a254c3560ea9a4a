"""Runs SQL files on Apache Flink, as one bounded streaming job, and prints one line of JSON.

    flink.py --sql events.sql --sql funnel.sql --folder EVENTS --parallelism 2
    flink.py --sql events.sql --sql funnel.sql --brokers HOST:PORT --topic NAME

The files are those that the engine runs, byte for byte. Only the options in `WITH (...)` differ: `${source}` is the
folder or topic; every other variable is a sink and discards (`blackhole`), or writes JSON lines below `--check DIR`.
All INSERTs go into one StatementSet, so that Flink can share what they have in common.

What is measured, in seconds:

    seconds       Flink's own "net runtime" of the job: from its start on the cluster until it has ended. Deployment of
                  the tasks is in it. Planning, code generation and the start of the JVM and of the in-process cluster
                  are not.
    wall_seconds  around StatementSet.execute() and the wait for its end: planning and the cluster's start as well
    cpu_seconds   of the JVM, all threads, over the time of wall_seconds

`--warm-up` runs the same script over other, smaller data before, in the same JVM, so that the measured job finds
compiled classes: a job of weeks is not compiled while it runs.

Settings (`--set NAME=VALUE` for others): object reuse and mini-batches on, state on the heap (Flink's default and
fastest), no checkpoints, 1 GiB of managed memory for the windows' buffers rather than the 128 MiB of a local cluster.

A folder must have at most as many files as there are slots. Flink gives a table's watermark to a reader, not to a file:
a reader's second file begins in the past of its first, and its rows would be late and dropped.
"""

import argparse
import json
import logging
import os
import sys
import time
from pathlib import Path

import script

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

SETTINGS = {
    "pipeline.object-reuse": "true",
    "table.exec.mini-batch.enabled": "true",
    "table.exec.mini-batch.allow-latency": "500 ms",
    "table.exec.mini-batch.size": "5000",
    "table.local-time-zone": "UTC",
    "taskmanager.memory.managed.size": "1 gb",
    "rest.address": "127.0.0.1",
    "rest.bind-address": "127.0.0.1",
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sql", action="append", required=True, metavar="FILE", help="in this order")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--folder", help="of JSON lines")
    source.add_argument("--brokers", help="Apache Kafka, host:port")
    parser.add_argument("--topic", help="read from its beginning to where it ends now")
    parser.add_argument("--parallelism", type=int, default=2, help="slots, and parallelism of every operator")
    parser.add_argument("--warm-up", metavar="FOLDER", help="files to run over first, unmeasured")
    parser.add_argument("--check", metavar="DIR", help="write rows there rather than discard them")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of Flink")
    parser.add_argument("--explain", action="store_true", help="print the plan instead of running it")
    args = parser.parse_args()
    if bool(args.brokers) != bool(args.topic):
        parser.error("--brokers and --topic go together")
    return args


def folder_source(folder, slots):
    files = [file for file in Path(folder).iterdir() if not file.name.startswith((".", "_"))]
    if len(files) > slots:
        sys.exit(f"error: {folder} has {len(files)} files for {slots} slots, see --help")
    return {"connector": "filesystem", "path": Path(folder).absolute().as_uri()}


def topic_source(brokers, topic):
    return {
        "connector": "kafka",
        "topic": topic,
        "properties.bootstrap.servers": brokers,
        "properties.group.id": "plamatio-peers",
        "scan.startup.mode": "earliest-offset",
        "scan.bounded.mode": "latest-offset",
    }


def sink(name, check):
    if not check:
        return {"connector": "blackhole"}
    path = Path(check).absolute() / name
    return {
        "connector": "filesystem",
        "path": path.as_uri(),
        "format": "json",
        "json.timestamp-format.standard": "ISO-8601",
    }


def job(text, source, check, parallelism, settings):
    """A StatementSet of the script's INSERTs, planned but not started."""
    from pyflink.common import Configuration
    from pyflink.table import EnvironmentSettings, TableEnvironment

    configuration = Configuration()
    slots = {"parallelism.default": str(parallelism), "taskmanager.numberOfTaskSlots": str(parallelism)}
    for name, value in {**SETTINGS, **slots, **settings}.items():
        configuration.set_string(name, value)
    environment = TableEnvironment.create(
        EnvironmentSettings.new_instance().in_streaming_mode().with_configuration(configuration).build()
    )
    values = {name: script.options(sink(name, check)) for name in script.variables(text)}
    values["source"] = script.options(source)
    inserts = environment.create_statement_set()
    for statement in script.statements(script.fill(text, values)):
        if statement.upper().startswith("INSERT"):
            inserts.add_insert_sql(statement)
        else:
            environment.execute_sql(statement)
    return inserts


def execute(inserts):
    """Runs to the end; seconds by Flink's own clock, and by ours."""
    started = time.monotonic()
    result = inserts.execute().get_job_client().get_job_execution_result().result()
    return result.get_net_runtime() / 1000, time.monotonic() - started


class Jvm:
    """The process that Flink runs in."""

    def __init__(self):
        from pyflink.java_gateway import get_gateway

        jvm = get_gateway().jvm
        self.pid = jvm.java.lang.ProcessHandle.current().pid()
        self.version = jvm.java.lang.System.getProperty("java.version")
        self.flink = jvm.org.apache.flink.runtime.util.EnvironmentInformation.getVersion()

    def cpu_seconds(self):
        # The second field is the program's name and may hold spaces; utime and stime are the 14th and 15th.
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND

    def peak_bytes(self):
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return None


def main():
    args = arguments()
    logging.disable(logging.WARNING)
    # A fixed heap: growing it in steps would be measured. A quarter of a small machine is still too little.
    os.environ.setdefault("JVM_ARGS", "-Xms4g -Xmx4g")
    os.environ["LOG4J_PROPERTIES"] = str(Path(__file__).resolve().with_name("log4j2.properties"))
    text = script.load(args.sql)
    settings = dict(setting.split("=", 1) for setting in args.set)
    source = folder_source(args.folder, args.parallelism) if args.folder else topic_source(args.brokers, args.topic)
    if args.warm_up:
        warm = folder_source(args.warm_up, args.parallelism)
        execute(job(text, warm, None, args.parallelism, settings))
    inserts = job(text, source, args.check, args.parallelism, settings)
    if args.explain:
        print(inserts.explain())
        return
    jvm = Jvm()
    cpu = jvm.cpu_seconds()
    seconds, wall = execute(inserts)
    measured = {
        "seconds": seconds,
        "wall_seconds": wall,
        "cpu_seconds": jvm.cpu_seconds() - cpu,
        "peak_bytes": jvm.peak_bytes(),
        "version": jvm.flink,
        "java": jvm.version,
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
