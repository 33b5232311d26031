"""The Open Inference Protocol v2, field by field, and the numbers of `zoo predict`."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from checkpoints import ODD, random_codes
from served import LENGTH, RUNTIME, Running, asking, letters

import zoo
from zoo.dna.encoding import one_hot


@pytest.fixture
def model(weights: Path) -> zoo.Model:
    return zoo.load(weights=str(weights), runtime=RUNTIME)


def get(service: Running, path: str) -> Any:
    answer = requests.get(service.url + path, timeout=60)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def infer(service: Running, request: Any, **headers: str) -> requests.Response:
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    return requests.post(f"{service.url}/v2/models/mine/infer", data=body, headers=headers, timeout=60)


def refused(service: Running, request: Any, facts: list[object], **headers: str) -> None:
    """A request gets status 400 and an error message of one line that holds all facts."""
    answer = infer(service, request, **headers)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/json"
    ((name, message),) = answer.json().items()
    assert (name, message.count("\n")) == ("error", 0)
    assert not [fact for fact in facts if str(fact) not in message], message


def test_the_server_says_what_it_is(service: Running) -> None:
    assert get(service, "/v2") == {
        "name": "deepstarr-zoo",
        "version": zoo.__version__,
        "extensions": ["binary_tensor_data"],
    }
    assert requests.get(f"{service.url}/v2/health/live", timeout=60).status_code == 200
    assert requests.get(f"{service.url}/v2/health/ready", timeout=60).status_code == 200
    assert get(service, "/v2/models") == {"models": ["mine"]}


@pytest.mark.parametrize("path", ["/v2/models/mine", "/v2/models/mine/versions/1"])
def test_a_model_says_what_it_takes_and_gives(service: Running, model: zoo.Model, path: str) -> None:
    found = get(service, path)
    assert {name: found[name] for name in ("name", "versions", "platform", "inputs", "outputs")} == {
        "name": "mine",
        "versions": ["1"],
        "platform": "deepstarr-zoo_onnx-cpu",
        "inputs": [
            {"name": "sequence", "datatype": "BYTES", "shape": [-1]},
            {"name": "codes", "datatype": "UINT8", "shape": [-1, LENGTH]},
            {"name": "one_hot", "datatype": "FP32", "shape": [-1, 4, LENGTH]},
        ],
        "outputs": [{"name": "activity", "datatype": "FP32", "shape": [-1, 3]}],
    }
    assert found["parameters"]["targets"] == list(ODD.targets)
    assert found["parameters"]["weights"]["id"] == model.spec.weights_id
    assert get(service, f"{path}/ready") == {"name": "mine", "ready": True}


@pytest.mark.parametrize("path", ["/v2/models/other", "/v2/models/mine/versions/2", "/v2/models/mine/ready/x", "/v3"])
def test_an_unknown_address_is_404(service: Running, path: str) -> None:
    answer = requests.get(service.url + path, timeout=60)
    assert answer.status_code == 404
    assert list(answer.json()) == ["error"]


def test_an_unknown_model_gets_the_names_of_known_ones(service: Running) -> None:
    answer = requests.post(f"{service.url}/v2/models/mind/infer", json=asking(letters(1)), timeout=60)
    assert answer.status_code == 404
    assert "'mind'" in answer.json()["error"]
    assert "mine?" in answer.json()["error"]


def test_an_answer_has_the_fields_of_the_protocol_and_the_numbers_of_python(service: Running, model: zoo.Model) -> None:
    sequences = letters(7)
    answer = infer(service, asking(sequences, id="my request"))
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    (output,) = found.pop("outputs")
    assert found == {"model_name": "mine", "model_version": "1", "id": "my request"}
    values = np.array(output.pop("data"), np.float32).reshape(7, 3)
    assert output == {"name": "activity", "datatype": "FP32", "shape": [7, 3]}
    np.testing.assert_array_equal(values, model.predict(sequences))
    assert "id" not in infer(service, asking(sequences)).json()


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("kind", ["codes", "one_hot"])
def test_arrays_are_taken_flat_and_nested(service: Running, model: zoo.Model, kind: str, nested: bool) -> None:
    codes = random_codes(3, LENGTH)
    array = codes if kind == "codes" else one_hot(codes, channels_first=True)
    data = array.tolist() if nested else array.ravel().tolist()
    datatype = {"codes": "UINT8", "one_hot": "FP32"}[kind]
    tensor = {"name": kind, "datatype": datatype, "shape": list(array.shape), "data": data}
    answer = infer(service, {"inputs": [tensor]}).json()
    values = np.array(answer["outputs"][0]["data"], np.float32).reshape(3, 3)
    np.testing.assert_array_equal(values, model.predict_codes(codes))


def test_parameters_are_those_of_python(service: Running, model: zoo.Model) -> None:
    def ask(sequences: list[str], **parameters: str) -> np.ndarray:
        found = infer(service, asking(sequences, parameters=parameters)).json()
        return np.array(found["outputs"][0]["data"], np.float32).reshape(len(sequences), 3)

    sequences = letters(4)
    np.testing.assert_array_equal(ask(sequences, rc="average"), model.predict(sequences, rc="average"))
    short = ["ACGT", sequences[0] + "GG"]
    np.testing.assert_array_equal(ask(short, resize="center"), model.predict(short, resize="center"))
    other = sequences[0].replace("A", "R")
    as_n = model.predict([sequences[0].replace("A", "N")])
    np.testing.assert_array_equal(ask([other], ambiguous="n"), as_n)


def test_no_sequences_have_no_activities(service: Running) -> None:
    assert infer(service, asking([])).json()["outputs"][0] == {
        "name": "activity",
        "datatype": "FP32",
        "shape": [0, 3],
        "data": [],
    }


TENSOR = {"name": "sequence", "datatype": "BYTES", "shape": [1], "data": ["A" * LENGTH]}


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        ({"name": 3}, ["inputs: name", "got 3"]),
        ({"name": "seq"}, ["inputs", "sequence", "codes", "one_hot", "'seq'"]),
        ({"datatype": "FP32"}, ["sequence: datatype", "BYTES", "'FP32'"]),
        ({"datatype": None}, ["datatype", "nothing"]),
        ({"shape": [2]}, ["sequence: data", "2 values", [2], "got 1"]),
        ({"shape": [1, 2]}, ["sequence: shape", [-1], [1, 2]]),
        ({"shape": [-1]}, ["sequence: shape"]),
        ({"shape": [True]}, ["sequence: shape"]),
        ({"shape": []}, ["sequence: shape"]),
        ({"shape": "1"}, ["sequence: shape", "'1'"]),
        ({"data": [5]}, ["sequence: data", "strings"]),
        ({"data": {}}, ["sequence: data", "a list", "JSON object of 0"]),
        ({"data": ["ACGT"]}, ["sequence 1", LENGTH, "got 4", '"resize": "center"']),
        ({"data": ["U" * LENGTH]}, ["sequence 1, position 1", "ACGTN", "'U'"]),
        ({"colour": 1}, ["inputs", "'colour'"]),
        ({"parameters": {"binary_data_size": 0}}, ["sequence", "data", "binary_data_size"]),
        ({"parameters": {"binary_data_size": 9}}, ["sequence", "binary_data_size", "9"]),
        (
            {"name": "codes", "datatype": "UINT8", "shape": [1, LENGTH], "data": [5] * LENGTH},
            ["sequence 1, position 1", "0 to 4", "got 5"],
        ),
        (
            {"name": "codes", "datatype": "UINT8", "shape": [1, LENGTH], "data": [0.5] * LENGTH},
            ["codes: data", "whole numbers"],
        ),
        (
            {"name": "codes", "datatype": "UINT8", "shape": [1, 2], "data": [0, 0]},
            ["codes: shape", [-1, LENGTH]],
        ),
        (
            {"name": "one_hot", "datatype": "FP32", "shape": [1, 4, LENGTH], "data": [0.5] * 4 * LENGTH},
            ["sequence 1, position 1"],
        ),
        (
            {"name": "codes", "datatype": "UINT8", "shape": [1, LENGTH], "data": [10**18] * LENGTH},
            ["sequence 1, position 1", 10**18],
        ),
    ],
)
def test_an_error_in_an_input_names_its_field(service: Running, change: dict[str, Any], facts: list[object]) -> None:
    refused(service, {"inputs": [{**TENSOR, **change}]}, facts)


@pytest.mark.parametrize(
    ("request_", "facts"),
    [
        (b"{", ["JSON"]),
        (b"\xff", ["JSON"]),
        (b"[" * 100_000, ["JSON"]),
        ([], ["the request", "JSON object", "list of 0"]),
        ({}, ["inputs", "sequence", "codes", "one_hot", "nothing"]),
        ({"inputs": [TENSOR, TENSOR]}, ["inputs", "list of 2"]),
        ({"inputs": [TENSOR], "id": 7}, ["id", "got 7"]),
        ({"inputs": [TENSOR], "id": "a" * 1001}, ["id", "1,001"]),
        ({"inputs": [TENSOR], "input": 7}, ["the request", "'input'", "inputs?"]),
        ({"inputs": [TENSOR], "parameters": {"rc": "both"}}, ["parameters: rc", "average", "'both'"]),
        ({"inputs": [TENSOR], "parameters": {"rc": ["a"]}}, ["parameters: rc", "average"]),
        ({"inputs": [TENSOR], "parameters": {"binary_data_output": 1}}, ["binary_data_output", "true or false"]),
        ({"inputs": [TENSOR], "outputs": [{"name": "dev"}]}, ["outputs: name", "activity", "'dev'"]),
        (
            {"inputs": [TENSOR], "outputs": [{"name": "activity", "parameters": {"classification": 3}}]},
            ["outputs: parameters", "'classification'"],
        ),
    ],
)
def test_an_error_in_a_request_names_its_field(service: Running, request_: Any, facts: list[object]) -> None:
    refused(service, request_, facts)


ELEMENT = struct.pack("<I", LENGTH) + b"A" * LENGTH


@pytest.mark.parametrize(
    ("size", "rest", "header", "facts"),
    [
        (57, ELEMENT[:-1], None, ["binary_data_size", 56, "got 57"]),
        (56, ELEMENT[:-1], None, ["sequence", "1 elements", "56 bytes"]),
        (57, struct.pack("<I", 1 << 31) + b"A" * 53, None, ["sequence", "1 elements", "57 bytes"]),
        (57, ELEMENT + b"A", None, ["binary_data_size", 58, "got 57"]),
        (None, ELEMENT, None, ["binary_data_size", 57, "got None"]),
        (-1, b"", None, ["binary_data_size", -1]),
        (57, ELEMENT, "-1", ["Inference-Header-Content-Length", "'-1'"]),
        (57, ELEMENT, "1e9", ["Inference-Header-Content-Length", "'1e9'"]),
        (57, ELEMENT, "999999", ["Inference-Header-Content-Length", "'999999'"]),
    ],
)
def test_errors_in_binary_data_are_found(
    service: Running, size: int | None, rest: bytes, header: str | None, facts: list[object]
) -> None:
    tensor = {"name": "sequence", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": size}}
    text = json.dumps({"inputs": [tensor]}).encode()
    refused(service, text + rest, facts, **{"Inference-Header-Content-Length": header or str(len(text))})


def test_a_binary_body_without_its_header_says_what_is_missing(service: Running) -> None:
    tensor = {"name": "sequence", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(ELEMENT)}}
    text = json.dumps({"inputs": [tensor]}).encode()
    for start in (b"", b"\n"):
        refused(
            service,
            start + text + struct.pack("<I", 0xFF) + ELEMENT,
            ["the header Inference-Header-Content-Length", len(start + text), "binary tensor", "JSON"],
        )
    header = {"Inference-Header-Content-Length": str(len(text) - 1)}
    refused(service, text + ELEMENT, ["Inference-Header-Content-Length", f"{len(text) - 1} bytes", "JSON"], **header)


@pytest.mark.parametrize(
    ("body", "facts"),
    [
        (gzip.compress(b"{}", mtime=0), ["compressed (gzip)"]),
        ("{}".encode("utf-16"), ["UTF-16"]),
        ("{}".encode("utf-16-be"), ["UTF-16"]),
        ("{}".encode("utf-8-sig"), ["byte order mark"]),
        (b'{"id": "\xff"}', ["byte 9", "UTF-8"]),
        (b"[" * 5000 + b"\xff", ["byte 5,001", "UTF-8"]),
        (b'{"a":' * 5000 + b"\xff", ["byte 25,001", "UTF-8"]),
    ],
)
def test_a_body_that_is_no_text_says_what_it_is(service: Running, body: bytes, facts: list[object]) -> None:
    refused(service, body, ["not JSON", *facts])


def test_no_sequences_as_bytes_have_no_activities(service: Running) -> None:
    for name, datatype, shape in (("sequence", "BYTES", [0]), ("codes", "UINT8", [0, LENGTH])):
        tensor = {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": 0}}
        text = json.dumps({"inputs": [tensor]}).encode()
        answer = infer(service, text, **{"Inference-Header-Content-Length": str(len(text))})
        assert answer.json()["outputs"][0]["shape"] == [0, 3]


def test_every_answer_has_headers_that_keep_browsers_careful(service: Running) -> None:
    for path in ("/v2", "/nothing"):
        headers = requests.get(service.url + path, timeout=60).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers
