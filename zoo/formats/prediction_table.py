"""Activities as text: tab-separated, one row a record, numbers in the fewest digits that give the same float32 back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo.errors import CheckFailed, ZooError
from zoo.formats.names import CONTROL, shown


def header(targets: Sequence[str]) -> bytes:
    """The first line: `name` and the targets."""
    return ("\t".join(("name", *targets)) + "\n").encode()


def rows(names: Sequence[str], values: np.ndarray) -> bytes:
    """Names of N records and float32 (N, T) -> N lines.

    Raises CheckFailed if a value is not finite, ZooError for a name that would not stay in its field.
    """
    import orjson  # the fastest writer of shortest float32 digits that there is a wheel of for every platform

    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise CheckFailed(f"{names[row]}: output {column + 1} of the model came out as {values[row, column]}")
    if not len(names):
        return b""
    numbers = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY).decode()
    lines = numbers[2:-2].replace(",", "\t").split("]\t[")
    text = ("\n".join(map("\t".join, zip(names, lines, strict=True))) + "\n").encode("utf-8", "surrogateescape")
    # the only control characters are our own: a tab before each number, a line feed after each row
    if np.count_nonzero(np.frombuffer(text, np.uint8) < ord(" ")) != len(names) * (values.shape[1] + 1):
        wrong = next(name for name in names if CONTROL.search(name))
        raise ZooError(f"{shown(wrong)!r}: expected a name without tabs, line ends and other control characters")
    return text
