"""ExplainOptions: the options of `zoo explain`. Imports no library, since `zoo explain --help` shows them."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from zoo.errors import ZooError
from zoo.options import Bounds, Seed, check

MOST_SHUFFLES = 10_000

MOST_ROWS = 10_000
"""Sequences in a report; browsers are slow with larger pages."""


@dataclasses.dataclass(frozen=True)
class ExplainOptions:
    """How contributions are computed and shown."""

    method: Literal["deeplift", "ism", "gradient"] = "deeplift"
    """deeplift compares with dinucleotide shuffles; ism predicts every substitution; gradient differentiates."""

    targets: tuple[str, ...] = ()
    """Targets to explain, A,B; default all targets of the model."""

    shuffles: Annotated[int, Bounds(1, MOST_SHUFFLES)] = 100
    """Dinucleotide shuffles of each sequence that DeepLIFT uses as references."""

    seed: Seed = 1234
    """Seed for the shuffles, which depend only on this and on their own sequence."""

    force: bool = False
    """Write DeepLIFT contributions even if they do not add up to the prediction."""

    no_substitutions: bool = False
    """Leave the effects of substitutions out of the report, which saves their time; not with --method ism."""

    rows: Annotated[int, Bounds(0, MOST_ROWS)] = 100
    """Sequences in the report: the first N of the input."""

    logos: Annotated[int, Bounds(0, MOST_ROWS)] = 0
    """Also draw logos of the first N sequences, one file for each target; needs the extra `explain`."""

    logo_format: Literal["png", "svg", "pdf"] = "png"
    """Image format of the logos."""

    def __post_init__(self) -> None:
        check(self)
        if self.no_substitutions and self.method == "ism":
            raise ZooError("--no-substitutions: the method ism computes every substitution; leave one of the two out")
