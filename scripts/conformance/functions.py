"""The SQL checks of Flink's function and expression tests, each as a projection of one row.

pass: the same value, or an error in both; refused: the engine says no; wrong: another value, or a value where Flink has
an error; crash: a panic or an internal error; kept: a number in JSON that its column does not hold, which is a dead
letter here on purpose, or a time of the day whose digits Flink's column drops and ours keeps; outside: what a script cannot have, or a column cannot be.

A check in another time zone than UTC is put with SET. Where the engine refuses that zone, it is put in UTC, and is
refused unless the value is the same.
"""
import decimal
import json
import re
import tempfile

from runner import LEFT, iso, lines, run
from values import rows_as_places, same, shaped, spelled

# Types that no column has, and that a check's fields or result must not be of.
NO_COLUMN = re.compile(
    r"RAW|INTERVAL|BINARY|BYTES|MULTISET|STRUCTURED|BITMAP|VARIANT|SYMBOL|DESCRIPTOR|\*|CLASS|UNKNOWN|^\[|NULL$(?<!NOT NULL)",
    re.I,
)
# Another value each time.
RANDOM = re.compile(r"\b(RAND|RAND_INTEGER|UUID|NOW|CURRENT_|LOCALTIME)", re.I)
TYPES_OF_ITS_OWN = ("BitmapFunctionsITCase", "StructuredFunctionsITCase", "RandFunctionITCase")


def group(check):
    return re.sub(r"ITCase$|Test$", "", check["class"])


def plain(kind):
    return kind.replace(" NOT NULL", "").strip()


def columns(check):
    """Name, type and value of the fields that the expression uses; None where it uses one that is not known."""
    used = set(re.findall(r"\bf\d+\b", check["sql"]))
    types, data = [plain(kind) for kind in check["types"]], check["data"] or []
    if len(types) == len(data):
        return [(f"f{at}", kind, value) for at, (kind, value) in enumerate(zip(types, data)) if f"f{at}" in used]
    return None if used else []


def is_outside(check, fields):
    results = [plain(kind) for kind in check.get("result_types", [])]
    return (
        check["udf"]
        or check["class"] in TYPES_OF_ITS_OWN
        or RANDOM.search(check["sql"])
        or any(NO_COLUMN.search(kind) for kind in [kind for _, kind, _ in fields] + results)
        or len(check.get("results", [1])) != 1
    )


def is_kept(fields):
    """Whether a field's number does not fit its column, or its time has more digits than Flink's columns hold."""
    for _, kind, value in fields:
        if kind.startswith("TIME(") and value is not None and re.search(r"\.\d{4}", value):
            return True
        if (match := re.match(r"DECIMAL\((\d+), (\d+)\)$", kind)) and value is not None:
            digits, scale = int(match[1]), int(match[2])
            number = decimal.Decimal(str(value))
            with decimal.localcontext(decimal.Context(prec=80)):
                if number.scaleb(scale) % 1 or abs(number) >= decimal.Decimal(10) ** (digits - scale):
                    return True
    return False


def ask(binary, check, fields, zone):
    """Runs the check: (kind or None, error or value)."""
    kind = plain((check.get("result_types") or ["STRING"])[0])
    kind = "STRING" if kind == "NULL" else kind
    # JSON has no infinite numbers.
    is_text = check.get("as_text") or spelled((check.get("results") or [None])[0]).lstrip("-") == "Infinity"
    expression = f"CAST(({check['sql']}) AS STRING)" if is_text else check["sql"]
    with tempfile.TemporaryDirectory() as folder:
        text = json.dumps({name: shaped(value, f"{name} {kind}") for name, kind, value in fields} | {"one": 1})
        with open(f"{folder}/in.json", "w", encoding="utf-8") as file:
            file.write(text + "\n")
        declared = ", ".join([f"{name} {kind}" for name, kind, _ in fields] + ["one INT"])
        options = f"'connector' = 'filesystem', 'format' = 'json', 'path' = '{folder}"
        sql = f"SET 'table.local-time-zone' = '{zone}';\n" if zone else ""
        sql += f"CREATE TABLE e ({declared}) WITH ({options}/in.json'{iso(text)});\n"
        sql += f"CREATE TABLE o (x {'STRING' if is_text else kind}) WITH ({options}/o');\n"
        sql += f"INSERT INTO o SELECT {expression} FROM e;\n"
        failed, error = run(binary, folder, sql)
        if failed:
            return failed, error
        found = [row.get("x") for row in lines(f"{folder}/o")]
        return None, rows_as_places(found[0], kind) if found else "no row"


def judge(binary, check):
    fields = columns(check)
    if fields is None or is_outside(check, fields):
        return LEFT("outside", "")
    zone = None if check["zone"] in (None, "UTC") else check["zone"]
    failed, answer = ask(binary, check, fields, zone)
    in_other_zone = failed == "refused" and zone and "local-time-zone" in answer
    if in_other_zone:
        failed, answer = ask(binary, check, fields, None)
    shown = f"{check['sql'][:100]} {json.dumps([value for _, _, value in fields])[:80]}"
    if failed == "refused" and check.get("error"):
        return LEFT("pass", "")
    if failed:
        return LEFT(failed, f"{shown}: {answer[-160:]}")
    if not check.get("error") and same(answer, check["results"][0], check.get("as_text")):
        return LEFT("pass", "")
    wanted = "an error" if check.get("error") else spelled(check["results"][0])[:60]
    note = f"{shown}: {spelled(answer)[:60]}, Flink {wanted}"
    if in_other_zone:
        return LEFT("refused", f"{note} in {zone}")
    return LEFT("kept" if is_kept(fields) else "wrong", note)
