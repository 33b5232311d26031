"""The Open Inference Protocol v2, field by field, and the numbers of `zoo predict`."""

from __future__ import annotations

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


def refused(service: Running, request: Any, message: str, status: int = 400, **headers: str) -> None:
    answer = infer(service, request, **headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["error"]
    assert message in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


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
def test_what_is_not_there_is_404(service: Running, path: str) -> None:
    answer = requests.get(service.url + path, timeout=60)
    assert answer.status_code == 404
    assert list(answer.json()) == ["error"]


def test_a_model_that_is_not_there_is_named_with_those_that_are(service: Running) -> None:
    answer = requests.post(f"{service.url}/v2/models/mind/infer", json=asking(letters(1)), timeout=60)
    assert answer.status_code == 404
    assert answer.json() == {"error": "no model is called 'mind', did you mean mine?; there are mine"}


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
    ("change", "message"),
    [
        ({"name": 3}, "inputs: name: expected a text, got 3"),
        ({"name": "seq"}, "inputs: expected one called sequence or codes or one_hot, got 'seq'"),
        ({"datatype": "FP32"}, "sequence: datatype: expected BYTES, got 'FP32'"),
        ({"datatype": None}, "sequence: datatype: expected a text, got nothing"),
        ({"shape": [2]}, "sequence: data: expected 2 values for the shape [2], got 1"),
        ({"shape": [1, 2]}, "sequence: shape: expected [-1], -1 for any number, got [1, 2]"),
        ({"shape": [-1]}, "sequence: shape: expected whole numbers from 0, got a list of 1"),
        ({"shape": [True]}, "sequence: shape: expected whole numbers from 0"),
        ({"shape": "1"}, "sequence: shape: expected whole numbers from 0, got '1'"),
        ({"data": [5]}, "sequence: data: expected texts, got other values among them"),
        ({"data": {}}, "sequence: data: expected a list, got an object of 0"),
        ({"data": ["ACGT"]}, f'sequence 1: expected {LENGTH} bases, got 4; the parameter "resize": "center" crops'),
        ({"data": ["U" * LENGTH]}, "sequence 1, position 1: expected a letter of ACGTN, got 'U'"),
        ({"colour": 1}, "inputs: nothing is called 'colour'"),
        ({"parameters": {"binary_data_size": 9}}, "sequence: data: expected none beside binary_data_size"),
        (
            {"name": "codes", "datatype": "UINT8", "shape": [1, LENGTH], "data": [5] * LENGTH},
            "expected a code of 0 to 4",
        ),
        (
            {"name": "codes", "datatype": "UINT8", "shape": [1, LENGTH], "data": [0.5] * LENGTH},
            "data: expected numbers",
        ),
        (
            {"name": "codes", "datatype": "UINT8", "shape": [1, 2], "data": [0, 0]},
            f"codes: shape: expected [-1, {LENGTH}]",
        ),
        (
            {"name": "one_hot", "datatype": "FP32", "shape": [1, 4, LENGTH], "data": [0.5] * 4 * LENGTH},
            "sequence 1, position 1: expected at most one 1 among zeros",
        ),
        (
            {"name": "codes", "datatype": "UINT8", "shape": [1, LENGTH], "data": [10**18] * LENGTH},
            "sequence 1, position 1: expected a code of 0 to 4",
        ),
    ],
)
def test_an_input_that_is_wrong_is_refused_by_its_field(service: Running, change: dict[str, Any], message: str) -> None:
    refused(service, {"inputs": [{**TENSOR, **change}]}, message)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (b"{", "the request is not JSON: "),
        (b"\xff", "the request is not JSON: "),
        (b"[" * 100_000, "the request is not JSON: "),
        ([], "the request: expected a JSON object, got a list of 0"),
        ({}, "inputs: expected a list of one, sequence or codes or one_hot, got nothing"),
        ({"inputs": [TENSOR, TENSOR]}, "inputs: expected a list of one"),
        ({"inputs": [TENSOR], "id": 7}, "id: expected a text, got 7"),
        ({"inputs": [TENSOR], "input": 7}, "the request: nothing is called 'input', did you mean inputs?"),
        ({"inputs": [TENSOR], "parameters": {"rc": "both"}}, "parameters: rc: expected one of average, got 'both'"),
        ({"inputs": [TENSOR], "parameters": {"rc": ["a"]}}, "parameters: rc: expected one of average"),
        ({"inputs": [TENSOR], "parameters": {"binary_data_output": 1}}, "binary_data_output: expected true or false"),
        ({"inputs": [TENSOR], "outputs": [{"name": "dev"}]}, "outputs: name: expected activity, got 'dev'"),
        (
            {"inputs": [TENSOR], "outputs": [{"name": "activity", "parameters": {"classification": 3}}]},
            "outputs: parameters: nothing is called 'classification'",
        ),
    ],
)
def test_a_request_that_is_wrong_is_refused_by_its_field(service: Running, request_: Any, message: str) -> None:
    refused(service, request_, message)


@pytest.mark.parametrize(
    ("size", "rest", "header", "message"),
    [
        (57, struct.pack("<I", 53) + b"A" * 52, None, "binary_data_size: expected a number of bytes, 56 are left"),
        (56, struct.pack("<I", 53) + b"A" * 52, None, "expected 1 elements, each behind its length"),
        (57, struct.pack("<I", 1 << 31) + b"A" * 53, None, "expected 1 elements, each behind its length"),
        (57, struct.pack("<I", 53) + b"A" * 54, None, "the body has 1 bytes that no input claims"),
        (-1, b"", None, "binary_data_size: expected a number of bytes"),
        (57, struct.pack("<I", 53) + b"A" * 53, "-1", "Inference-Header-Content-Length: expected a number of bytes"),
        (57, struct.pack("<I", 53) + b"A" * 53, "1e9", "Inference-Header-Content-Length: expected a number of bytes"),
        (
            57,
            struct.pack("<I", 53) + b"A" * 53,
            "999999",
            "Inference-Header-Content-Length: expected a number of bytes",
        ),
    ],
)
def test_bytes_that_are_wrong_are_refused(
    service: Running, size: int, rest: bytes, header: str | None, message: str
) -> None:
    tensor = {"name": "sequence", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": size}}
    text = json.dumps({"inputs": [tensor]}).encode()
    refused(service, text + rest, message, **{"Inference-Header-Content-Length": header or str(len(text))})


def test_every_answer_has_headers_that_keep_browsers_careful(service: Running) -> None:
    for path in ("/v2", "/nothing"):
        headers = requests.get(service.url + path, timeout=60).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers
