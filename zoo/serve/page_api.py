"""Requests of the page that the protocol does not have: which bases matter, and a stronger sequence."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from zoo.design import design
from zoo.dna.encoding import ONE_HOT, encode_as
from zoo.dna.read_options import STRICT
from zoo.errors import ZooError
from zoo.explain import methods, report
from zoo.explain.options import ExplainOptions
from zoo.prediction.members import with_strands
from zoo.prediction.model import Model
from zoo.prediction.session import runtimes_with
from zoo.serve.page import NO_STEP
from zoo.serve.protocol import SPELLING, bad_request
from zoo.spec import ALPHABET, UNKNOWN_BASE

FIELDS = {"explain": ("sequence",), "stronger": ("sequence", "target")}
"""Last part of the address /page/models/MODEL/... -> fields of the request, all strings. "rc": "average" explains the
mean of both strands."""


def answer(model: Model, action: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a request, as JSON. action: a key of FIELDS. Raises RequestError, status 400."""
    values = [fields.get(name) for name in FIELDS[action]]
    if not all(isinstance(value, str) for value in values):
        raise bad_request(f"expected a JSON object with the strings {' and '.join(FIELDS[action])}")
    sequence, *targets = map(str, values)
    try:
        with model.spec.naming_flanks():
            codes = encode_as([sequence], model.spec.sequence_length, STRICT, lambda _: "the sequence", SPELLING)
        for target in targets:
            model.spec.target_index(target)
        model = Model(with_strands(model.session, fields.get("rc")))
    except ZooError as error:
        raise bad_request(str(error)) from None
    return make_stronger(model, codes, *targets) if action == "stronger" else explain(model, codes)


def explain(model: Model, codes: np.ndarray) -> dict[str, Any]:
    """The contribution of each base of a sequence, uint8 (1, L), and the effect of each substitution.

    Contributions are DeepLIFT scores if the runtime computes them for the model, else substitutions minus the mean of
    the four bases.
    """
    activities = model.predict_codes(codes)
    method, scores = _scores(model, codes, activities)
    effects = scores.effects if scores.effects is not None else model.session.mutants(codes)
    contributions = np.stack([(one[0] * ONE_HOT[codes[0]]).sum(1) for one in scores.hypothetical])
    row = report.Row("", codes[0], activities[0], contributions, np.moveaxis(effects[0], -1, 0))
    return {**report.packed(row), "method": method}


def _scores(model: Model, codes: np.ndarray, activities: np.ndarray) -> tuple[str, methods.Scores]:
    """The method, and its scores."""

    def scored(kind: Literal["deeplift", "ism"]) -> tuple[str, methods.Scores]:
        targets = range(len(model.spec.targets))
        return kind, methods.METHODS[kind](model, targets, ExplainOptions(method=kind)).score(codes, activities)

    if model.runtime in runtimes_with("contributions"):
        # a network that counts words has no derivative, and a library may be missing; mutants need only predictions
        with contextlib.suppress(ZooError):
            return scored("deeplift")
    return scored("ism")


def make_stronger(model: Model, codes: np.ndarray, target: str) -> dict[str, Any]:
    """One round of zoo design: the sequence, uint8 (1, L), with the substitution that raises a target most."""
    if (codes == UNKNOWN_BASE).any():
        raise bad_request(NO_STEP)
    (best,) = design.evolve(model, target, codes, number=1, rounds=1)
    text = "".join((ALPHABET + "N")[code] for code in best.codes)
    changed = np.flatnonzero(best.codes != codes[0])
    steps = [methods.mutation(codes[0], int(at) * len(ALPHABET) + int(best.codes[at])) for at in changed]
    return {"sequence": text, "steps": steps}
