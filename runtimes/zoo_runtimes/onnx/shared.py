"""Which ways an engine has to share work between edits, mutants and windows. They need `onnx` when first asked for.

Nothing is approximated: an operator that is not known ends the shared part of the network, and the first numbers are
compared with plain predictions. Where sharing is not possible or saves no time, there is no way.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from zoo.dna import windows as dna_windows
from zoo_runtimes.onnx import network, windows
from zoo_runtimes.onnx.edits import Edits, effects
from zoo_runtimes.onnx.graph import Start
from zoo_runtimes.onnx.network import Run
from zoo_runtimes.onnx.root import Feed

if TYPE_CHECKING:
    import numpy as np

Way = TypeVar("Way")


class SharedWork:
    """The ways of one graph, found when they are first asked for.

    path: of the .onnx file.  output: the one to compute.  feed: base codes -> the input of the graph.  run: computes
    the whole graph.  length: L, bases.  start: loads a model in ONNX Runtime.
    """

    def __init__(self, path: Path, output: str, feed: Feed, run: Run, length: int, start: Start) -> None:
        self._run, self._length = run, length
        self._network = functools.cache(lambda: network.Network(path, output, feed, run, length, start))
        self._finding = threading.Lock()
        self._ways: dict[tuple[str, int], Any] = {}

    def mutants(self) -> Run | None:
        """Computes `mutants` of zoo.contracts.ShorterWays."""
        found = self._of_width(1)
        return found.mutants if found else None

    def edits(self) -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] | None:
        """Computes `edits` of zoo.contracts.ShorterWays, of any width."""
        if not self._of_width(1):
            return None
        return functools.partial(effects, self._network(), self._of_width, self._run)

    def _of_width(self, width: int) -> Edits | None:
        return self._way(("width", width), lambda: Edits(self._network(), width))

    def windows(self) -> Callable[[np.ndarray, int], np.ndarray] | None:
        """Computes `windows` of zoo.contracts.ShorterWays, at any stride."""
        return self._windows if self._of_stride(1) else None

    def _windows(self, codes: np.ndarray, stride: int) -> np.ndarray:
        shared = self._of_stride(stride)
        return shared(codes) if shared else self._run(dna_windows.cut(codes, self._length, stride))

    def _of_stride(self, stride: int) -> Run | None:
        return self._way(("stride", stride), lambda: windows.Windows(self._network(), stride).activities)

    def _way(self, key: tuple[str, int], make: Callable[[], Way]) -> Way | None:
        """What `make` returns; None if the graph does not allow it."""
        with self._finding:
            if key not in self._ways:
                try:
                    self._ways[key] = make()
                except Exception:  # noqa: BLE001 - whatever it is, each edit or window can be predicted instead
                    self._ways[key] = None
            found: Way | None = self._ways[key]
            return found
