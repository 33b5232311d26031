"""The runtime "auto": for each job, the fastest runtime that can do it with these weights on this machine.

One runtime computes predictions, windows and mutants. If it has no contributions or gradient for the model, another one
is started when they are first asked for.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from zoo.errors import LONGEST, BadSetting, MissingDependency, ZooError
from zoo.options import RunOptions
from zoo.prediction import session
from zoo.prediction.session import GENERAL_WAYS, Session
from zoo.weights import lookup
from zoo.weights.checkpoint import Checkpoint

Find = Callable[[tuple[str, ...]], Checkpoint | Path]
"""Suffixes of files that a runtime runs without conversion (see session.files) -> the weights in a form for it."""


class AutomaticSession(Session):
    """A session on the fastest runtime that can predict; contributions and gradient are from the fastest with them."""

    def __init__(self, find: Find, options: RunOptions, runtimes: Sequence[str]) -> None:
        """Raises ZooError as open_automatic does."""
        self._find, self._options, self._runtimes = find, options, runtimes
        self._reasons: dict[str, ZooError] = {}
        self._ways: dict[str, Session] = {}
        self._others: dict[str, Session] = {}
        self._settled = False
        self._opening = threading.Lock()
        for runtime in runtimes:
            try:
                session.check_here(runtime)  # before the weights are read
                engine = session.start(find(session.files(runtime)), runtime, options)
            except BadSetting:
                raise  # another runtime would not obey it either
            except ZooError as error:
                self._reasons[runtime] = error
            else:
                lookup.warn_of_imitation(engine.spec.weights_id)
                super().__init__(engine, runtime, options.batch_size)
                return
        found = find(tuple(suffix for runtime in runtimes for suffix in session.files(runtime)))
        if isinstance(found, Path) and found.is_file():
            lookup.read_spec(found)  # raises for a damaged file, as `find` does for other bad weights
        raise refusal("no runtime can run this model here", self._reasons)

    def settle(self) -> None:
        self._settled = True
        super().settle()
        for other in self._others.values():
            other.settle()

    def runtime_of(self, way: str) -> str:
        return self._with(way).runtime

    def _explained(self, way: str, target: int, *arrays: np.ndarray) -> np.ndarray:
        chosen = self._with(way)
        return super()._explained(way, target, *arrays) if chosen is self else chosen._explained(way, target, *arrays)

    def _with(self, way: str) -> Session:
        """The session that computes a method of contracts.ShorterWays."""
        with self._opening:
            if way not in self._ways:
                self._ways[way] = self._fastest(way)
            return self._ways[way]

    def _fastest(self, way: str) -> Session:
        if self.spec.frame is not None and way not in (*GENERAL_WAYS, *session.ways(self.runtime)):
            raise session.no_way_of_graph(way)
        reasons = dict(self._reasons)
        for runtime in self._runtimes:
            if runtime in reasons:
                continue
            try:
                if way not in (*GENERAL_WAYS, *session.ways(runtime)):
                    raise ZooError("has none")
                one = self if runtime == self.runtime else self._open(runtime)
                Session.runtime_of(one, way)
            except ZooError as error:
                reasons[runtime] = error
            else:
                return one
        raise refusal(f"no runtime has {way} of {self.spec.architecture} (use --method ism)", reasons)

    def _open(self, runtime: str) -> Session:
        if runtime not in self._others:
            engine = session.start(self._find(session.files(runtime)), runtime, self._options)
            other = Session(engine, runtime, self._options.batch_size)
            if other.spec != self.spec:
                raise ZooError("the weights have changed since the model was loaded; load it again")
            if self._settled:
                other.settle()
            self._others[runtime] = other
        return self._others[runtime]


def open_automatic(
    find: Find, options: RunOptions | None = None, runtimes: Sequence[str] | None = None
) -> AutomaticSession:
    """Start the first of some runtimes that can run these weights here; `Session.runtime` says which it is.

    runtimes: by default those of session.automatic(), the fastest first.
    Raises the error of the weights if they are at fault, else a ZooError with the reason of each runtime, which is a
    MissingDependency if all lack a library or a device.
    """
    return AutomaticSession(find, options or RunOptions(), runtimes or session.automatic())


def refusal(start: str, reasons: Mapping[str, ZooError]) -> ZooError:
    """The error for a job that none of some runtimes can do. start: of the message.  reasons: runtime -> why it cannot.

    The message gives every reason. If they do not fit, it leaves out a GPU that is missing, unless all reasons are of
    this kind; then the details of each reason. If all reasons are the same error, the runtimes are not the cause, and
    it is returned.
    """
    if len({str(error) for error in reasons.values()}) == 1:
        return next(iter(reasons.values()))
    missing = all(isinstance(error, MissingDependency) for error in reasons.values())
    texts = {name: reason(error, name) for name, error in reasons.items()}
    line = _listed(start, texts)
    if len(line) > LONGEST and not missing:
        gpus = [name for name in texts if name.endswith("-cuda") and isinstance(reasons[name], MissingDependency)]
        texts = {name: text for name, text in texts.items() if name not in gpus}
        line = _listed(start, texts)
    if len(line) > LONGEST:
        line = _listed(start, {name: re.split(r"[;(,]", text)[0].strip() for name, text in texts.items()})
    return (MissingDependency if missing else ZooError)(line)


def reason(error: ZooError, runtime: str) -> str:
    """The message of an error, without the name of the runtime at its start."""
    return str(error).removeprefix(f"{runtime} cannot run here: ").removeprefix(f"{runtime}: ")


def _listed(start: str, reasons: Mapping[str, str]) -> str:
    """A line with each reason once, behind the runtimes that it applies to."""
    shared: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        shared.setdefault(reason, []).append(name)
    return "; ".join([start, *(f"{', '.join(names)}: {reason}" for reason, names in shared.items())])
