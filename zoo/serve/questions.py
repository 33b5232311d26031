"""What the page asks beside the protocol: which bases matter, and a better sequence."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import orjson

from zoo.design import design
from zoo.dna.encoding import ONE_HOT, encode_as
from zoo.dna.read_options import STRICT
from zoo.errors import ZooError
from zoo.explain import methods, report
from zoo.explain.options import ExplainOptions
from zoo.prediction.model import Model
from zoo.prediction.session import runtimes_with
from zoo.serve.page import NO_STEP
from zoo.serve.refused import bad
from zoo.serve.tensors import SPELLING
from zoo.spec import ALPHABET, UNKNOWN_BASE


def explained(model: Model, sequence: str) -> dict[str, Any]:
    """What each base of a sequence contributes and what each substitution does, as the page's script takes it.

    DeepLIFT where the runtime computes contributions of the model, else substitutions minus the mean of the four bases.
    Raises Refused as `_codes` does.
    """
    codes = _codes(model, sequence)
    activities = model.predict_codes(codes)
    kind, scores = _scores(model, codes, activities)
    effects = scores.effects if scores.effects is not None else model.session.mutants(codes)
    contributions = np.stack([(one[0] * ONE_HOT[codes[0]]).sum(1) for one in scores.hypothetical])
    row = report.Row("", codes[0], activities[0], contributions, np.moveaxis(effects[0], -1, 0))
    return {**report.packed(row), "method": kind}


def _scores(model: Model, codes: np.ndarray, activities: np.ndarray) -> tuple[str, methods.Scores]:
    """Contributions, and by which method."""

    def scored(kind: Literal["deeplift", "ism"]) -> tuple[str, methods.Scores]:
        targets = range(len(model.spec.targets))
        return kind, methods.METHODS[kind](model, targets, ExplainOptions(method=kind)).score(codes, activities)

    if model.runtime in runtimes_with("contributions"):
        # a network of counts has no derivative, and a library may be missing; mutants need nothing but predictions
        with contextlib.suppress(ZooError):
            return scored("deeplift")
    return scored("ism")


def stronger(model: Model, sequence: str, target: str) -> dict[str, Any]:
    """A step of zoo design: the sequence with the substitution that raises a target most, and which that was.

    Raises Refused as `_codes` does, for an N, and for a target that the model lacks.
    """
    codes = _codes(model, sequence)
    if (codes == UNKNOWN_BASE).any():
        raise bad(NO_STEP)
    try:
        model.spec.target_index(target)
    except ZooError as error:
        raise bad(str(error)) from None
    (found,) = design.evolve(model, target, codes, number=1, rounds=1)
    text = "".join((ALPHABET + "N")[code] for code in found.codes)
    changed = np.flatnonzero(found.codes != codes[0])
    steps = [methods.mutation(codes[0], int(at) * len(ALPHABET) + int(found.codes[at])) for at in changed]
    return {"sequence": text, "steps": steps}


def _codes(model: Model, sequence: str) -> np.ndarray:
    """Base codes, uint8 (1, L). Raises Refused, status 400, for what is no sequence of the model."""
    try:
        return encode_as([sequence], model.spec.sequence_length, STRICT, lambda _: "the sequence", SPELLING)
    except ZooError as error:
        raise bad(str(error)) from None


@dataclasses.dataclass(frozen=True)
class Question:
    """What the page asks beside the protocol. fields: of its JSON, all texts.  answer: model, fields -> JSON."""

    fields: tuple[str, ...]
    answer: Callable[..., dict[str, Any]]

    def read(self, body: bytes) -> list[str]:
        """The fields, in order. Raises Refused for anything else."""
        try:
            asked = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise bad(f"the request is not JSON: {error.msg}") from None
        given = asked if isinstance(asked, dict) else {}
        values = [value for name in self.fields if isinstance(value := given.get(name), str)]
        if len(values) != len(self.fields):
            raise bad(f"the request: expected a JSON object with the texts {' and '.join(self.fields)}")
        return values


QUESTIONS = {"explain": Question(("sequence",), explained), "stronger": Question(("sequence", "target"), stronger)}
"""Last part of the address /page/models/MODEL/... -> question."""
