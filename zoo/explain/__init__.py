"""Which bases matter: contributions and mutations of single bases.

import zoo
zoo.explain.ism(model, sequences)                   # every substitution -> float32 (N, L, 4, T)
zoo.explain.contributions(model, sequences, "dev")  # DeepLIFT -> hypothetical, actual, delta
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.explain.deeplift import Contributions, contributions
    from zoo.explain.mutagenesis import centred, ism

HOMES = {
    "Contributions": "deeplift",
    "centred": "mutagenesis",
    "contributions": "deeplift",
    "ism": "mutagenesis",
}
"""Public name -> the file of this folder that it comes from; none is called as its file is."""

__all__ = ["Contributions", "centred", "contributions", "ism"]


def __getattr__(name: str) -> Any:
    """Import what a name needs when it is asked for, as zoo/__init__.py does."""
    if name in HOMES:
        import importlib

        return getattr(importlib.import_module(f"{__name__}.{HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *HOMES})
