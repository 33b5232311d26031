"""Requests and answers of the Open Inference Protocol v2: JSON, and the binary tensor extension (binary.py).

https://github.com/open-inference/open-inference-protocol has the fields; https://github.com/triton-inference-server/server
docs/protocol/extension_binary_data.md the extension. A field of the wrong type is refused, one that is not known too.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np
import orjson

import zoo
from zoo.dna.read_options import ReadOptions
from zoo.errors import ZooError, did_you_mean
from zoo.options import StrandOptions
from zoo.prediction import description
from zoo.prediction.model import Model
from zoo.serve import binary
from zoo.serve.binary import Buffers
from zoo.serve.refused import bad
from zoo.serve.tensors import INPUTS, LARGEST_AXIS, Tensor

SERVER = "deepstarr-zoo"

VERSION = "1"
"""The only version that a model has."""

EXTENSIONS = ("binary_tensor_data",)

OUTPUT = "activity"

JSON_TYPE = "application/json"

BINARY_TYPE = "application/octet-stream"

BINARY_OUTPUT = "binary_data_output"

PARAMETERS = ("rc", "resize", "ambiguous", BINARY_OUTPUT)
"""What a request may say beside its inputs."""

REQUEST_FIELDS = ("id", "parameters", "inputs", "outputs")

LONGEST_ID = 1000


class Asked(NamedTuple):
    """A request. rc, reading: as zoo.load has them.  binary: whether the output comes behind the JSON."""

    id: str | None
    tensor: Tensor
    rc: str | None
    reading: ReadOptions
    binary: bool


def server_metadata() -> dict[str, Any]:
    return {"name": SERVER, "version": zoo.__version__, "extensions": list(EXTENSIONS)}


def model_metadata(name: str, model: Model) -> dict[str, Any]:
    """What the protocol asks for; `parameters` has what else a reader should know: targets, runtime and weights."""
    spec = model.spec
    return {
        "name": name,
        "versions": [VERSION],
        "platform": f"{SERVER}_{model.runtime}",
        "inputs": [
            {"name": one, "datatype": kind.datatype, "shape": [-1, *kind.shape(spec.sequence_length)]}
            for one, kind in INPUTS.items()
        ],
        "outputs": [{"name": OUTPUT, "datatype": "FP32", "shape": [-1, len(spec.targets)]}],
        "parameters": {
            "one_of_inputs": True,
            "sequence_length": spec.sequence_length,
            "targets": list(spec.targets),
            **description.of_run(model.runtime, model.provider, spec),
        },
    }


def read(body: bytes, header_length: str | None) -> Asked:
    """A request for inference. Raises Refused, status 400, that names the field which is not as it should be."""
    text, rest = binary.split(body, header_length)
    try:
        asked = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise bad(f"the request is not JSON: {error.msg}") from None
    _check(isinstance(asked, dict), "the request", "a JSON object", asked)
    _check_fields("the request", asked, REQUEST_FIELDS)
    identity = asked.get("id")
    _check(identity is None or isinstance(identity, str), "id", "a text", identity)
    _check(len(identity or "") <= LONGEST_ID, "id", f"at most {LONGEST_ID} characters", identity)
    parameters = asked.get("parameters", {})
    _check(isinstance(parameters, dict), "parameters", "an object", parameters)
    _check_fields("parameters", parameters, PARAMETERS)
    inputs = asked.get("inputs")
    _check(isinstance(inputs, list) and len(inputs) == 1, "inputs", f"a list of one, {' or '.join(INPUTS)}", inputs)
    buffers = Buffers(rest)
    tensor = _tensor(inputs[0], buffers)
    buffers.check_end()
    wanted = parameters.get(BINARY_OUTPUT, False)
    _check(isinstance(wanted, bool), BINARY_OUTPUT, "true or false", wanted)
    try:
        rc = StrandOptions(parameters.get("rc")).rc
        reading = ReadOptions(parameters.get("resize"), parameters.get("ambiguous"))
    except (ZooError, TypeError) as error:
        raise bad(f"parameters: {error}") from None
    return Asked(identity, tensor, rc, reading, _wants_binary(asked.get("outputs"), wanted))


def answer(name: str, asked: Asked, activities: np.ndarray) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Body and headers, as ASGI has them, of an answer. activities: float32 (N, T)."""
    output: dict[str, Any] = {"name": OUTPUT, "datatype": "FP32", "shape": list(activities.shape)}
    behind = b""
    if asked.binary:
        behind = np.ascontiguousarray(activities, "<f4").tobytes()
        output["parameters"] = {binary.SIZE: len(behind)}
    else:
        # the shortest decimal that gives the same float32
        output["data"] = np.ascontiguousarray(activities).reshape(-1)
    whole: dict[str, Any] = {"model_name": name, "model_version": VERSION}
    if asked.id is not None:
        whole["id"] = asked.id
    text = orjson.dumps({**whole, "outputs": [output]}, option=orjson.OPT_SERIALIZE_NUMPY)
    headers = [(b"content-length", b"%d" % (len(text) + len(behind)))]
    if not asked.binary:
        return text, [*headers, (b"content-type", JSON_TYPE.encode())]
    headers += [(b"content-type", BINARY_TYPE.encode()), (binary.ASGI_HEADER, b"%d" % len(text))]
    return text + behind, headers


def error_body(message: str) -> bytes:
    return json.dumps({"error": message}).encode()


def _tensor(given: Any, buffers: Buffers) -> Tensor:
    _check(isinstance(given, dict), "inputs", "objects", given)
    _check_fields("inputs", given, ("name", "datatype", "shape", "data", "parameters"))
    name, datatype, shape = given.get("name"), given.get("datatype"), given.get("shape")
    _check(isinstance(name, str), "inputs: name", "a text", name)
    _check(isinstance(datatype, str), f"{name}: datatype", "a text", datatype)
    whole = isinstance(shape, list) and 0 < len(shape) <= 8 and all(type(size) is int for size in shape)
    _check(whole and all(0 <= size < LARGEST_AXIS for size in shape), f"{name}: shape", "whole numbers from 0", shape)
    parameters = given.get("parameters", {})
    _check(isinstance(parameters, dict), f"{name}: parameters", "an object", parameters)
    if binary.SIZE in parameters:
        _check("data" not in given, f"{name}: data", f"none beside {binary.SIZE}", given.get("data"))
        return Tensor(name, datatype, tuple(shape), buffers.take(name, parameters[binary.SIZE]))
    _check(isinstance(given.get("data"), list), f"{name}: data", "a list", given.get("data"))
    return Tensor(name, datatype, tuple(shape), given["data"])


def _wants_binary(outputs: Any, otherwise: bool) -> bool:
    """What the request says of its output; `otherwise` where it says nothing."""
    if outputs is None or outputs == []:
        return otherwise
    _check(isinstance(outputs, list) and len(outputs) == 1, "outputs", f"a list of one, {OUTPUT}", outputs)
    _check(isinstance(outputs[0], dict), "outputs", "objects", outputs[0])
    _check(outputs[0].get("name") == OUTPUT, "outputs: name", OUTPUT, outputs[0].get("name"))
    parameters = outputs[0].get("parameters", {})
    _check(isinstance(parameters, dict), "outputs: parameters", "an object", parameters)
    _check_fields("outputs: parameters", parameters, ("binary_data",))
    wanted = parameters.get("binary_data", otherwise)
    _check(isinstance(wanted, bool), "binary_data", "true or false", wanted)
    return wanted


def _check(holds: bool, what: str, expected: str, got: Any) -> None:
    if not holds:
        raise bad(f"{what}: expected {expected}, got {_shown(got)}")


def _check_fields(what: str, given: dict[str, Any], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            raise bad(
                f"{what}: nothing is called {name[:60]!r}{did_you_mean(name[:60], known)}; known are {', '.join(known)}"
            )


def _shown(value: Any) -> str:
    """A JSON value in an error, whatever its size."""
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value):,}"
    return "nothing" if value is None else f"{value!r:.60}"
