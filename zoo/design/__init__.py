"""Sequences designed for a predicted activity, by directed evolution.

import zoo
zoo.design.evolve(model, "dev", number=10)  # -> designs
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.design.design import Design, evolve

__all__ = ["Design", "evolve"]


def __getattr__(name: str) -> Any:
    """Import what a name needs when it is asked for, as zoo/__init__.py does."""
    if name in __all__:
        import importlib

        return getattr(importlib.import_module(f"{__name__}.design"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
