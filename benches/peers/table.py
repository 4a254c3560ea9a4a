"""Medians, spreads, ratios, and tables in Markdown."""

from statistics import median


class Spread:
    """The median and the range of some values."""

    def __init__(self, values):
        values = list(values)
        self.median, self.low, self.high = median(values), min(values), max(values)

    def rate(self):
        """As millions a second."""
        return f"{self.median / 1e6:.3f} ({self.low / 1e6:.3f} to {self.high / 1e6:.3f})"

    def ratio(self):
        return f"{self.median:.1f} ({self.low:.1f} to {self.high:.1f})"

    def json(self):
        return {"median": self.median, "min": self.low, "max": self.high}


def render(head, rows, left=1):
    """A table; the first `left` columns are words, the others numbers."""
    cells = [head, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]

    def line(row):
        padded = (cell.ljust(width) if column < left else cell.rjust(width)
                  for column, (cell, width) in enumerate(zip(row, widths)))
        return "| " + " | ".join(padded) + " |"

    rule = "|".join("-" * (width + 1) + ("-" if column < left else ":") for column, width in enumerate(widths))
    return "\n".join([line(head), f"|{rule}|", *map(line, rows)])
