"""Activities as text, one row a record: tab- or comma-separated, numbers in the fewest digits that give the same
float32 back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from zoo.errors import CheckFailed, ZooError
from zoo.formats.names import CONTROL, shown

TAB = "\t"


def header(targets: Sequence[str], separator: str = TAB) -> bytes:
    """The first line: `name` and the targets."""
    fields = ("name", *targets)
    return (separator.join(fields if separator == TAB else map(_quoted, fields)) + "\n").encode()


def rows(names: Sequence[str], values: np.ndarray, separator: str = TAB) -> bytes:
    """Names of N records and float32 (N, T) -> N lines. Where the separator is a comma, a name with a comma or a
    quotation mark in it is quoted.

    Raises CheckFailed if a value is not finite, ZooError for a name that would not stay in its field.
    """
    import orjson  # the fastest writer of shortest float32 digits that there is a wheel of for every platform

    check_values(names, values)
    if not len(names):
        return b""
    numbers = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY).decode()
    if separator == TAB:
        lines, fields, own = numbers[2:-2].replace(",", TAB).split("]\t["), iter(names), values.shape[1] + 1
    else:
        lines, fields, own = numbers[2:-2].split("],["), _quoted_where_needed(names), 1
    text = ("\n".join(map(separator.join, zip(fields, lines, strict=True))) + "\n").encode("utf-8", "surrogateescape")
    # the only control characters are our own: a tab before each number, a line feed after each row
    if np.count_nonzero(np.frombuffer(text, np.uint8) < ord(" ")) != len(names) * own:
        wrong = next(name for name in names if CONTROL.search(name))
        raise ZooError(f"{shown(wrong)!r}: expected a name without tabs, line ends and other control characters")
    return text


def check_values(names: Sequence[str], values: np.ndarray) -> None:
    """Raise CheckFailed, which names the record, unless all values, float32 (N, T), are finite."""
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise CheckFailed(f"{names[row]}: output {column + 1} of the model came out as {values[row, column]}")


def _quoted_where_needed(names: Sequence[str]) -> Iterator[str]:
    every = "\n".join(names)
    return map(_quoted, names) if "," in every or '"' in every else iter(names)


def _quoted(field: str) -> str:
    """A field as RFC 4180 has it."""
    return '"' + field.replace('"', '""') + '"' if "," in field or '"' in field else field
