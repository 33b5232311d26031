"""Activities as text: tab-separated, one row a record, numbers in the fewest digits that give the same float32 back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo.errors import CheckFailed


def header(targets: Sequence[str]) -> bytes:
    """The first line: `name` and the targets."""
    return ("\t".join(("name", *targets)) + "\n").encode()


def rows(names: Sequence[str], values: np.ndarray) -> bytes:
    """Names of N records and float32 (N, T) -> N lines. Raises CheckFailed if a value is not finite."""
    import orjson  # the fastest writer of shortest float32 digits that there is a wheel of for every platform

    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise CheckFailed(f"{names[row]}: output {column + 1} of the model came out as {values[row, column]}")
    if not len(names):
        return b""
    numbers = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY).decode()
    lines = numbers[2:-2].replace(",", "\t").split("]\t[")
    return ("\n".join(map("\t".join, zip(names, lines, strict=True))) + "\n").encode("utf-8", "surrogateescape")
