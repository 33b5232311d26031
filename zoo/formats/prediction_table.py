"""Activities as text, one row a record: tab- or comma-separated, numbers in the fewest digits that give the same
float32 back.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo.errors import CheckFailed, ZooError
from zoo.formats.names import CONTROL, shown

TAB = "\t"

NAME = ("name",)
"""The labels of a record, where it has but one."""

NOT_AVAILABLE = "NA"
"""What stands for a number that is missing."""


def header(
    targets: Sequence[str], separator: str = TAB, labels: Sequence[str] = NAME, after: Sequence[str] = ()
) -> bytes:
    """The first line: the labels, the targets, and what stands behind them."""
    fields = (*labels, *targets, *after)
    return (separator.join(fields if separator == TAB else map(_quoted, fields)) + "\n").encode()


def rows(
    names: Sequence[str],
    values: np.ndarray,
    separator: str = TAB,
    more: Sequence[Sequence[object]] = (),
    after: Sequence[Sequence[object]] = (),
    missing: bool = False,
) -> bytes:
    """Names of N records and float32 (N, T) -> N lines. Where the separator is a comma, a name with a comma or a
    quotation mark in it is quoted.

    more, after: further columns of N texts or whole numbers, behind the names and behind the values.
    missing: NaN is written as NA, instead of being refused.
    Raises CheckFailed if a value is not finite, ZooError for a name that would not stay in its field.
    """
    import orjson  # the fastest writer of shortest float32 digits that there is a wheel of for every platform

    if not missing:
        check_values(names, values)
    if not len(names):
        return b""
    numbers = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY).decode()
    if missing:
        numbers = numbers.replace("null", NOT_AVAILABLE)
    labels, behind = (names, *map(_texts, more)), [_texts(column) for column in after]
    if separator == TAB:
        lines, own = numbers[2:-2].replace(",", TAB).split("]\t["), values.shape[1] + len(labels) + len(behind)
    else:
        lines, own = numbers[2:-2].split("],["), 1
        labels, behind = tuple(map(_quoted_where_needed, labels)), list(map(_quoted_where_needed, behind))
    fields = zip(*labels, lines, *behind, strict=True)
    text = ("\n".join(map(separator.join, fields)) + "\n").encode("utf-8", "surrogateescape")
    # the only control characters are our own: a tab between two fields, a line feed after each row
    if np.count_nonzero(np.frombuffer(text, np.uint8) < ord(" ")) != len(names) * own:
        wrong = next(word for column in (*labels, *behind) for word in column if CONTROL.search(word))
        raise ZooError(f"{shown(wrong)!r}: expected a name without tabs, line ends and other control characters")
    return text


def _texts(column: Sequence[object]) -> Sequence[str]:
    return [one if isinstance(one, str) else str(one) for one in column]


def check_values(names: Sequence[str], values: np.ndarray) -> None:
    """Raise CheckFailed, which names the record, unless all values, float32 (N, T), are finite."""
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise CheckFailed(f"{names[row]}: output {column + 1} of the model came out as {values[row, column]}")


def _quoted_where_needed(names: Sequence[str]) -> Sequence[str]:
    every = "\n".join(names)
    return list(map(_quoted, names)) if "," in every or '"' in every else names


def _quoted(field: str) -> str:
    """A field as RFC 4180 has it."""
    return '"' + field.replace('"', '""') + '"' if "," in field or '"' in field else field
