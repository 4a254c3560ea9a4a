"""The rows that an engine wrote, to be compared with another's."""

import json
from collections import Counter
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path


def read(path):
    """The rows of a file of JSON lines, or of all files below a folder, each with how often it came."""
    path = Path(path)
    files = [path]
    if path.is_dir():
        files = [file for file in path.rglob("*") if file.is_file() and not file.name.startswith((".", "_"))]
    rows = Counter()
    for file in files:
        with open(file, encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line, parse_float=Decimal)
                rows[tuple(sorted((name, value(name, cell)) for name, cell in row.items()))] += 1
    return rows


def value(name, cell):
    """A cell in one form: engines write times with and without a zone, and decimals with and without zeros."""
    if isinstance(cell, str) and (name.startswith("window_") or name.endswith("_time")):
        time = datetime.fromisoformat(cell.replace("Z", "+00:00"))
        if time.tzinfo is None:
            time = time.replace(tzinfo=timezone.utc)
        return time.astimezone(timezone.utc).isoformat()
    if isinstance(cell, Decimal):
        return str(cell.normalize())
    return str(cell)


def difference(left, right, most=3):
    """Rows that only one of both has, as lines of text; empty where they are equal."""
    lines = []
    for sign, rows in (("-", left - right), ("+", right - left)):
        lines += [f"{sign} {dict(row)} ({times} times)" for row, times in list(rows.items())[:most]]
        if len(rows) > most:
            lines.append(f"{sign} and {len(rows) - most} others")
    return lines
