"""Values of both engines in one spelling: what differs only in form counts as equal."""
import decimal
import math
import re

STAMP = re.compile(r"^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?(\.\d+)?Z?$")
CLOCK = re.compile(r"^(\d\d:\d\d)(:\d\d)?(\.\d+)?$")


def split(text):
    """The parts of a text between commas outside of brackets."""
    parts, depth, part = [], 0, ""
    for char in text:
        depth += char in "[{("
        depth -= char in "]})"
        if char == "," and depth == 0:
            parts.append(part.strip())
            part = ""
        else:
            part += char
    return parts + [part.strip()]


def spelled(value):
    """A value in the one spelling."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(map(spelled, value)) + "]"
    if isinstance(value, dict):
        # A row of Flink's has no names where the test gives it none; ours has them in JSON. Places tell.
        if set(value) == {"kind", "fields"}:
            fields = value["fields"]
            value = fields if isinstance(fields, list) else list(fields.values())
            return "(" + ", ".join(map(spelled, value)) + ")"
        return "{" + ", ".join(sorted(f"{key}={spelled(item)}" for key, item in value.items())) + "}"
    text = str(value)
    if match := STAMP.match(text):
        fraction = (match[4] or "").rstrip("0").rstrip(".")
        return match[1] + "T" + match[2] + (match[3] or ":00") + fraction
    if match := CLOCK.match(text):
        return match[1] + (match[2] or ":00") + (match[3] or "").rstrip("0").rstrip(".")
    if text.startswith("[") and text.endswith("]"):
        return "[" + ", ".join(spelled(part) for part in split(text[1:-1]) if part) + "]"
    try:
        number = decimal.Decimal(text)
        return f"{float(number):.6g}" if number.is_finite() else text
    except decimal.InvalidOperation:
        return text


def rows_as_places(value, kind):
    """Our value of a type that has rows in it: a row by its places, as Flink's."""
    if value is None:
        return None
    if kind.startswith("ROW") and isinstance(value, dict):
        return {"kind": "+I", "fields": list(value.values())}
    if kind.startswith("ARRAY<ROW") and isinstance(value, list):
        return [rows_as_places(item, "ROW") for item in value]
    return value


def same(ours, theirs, as_text=False):
    """Whether both are one value."""
    ours, theirs = spelled(ours), spelled(theirs)
    if as_text and "null" in (ours.lower(), theirs.lower()):
        ours, theirs = ours.lower(), theirs.lower()
    if ours == theirs:
        return True
    try:
        return math.isclose(float(ours), float(theirs), rel_tol=1e-9)
    except ValueError:
        return False


# What stands among the columns of a table and is none.
NO_COLUMN = re.compile(r"^\s*(watermark|primary key|constraint)\b", re.I)


def names(schema):
    """The names of columns or fields."""
    named = (re.match(r"^`([^`]+)`|^(\w+)", part.strip(), re.S) for part in schema if not NO_COLUMN.match(part))
    return [match[1] or match[2] for match in named]


def parts(text):
    """What commas separate that are in no brackets."""
    found, depth = [""], 0
    for character in text:
        depth += (character in "<(") - (character in ">)")
        if character == "," and depth == 0:
            found.append("")
        else:
            found[-1] += character
    return [part.strip() for part in found]


def shaped(value, column):
    """A value of a column `name TYPE` as JSON has it: rows by the names of their fields."""
    match = re.match(r"^`?\w+`?\s+(ROW|ARRAY|MAP)\s*[<(](.*)[>)]", column, re.I | re.S)
    if not match or value is None:
        return value
    kind, inner = match[1].upper(), parts(match[2])
    if kind == "ARRAY" and isinstance(value, list):
        return [shaped(element, f"element {inner[0]}") for element in value]
    if not isinstance(value, dict):
        return value
    if kind == "MAP":
        return {key: shaped(element, f"value {inner[1]}") for key, element in value.items()}
    # By place: a test may give its rows other names than its columns.
    fields = value["fields"]
    places = list(fields.values()) if isinstance(fields, dict) else fields
    return {name: shaped(place, field) for name, field, place in zip(names(inner), inner, places)}
