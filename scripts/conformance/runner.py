"""What the suites have in common: running scripts side by side, counting and printing."""
import collections
import concurrent.futures
import json
import os
import re
import subprocess

KINDS = ("pass", "wrong", "crash", "refused", "kept", "outside")
LEFT = collections.namedtuple("LEFT", "kind note")


def run(binary, folder, sql, timeout=60):
    """Runs a script: (kind or None, error text)."""
    path = os.path.join(folder, "q.sql")
    with open(path, "w", encoding="utf-8") as file:
        file.write(sql)
    try:
        done = subprocess.run([binary, "run", path], capture_output=True, text=True, timeout=timeout, cwd=folder)
    except subprocess.TimeoutExpired:
        return "crash", "timed out"
    error = " ".join(done.stderr.split())
    if done.returncode == 0:
        return None, ""
    return ("crash" if re.search(r"panicked|internal error", error, re.I) else "refused"), error


def lines(path):
    """The rows that a sink wrote, in JSON."""
    if os.path.isfile(path):
        files = [path]
    elif os.path.isdir(path):
        files = [os.path.join(path, name) for name in sorted(os.listdir(path)) if not name.startswith((".", "_"))]
    else:
        files = []
    for name in files:
        with open(name, encoding="utf-8") as file:
            yield from (json.loads(line) for line in file if line.strip())


def iso(text):
    """The option that Flink's JSON needs for timestamps with a T."""
    return ", 'json.timestamp-format.standard' = 'ISO-8601'" if re.search(r'"\d{4}-\d\d-\d\dT', text) else ""


def report(name, cases, judge, group, verbose):
    """Judges all cases on all cores, prints what did not pass and a table; returns the counts."""
    table = collections.defaultdict(collections.Counter)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for case, (kind, note) in zip(cases, pool.map(judge, cases)):
            table[group(case)][kind] += 1
            if kind in ("wrong", "crash") or (verbose and kind in ("refused", "kept")):
                print(f"{kind:8} {group(case)}: {note}")
    total = sum(table.values(), collections.Counter())
    print(f"\n{name:32}" + "".join(f"{kind:>9}" for kind in KINDS))
    for key, counts in [*sorted(table.items()), ("all", total)]:
        print(f"  {key:30}" + "".join(f"{counts[kind] or '':>9}" for kind in KINDS))
    return total
