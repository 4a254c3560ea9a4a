"""SQL files to statements: variables filled, comments left out, split at semicolons."""

import re
from pathlib import Path

VARIABLE = re.compile(r"\$\{(\w+)\}")


def load(paths):
    """The text of several files, one after the other."""
    return "\n".join(Path(path).read_text(encoding="utf-8") for path in paths)


def variables(text):
    """The names of the variables of a text, in order, each once."""
    return list(dict.fromkeys(VARIABLE.findall(text)))


def fill(text, values):
    """The text with `${name}` replaced; a variable without a value is an error."""
    return VARIABLE.sub(lambda match: values[match.group(1)], text)


def statements(text):
    """The statements of a text, without comments and semicolons; quoted text is left as it is."""
    current, index = [], 0
    while index < len(text):
        char = text[index]
        if text.startswith("--", index):
            end = text.find("\n", index)
            index = len(text) if end < 0 else end
            continue
        if char in "'`\"":
            # A doubled quote inside is two quoted texts in a row, which comes to the same here.
            end = text.find(char, index + 1)
            if end < 0:
                raise ValueError(f"a quote is not closed: {text[index:index + 40]}")
            current.append(text[index : end + 1])
            index = end + 1
            continue
        if char == ";":
            yield "".join(current).strip()
            current = []
        else:
            current.append(char)
        index += 1
    rest = "".join(current).strip()
    if rest:
        yield rest


def literal(text):
    """A text as an SQL literal."""
    return "'" + str(text).replace("'", "''") + "'"


def options(values):
    """A table's `WITH` options."""
    return ", ".join(f"{literal(name)} = {literal(value)}" for name, value in values.items())
