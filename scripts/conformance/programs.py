"""Flink's planner test programs: tables with rows, statements, and the rows that stand at the end.

pass: the same rows; refused: the engine says no; wrong: other rows; crash: a panic or an internal error; outside: what a
script cannot have (user functions, the Table API, processing time, sources of changes).
"""
import collections
import json
import re
import tempfile

from runner import LEFT, iso, lines, run
from values import NO_COLUMN, names, same, shaped, spelled, split

OUTSIDE = (
    "ProcessTableFunction QueryOperation MLPredict VectorSearch AsyncCalc AsyncCorrelate Variant Bitmap LookupJoin "
    "ToChangelog FromChangelog DeltaJoin ConstraintEnforcer TableSink SinkTest"
).split()


def group(program):
    return program["class"].replace("TestPrograms", "")


def standing(changes):
    """The rows that stand after all changes; None where they are not written as such."""
    rows = collections.Counter()
    for change in changes:
        match = re.match(r"^([+-][IUDAB]+)\[(.*)\]$", change, re.S)
        if not match:
            return None
        rows[tuple(spelled(part) for part in split(match[2]))] += 1 if match[1][0] == "+" else -1
    return +rows


def source(step, folder):
    """The statement of a source, whose rows are written to a file; None where they are changes."""
    schema = [part for part in step["schema"] if "PROCTIME()" not in part]
    columns = [part for part in schema if not re.search(r"\bAS\b|METADATA", part, re.I)]
    columns = [part for part in columns if not NO_COLUMN.match(part)]
    stored = names(columns)
    rows = []
    for row in step["rows"]:
        if row["kind"] != "+I":
            return None
        fields = row["fields"]
        fields = fields if isinstance(fields, dict) else dict(zip(stored, fields))
        types = dict(zip(stored, columns))
        rows.append(json.dumps({name: shaped(value, types.get(name, name)) for name, value in fields.items()}))
    text = "".join(row + "\n" for row in rows)
    path = f"{folder}/{step['name']}.json"
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return table(step["name"], schema, path, iso(text))


def table(name, schema, path, options=""):
    return (
        f"CREATE TABLE {name} (\n  " + ",\n  ".join(schema) + "\n) "
        f"WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'json'{options})"
    )


def script(program, folder):
    """The script and its sinks, or why there is none."""
    statements, sinks = [], {}
    for step in program["setup"]:
        if step["step"].startswith("SOURCE"):
            statement = source(step, folder)
            if statement is None:
                return None, "a source of changes"
            statements.append(statement)
        elif step["step"].startswith("SINK"):
            path = f"{folder}/{step['name']}"
            sinks[step["name"]] = (path, step)
            statements.append(table(step["name"], step["schema"], path))
        elif step["step"] == "SQL":
            statements.append(step["sql"])
        elif step["step"] != "CONFIG":
            return None, step["step"].lower()
    for step in program["run"]:
        if step["step"] == "SQL":
            statements.append(step["sql"])
        elif step["step"] == "STATEMENT_SET":
            statements += step["statements"]
        else:
            return None, step["step"].lower()
    queries = json.dumps([step.get("sql") or step.get("statements") for step in program["setup"] + program["run"]])
    if re.search(r"proc_?time", queries, re.I):
        return None, "processing time"
    return (";\n".join(text.strip().rstrip(";") for text in statements) + ";\n", sinks), None


def differs(sinks):
    """How the rows of a sink are other ones."""
    for name, (path, step) in sinks.items():
        columns = names(step["schema"])
        ours = collections.Counter(tuple(spelled(row.get(column)) for column in columns) for row in lines(path))
        theirs = standing(step.get("materialized") or step.get("expected") or [])
        if theirs is None:
            return f"{name}: Flink's rows are not understood"
        if ours == theirs:
            continue
        more, missing = list((ours - theirs).elements()), list((theirs - ours).elements())
        if len(more) == len(missing) and all(
            all(map(same, a, b)) for a, b in zip(sorted(more), sorted(missing))
        ):
            continue
        return f"{name}: more {more[:2]}, missing {missing[:2]}"
    return None


def judge(binary, program):
    if any(word in program["class"] for word in OUTSIDE):
        return LEFT("outside", "")
    with tempfile.TemporaryDirectory() as folder:
        made, reason = script(program, folder)
        if reason:
            return LEFT("outside", reason)
        sql, sinks = made
        failed, error = run(binary, folder, sql)
        if failed:
            return LEFT(failed, f"{program['id']}: {error[-200:]}")
        wrong = differs(sinks)
        return LEFT("wrong", f"{program['id']}: {wrong}") if wrong else LEFT("pass", "")
