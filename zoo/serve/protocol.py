"""Requests and responses of the Open Inference Protocol v2, as JSON or with the binary tensor extension.

Fields: https://github.com/open-inference/open-inference-protocol. Extension: extension_binary_data.md in
https://github.com/triton-inference-server/server: the JSON comes first, then the bytes of the tensor. The header
Inference-Header-Content-Length is the length of the JSON, the parameter `binary_data_size` that of the tensor. Numbers
are little-endian and row-major; each element of BYTES follows its length, a uint32.
Unknown fields, fields of a wrong type, and sequences that are not DNA are errors; nothing is guessed.
"""

from __future__ import annotations

import itertools
import json
import math
import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import orjson

import zoo
from zoo.dna.encoding import ONE_HOT, encode_as, from_one_hot
from zoo.dna.read_options import ReadOptions, Spelling
from zoo.errors import ZooError, counted, did_you_mean
from zoo.options import StrandOptions
from zoo.prediction import description, strands
from zoo.prediction.columns import Columns
from zoo.prediction.model import Model
from zoo.spec import ALPHABET, SPREAD, UNKNOWN_BASE, ModelSpec

SERVER = "deepstarr-zoo"

VERSION = "1"
"""The only version of a model."""

OUTPUT = "activity"

OUTPUT_SPREAD = f"{OUTPUT}{SPREAD}"
"""Output of an ensemble: the standard deviation over its members. A request that names its outputs gets these alone."""

JSON_TYPE = "application/json"

BINARY_TYPE = "application/octet-stream"

HEADER = "Inference-Header-Content-Length"

ASGI_HEADER = HEADER.lower().encode()
"""The same header in ASGI."""

SIZE = "binary_data_size"

BINARY_OUTPUT = "binary_data_output"

PARAMETERS = ("rc", "resize", "ambiguous", BINARY_OUTPUT)
"""Parameters of a request."""

SPELLING = Spelling('the parameter "resize": "center"', 'the parameter "ambiguous": "n"')

OTHER_STARTS = {
    b"\x1f\x8b": "compressed (gzip)",
    b"\x28\xb5\x2f\xfd": "compressed (zstd)",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
    b"{\0": "text in UTF-16",
    b"\0{": "text in UTF-16",
    b"\xef\xbb\xbf": "UTF-8 with a byte order mark",
}
"""First bytes of a body that is no JSON -> what it is."""

LONGEST_ID = 1000

LARGEST_AXIS = 1 << 31

MOST_AXES = 8

LENGTH = struct.Struct("<I")


class RequestError(ZooError):
    """A request that gets an error response. status: HTTP status. retry_after: seconds until the client may retry."""

    def __init__(self, status: int, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


def bad_request(message: str) -> RequestError:
    """An error of status 400."""
    return RequestError(400, message)


class Tensor(NamedTuple):
    """An input of a request. data: JSON values, or the bytes of the binary extension."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: list[Any] | memoryview


class InferenceRequest(NamedTuple):
    """A request for predictions. rc, reading: see zoo.load.  binary: whether the outputs use the extension.

    named: whether the request names the output, `activity`.
    """

    id: str | None
    tensor: Tensor
    rc: str | None
    reading: ReadOptions
    binary: bool
    named: bool = False


class Input(NamedTuple):
    """An input of a model. shape: that of one sequence of `length` bases.  read: tensor, length, options -> codes."""

    datatype: str
    shape: Callable[[int], tuple[int, ...]]
    read: Callable[[Tensor, int, ReadOptions], np.ndarray]


def server_metadata() -> dict[str, Any]:
    return {"name": SERVER, "version": zoo.__version__, "extensions": ["binary_tensor_data"]}


def model_metadata(name: str, model: Model) -> dict[str, Any]:
    """The metadata of the protocol; `parameters` adds targets, runtime and weights."""
    spec = model.spec
    return {
        "name": name,
        "versions": [VERSION],
        "platform": f"{SERVER}_{model.runtime}",
        "inputs": [
            {"name": one, "datatype": kind.datatype, "shape": [-1, *kind.shape(spec.sequence_length)]}
            for one, kind in INPUTS.items()
        ],
        "outputs": [{"name": name, "datatype": "FP32", "shape": [-1, len(spec.targets)]} for name in outputs_of(spec)],
        "parameters": {
            "one_of_inputs": True,
            "sequence_length": spec.sequence_length,
            "targets": list(spec.targets),
            **description.of_run(model.runtime, model.provider, spec),
        },
    }


def outputs_of(spec: ModelSpec) -> list[str]:
    """Names of the outputs of a model."""
    return [OUTPUT, OUTPUT_SPREAD] if spec.members else [OUTPUT]


def json_object(text: bytes | memoryview) -> dict[str, Any]:
    """The JSON object of a request. Raises RequestError, status 400."""
    try:
        fields = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"the request is not JSON: {_why_not(bytes(text), error)}") from None
    return _checked(fields, dict, "the request")


def read(body: bytes, headers: Mapping[bytes, bytes]) -> InferenceRequest:
    """A request for predictions. Raises RequestError, status 400, that names the field."""
    view = memoryview(body)
    length = _json_length(headers.get(ASGI_HEADER), len(view))
    try:
        fields = json_object(view[:length])
    except RequestError as error:
        if ASGI_HEADER in headers:
            raise bad_request(f"{error}; {HEADER} says that the JSON has {length:,} bytes") from None
        json_bytes = _before_tensor(body)
        if json_bytes is None:
            raise
        raise bad_request(
            f"the header {HEADER} is missing: expected {json_bytes}, the bytes of the JSON before the binary tensor"
        ) from None
    _check_names(fields, ("id", "parameters", "inputs", "outputs"), "the request")
    identity = fields.get("id")
    if identity is not None and len(_checked(identity, str, "id")) > LONGEST_ID:
        raise bad_request(f"id: expected at most {LONGEST_ID} characters, got {len(identity):,}")
    parameters = _parameters(fields, "parameters", PARAMETERS)
    inputs = fields.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1:
        raise _expected("inputs", f"a list of one input, {' or '.join(INPUTS)}", inputs)
    tensor = _tensor(inputs[0], view[length:])
    binary = _checked(parameters.get(BINARY_OUTPUT, False), bool, BINARY_OUTPUT)
    try:
        rc = StrandOptions(parameters.get("rc")).rc
        reading = ReadOptions(parameters.get("resize"), parameters.get("ambiguous"))
    except (ZooError, TypeError) as error:
        raise bad_request(f"parameters: {error}") from None
    outputs = fields.get("outputs")
    return InferenceRequest(identity, tensor, rc, reading, _is_binary(outputs, binary), bool(outputs))


def codes(request: InferenceRequest, spec: ModelSpec, most: int) -> np.ndarray:
    """Base codes, uint8 (N, L), of the input of a request.

    Raises RequestError: status 413 for more than `most` sequences; 400 for an unknown input, a wrong type or shape, and
    sequences that are not DNA.
    """
    tensor = request.tensor
    kind = INPUTS.get(tensor.name)
    if kind is None:
        raise bad_request(f"inputs: expected the name {' or '.join(INPUTS)}, got {tensor.name!r:.60}")
    if tensor.datatype != kind.datatype:
        raise bad_request(f"{tensor.name}: datatype: expected {kind.datatype}, got {tensor.datatype!r:.40}")
    one = kind.shape(spec.sequence_length)
    shape = tensor.shape[:1] if not one and tensor.shape[1:] == (1,) else tensor.shape
    if shape[1:] != one:
        raise bad_request(
            f"{tensor.name}: shape: expected {[-1, *one]}, -1 for any number, got {list(tensor.shape)!s:.60}"
        )
    if shape[0] > most:
        raise RequestError(
            413, f"{tensor.name}: expected at most {counted(most, 'sequences')} in a request, got {shape[0]:,}"
        )
    try:
        strands.check(spec, request.rc)
        with spec.naming_flanks():
            return kind.read(tensor._replace(shape=shape), spec.sequence_length, request.reading)
    except RequestError:
        raise
    except ZooError as error:
        raise bad_request(str(error)) from None


def response(
    name: str, request: InferenceRequest, spec: ModelSpec, numbers: np.ndarray
) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Body and ASGI headers of a response. numbers: of all members, float32 (N, M * T)."""
    shown = zip(outputs_of(spec), Columns(spec).over_members(numbers), strict=False)
    outputs: list[dict[str, Any]] = []
    rest = b""
    for output_name, values in list(shown)[: 1 if request.named else None]:
        output: dict[str, Any] = {"name": output_name, "datatype": "FP32", "shape": [len(numbers), len(spec.targets)]}
        values = np.ascontiguousarray(values, "<f4")
        if request.binary:
            rest += values.tobytes()
            output["parameters"] = {SIZE: values.nbytes}
        else:
            # orjson writes the shortest decimal that gives the same float32
            output["data"] = values.reshape(-1)
        outputs.append(output)
    fields: dict[str, Any] = {"model_name": name, "model_version": VERSION}
    if request.id is not None:
        fields["id"] = request.id
    text = orjson.dumps({**fields, "outputs": outputs}, option=orjson.OPT_SERIALIZE_NUMPY)
    headers = [(b"content-length", b"%d" % (len(text) + len(rest)))]
    if not request.binary:
        return text, [*headers, (b"content-type", JSON_TYPE.encode())]
    return text + rest, [*headers, (b"content-type", BINARY_TYPE.encode()), (ASGI_HEADER, b"%d" % len(text))]


def _json_length(header: bytes | None, most: int) -> int:
    """Bytes of the JSON in a body of `most` bytes."""
    if header is None:
        return most
    digits = header.strip()
    if not (digits.isdigit() and len(digits) < 16 and int(digits) <= most):
        got = header.decode("latin-1")
        raise bad_request(f"{HEADER}: expected at most {most:,}, the bytes of the body, got {got!r:.40}")
    return int(digits)


def _why_not(text: bytes, error: orjson.JSONDecodeError) -> str:
    """Why a text is no JSON, in words for who sent it."""
    for start, kind in OTHER_STARTS.items():
        if text.startswith(start):
            return f"it is {kind}; expected plain UTF-8"
    try:
        text.decode()
    except UnicodeDecodeError as undecodable:
        return f"byte {undecodable.start + 1:,} is not text in UTF-8"
    return error.msg


def _before_tensor(body: bytes) -> int | None:
    """Bytes of the JSON object that a body begins with, if it names the size of a tensor or bytes that are no text
    follow it; None for other bodies."""
    if not body.lstrip().startswith(b"{"):
        return None
    try:
        end = json.JSONDecoder().raw_decode(body.decode("latin-1"), body.index(b"{"))[1]
    except (ValueError, RecursionError):
        return None
    rest = body[end:].strip()
    return end if rest and (SIZE.encode() in body[:end] or not rest.isascii()) else None


def _tensor(given: Any, rest: memoryview) -> Tensor:
    """An input of the JSON. rest: the bytes after the JSON."""
    fields = _checked(given, dict, "inputs")
    _check_names(fields, ("name", "datatype", "shape", "data", "parameters"), "inputs")
    name, datatype = (_checked(fields.get(field), str, f"inputs: {field}") for field in ("name", "datatype"))
    shape = fields.get("shape")
    sizes = shape if isinstance(shape, list) and all(type(size) is int for size in shape) else []
    if not 0 < len(sizes) <= MOST_AXES or not all(0 <= size < LARGEST_AXIS for size in sizes):
        raise _expected(f"{name}: shape", "a list of whole numbers from 0", shape)
    parameters = _checked(fields.get("parameters", {}), dict, f"{name}: parameters")
    size = parameters.get(SIZE, 0)
    if type(size) is not int or size != len(rest):
        raise bad_request(f"{name}: {SIZE}: expected {len(rest):,}, the bytes after the JSON, got {size!r:.40}")
    if SIZE not in parameters:
        return Tensor(name, datatype, tuple(sizes), _checked(fields.get("data"), list, f"{name}: data"))
    if "data" in fields:
        raise bad_request(f"{name}: expected either data or {SIZE}, got both")
    return Tensor(name, datatype, tuple(sizes), rest)


def _is_binary(outputs: Any, default: bool) -> bool:
    """Whether a request wants its output as bytes. default: if the output does not say."""
    if outputs is None or outputs == []:
        return default
    if not isinstance(outputs, list) or len(outputs) != 1:
        raise _expected("outputs", f"a list of one output, {OUTPUT}", outputs)
    output = _checked(outputs[0], dict, "outputs")
    if output.get("name") != OUTPUT:
        raise _expected("outputs: name", OUTPUT, output.get("name"))
    parameters = _parameters(output, "outputs: parameters", ("binary_data",))
    return _checked(parameters.get("binary_data", default), bool, "binary_data")


def _parameters(fields: dict[str, Any], where: str, known: tuple[str, ...]) -> dict[str, Any]:
    parameters = _checked(fields.get("parameters", {}), dict, where)
    _check_names(parameters, known, where)
    return parameters


KINDS: dict[type, str] = {str: "a string", dict: "a JSON object", list: "a list", bool: "true or false"}


def _checked(value: Any, kind: type, where: str) -> Any:
    if not isinstance(value, kind):
        raise _expected(where, KINDS[kind], value)
    return value


def _check_names(fields: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for name in fields:
        if name not in known:
            near = did_you_mean(name[:60], known)
            raise bad_request(f"{where}: unknown field {name[:60]!r}{near}; known fields: {', '.join(known)}")


def _expected(where: str, expected: str, got: Any) -> RequestError:
    shown = "nothing" if got is None else f"{got!r:.60}"
    if isinstance(got, list | dict):
        shown = f"{KINDS[type(got)]} of {len(got):,}"
    return bad_request(f"{where}: expected {expected}, got {shown}")


def _read_sequences(tensor: Tensor, length: int, reading: ReadOptions) -> np.ndarray:
    sequences = _elements(tensor) if isinstance(tensor.data, memoryview) else _flat(tensor, str)
    return encode_as(sequences, length, reading, lambda number: f"sequence {number}", SPELLING)


def _read_codes(tensor: Tensor, length: int, reading: ReadOptions) -> np.ndarray:  # noqa: ARG001
    codes = _numbers(tensor, np.uint8, np.int64, int)
    if codes.size and (codes.max() > UNKNOWN_BASE or (codes.dtype != np.uint8 and codes.min() < 0)):
        row, column = (int(at) for at in np.argwhere((codes < 0) | (codes > UNKNOWN_BASE))[0])
        got = codes[row, column]
        raise bad_request(f"sequence {row + 1}, position {column + 1}: expected a code of 0 to 4, got {got}")
    return codes.astype(np.uint8, copy=False)


def _read_one_hot(tensor: Tensor, length: int, reading: ReadOptions) -> np.ndarray:  # noqa: ARG001
    hot = _numbers(tensor, np.float32, np.float64, int, float)
    codes = from_one_hot(hot)
    wrong = (ONE_HOT[codes].swapaxes(1, 2) != hot).any(1)
    if wrong.any():
        row, column = (int(at) for at in np.argwhere(wrong)[0])
        raise bad_request(f"sequence {row + 1}, position {column + 1}: expected zeros and at most one 1")
    return codes


INPUTS = {
    "sequence": Input("BYTES", lambda length: (), _read_sequences),  # noqa: ARG005
    "codes": Input("UINT8", lambda length: (length,), _read_codes),
    "one_hot": Input("FP32", lambda length: (len(ALPHABET), length), _read_one_hot),
}
"""Name -> input. A request has one of them."""


def _elements(tensor: Tensor) -> list[str]:
    """The elements of a tensor of BYTES in the binary extension."""
    buffer, count = tensor.data, tensor.shape[0]
    elements: list[str] = []
    at = 0
    while at + LENGTH.size <= len(buffer) and len(elements) < count:
        (length,) = LENGTH.unpack_from(buffer, at)  # type: ignore[arg-type]
        at += LENGTH.size + length
        if at <= len(buffer):
            elements.append(str(buffer[at - length : at], "utf-8", "replace"))  # type: ignore[arg-type]
    if len(elements) != count or at != len(buffer):
        raise bad_request(
            f"{tensor.name}: expected {count:,} elements, each after its length, in {len(buffer):,} bytes"
        )
    return elements


def _flat(tensor: Tensor, *kinds: type) -> list[Any]:
    """The values of JSON data, nested or not. Raises RequestError for a wrong type or number of values."""
    values: list[Any] = tensor.data  # type: ignore[assignment]
    for _ in tensor.shape:
        if set(map(type, values)) != {list}:
            break
        values = list(itertools.chain.from_iterable(values))
    if not set(map(type, values)) <= set(kinds):
        expected = "strings" if str in kinds else "whole numbers" if float not in kinds else "numbers"
        raise bad_request(f"{tensor.name}: data: expected {expected} only, got other values as well")
    if len(values) != math.prod(tensor.shape):
        shape = list(tensor.shape)
        raise bad_request(
            f"{tensor.name}: data: expected {math.prod(shape):,} values for the shape {shape}, got {len(values):,}"
        )
    return values


def _numbers(tensor: Tensor, kind: type, json_kind: type, *python_kinds: type) -> np.ndarray:
    """Numbers of a tensor in its shape: `kind` from the binary extension, `json_kind` from JSON."""
    if isinstance(tensor.data, memoryview):
        dtype = np.dtype(kind)
        expected = math.prod(tensor.shape) * dtype.itemsize
        if len(tensor.data) != expected:
            shape = list(tensor.shape)
            raise bad_request(
                f"{tensor.name}: expected {expected:,} bytes for the shape {shape}, got {len(tensor.data):,}"
            )
        return np.frombuffer(tensor.data, dtype.newbyteorder("<")).astype(dtype).reshape(tensor.shape)
    try:
        return np.array(_flat(tensor, *python_kinds), json_kind).reshape(tensor.shape)
    except OverflowError:
        raise bad_request(f"{tensor.name}: data: a number is too large") from None
