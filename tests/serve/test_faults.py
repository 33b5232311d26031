"""What breaks services: nonsense, signals under load, files that change. No traceback, no lost answer."""

from __future__ import annotations

import contextlib
import json
import math
import random
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
import requests
from checkpoints import ODD, random_checkpoint
from serve_process import answer, connected, request, serving
from served import LENGTH, Running, asking, letters, opened, running

from zoo.serve.protocol import HEADER
from zoo.weights import checkpoint

MALFORMED = 1000

NONSENSE: list[Any] = [
    None,
    True,
    -1,
    0,
    1,
    1 << 40,
    1e308,
    "",
    "\0",
    "é" * 9,
    [],
    [[]],
    [None],
    {},
    {"a": {}},
    "sequence",
]


def spoiled(generator: random.Random, value: Any) -> Any:
    """JSON with one place in it changed, left out or added to."""
    if isinstance(value, dict) and value and generator.random() < 0.8:
        key = generator.choice(list(value))
        changed = {**value, key: spoiled(generator, value[key])}
        if generator.random() < 0.2:
            del changed[key]
        return changed | (
            {generator.choice(["x", "id"]): generator.choice(NONSENSE)} if generator.random() < 0.1 else {}
        )
    if isinstance(value, list) and value and generator.random() < 0.8:
        place = generator.randrange(len(value))
        return [*value[:place], spoiled(generator, value[place]), *value[place + 1 :]]
    return generator.choice(NONSENSE)


def off(generator: random.Random, right: int) -> Any:
    """A number of bytes that is right, or nearly, or none at all."""
    near = [right, right, right, right - 1, right + 1, 0, -right, 2 * right, right / 2, float(right), str(right)]
    return generator.choice([*near, *NONSENSE])


def with_bytes(generator: random.Random) -> tuple[dict[str, Any], bytes]:
    """A tensor whose data stands behind the JSON, and what stands there: as long as it should be, or nearly."""
    kind = generator.choice(["sequence", "codes", "one_hot"])
    if kind == "sequence":
        length = generator.choice([LENGTH, LENGTH, LENGTH - 1, LENGTH + 1, 0, 1 << 31, (1 << 32) - 1])
        rest = struct.pack("<I", length) + generator.choice([b"A", b"\xff", b"\0"]) * LENGTH
        tensor = {"name": kind, "datatype": "BYTES", "shape": [1]}
    elif kind == "codes":
        rest = bytes([generator.choice([0, 4, 5, 255])]) * LENGTH
        tensor = {"name": kind, "datatype": "UINT8", "shape": [1, LENGTH]}
    else:
        rest = struct.pack("<f", generator.choice([0.0, -0.0, 1.0, 0.5, math.nan, math.inf])) * 4 * LENGTH
        tensor = {"name": kind, "datatype": "FP32", "shape": [1, 4, LENGTH]}
    size = off(generator, len(rest))
    rest = generator.choice([rest, rest, rest[:-1], rest + b"A", b""])
    return {**tensor, "parameters": {"binary_data_size": size}}, rest


def malformed(generator: random.Random) -> tuple[bytes, str]:
    """A body and its headers, most of them wrong somewhere: in the JSON, in the bytes behind it, or in the header."""
    whole: dict[str, Any] = {"id": "1", "parameters": {"rc": "average"}}
    rest, in_json = b"", {"name": "sequence", "datatype": "BYTES", "shape": [1], "data": letters(1)}
    if generator.random() < 0.3:
        whole["inputs"] = [in_json] * generator.choice([1, 1, 1, 0, 2])
    else:
        tensors, behind = zip(*(with_bytes(generator) for _ in range(generator.choice([1, 1, 1, 2]))), strict=True)
        whole["inputs"] = [*tensors, *[in_json][: generator.random() < 0.1]]
        rest = b"".join(behind)
    if generator.random() < 0.5:
        output = {"name": "activity", "parameters": {"binary_data": generator.choice([True, False, *NONSENSE])}}
        whole["outputs"] = [output] * generator.choice([1, 1, 1, 2])
    if generator.random() < 0.2:
        whole["parameters"]["binary_data_output"] = generator.choice([True, False, *NONSENSE])
    text = json.dumps(spoiled(generator, whole) if generator.random() < 0.5 else whole).encode()
    body = text + rest
    if generator.random() < 0.1:
        body = body[: generator.randrange(len(body))] + generator.randbytes(3)
    lengths = [off(generator, len(text)), len(text), f" {len(text)} ", f"+{len(text)}", hex(len(text)), len(body)]
    strange = ["", "-1", "9" * 30, "1e2", "\u00b2", "\uff11", f"{len(text)}, {len(text)}", "\0", "a" * 1000]
    if rest or generator.random() < 0.1:
        length = generator.choice([len(text), len(text), *lengths, *strange])
        return body, f"{HEADER}: {length}\r\n" * generator.choice([1, 1, 1, 1, 2])
    return body, ""


def test_a_thousand_malformed_requests_are_each_one_line(weights: Path) -> None:
    generator, statuses = random.Random(0), []
    with running(opened(weights)) as service, contextlib.ExitStack() as connections:
        client = connections.enter_context(connected(service.port))
        for _ in range(MALFORMED):
            body, headers = malformed(generator)
            client.sendall(request(body, headers))
            found = answer(client)
            assert found is not None
            statuses.append(found.status)
            if "\0" in headers:
                assert found.status == 400  # not HTTP: uvicorn answers, in plain text
            elif found.status != 200:
                ((name, line),) = json.loads(found.body).items()
                assert (name, line.count("\n")) == ("error", 0)
                assert line
            if "connection: close" in found.headers:
                client = connections.enter_context(connected(service.port))
        client.sendall(request(json.dumps(asking(letters(1))).encode()))
        good = answer(client)
    assert good is not None
    assert good.status == 200
    assert set(statuses) == {200, 400}
    assert MALFORMED / 2 < statuses.count(400) < MALFORMED * 0.99
    assert "this is a bug" not in "".join(line.error for line in service.lines)


def from_description(schema: dict[str, Any], whole: dict[str, Any], generator: random.Random) -> Any:
    """A value as a schema of OpenAPI has it, drawn at random."""
    if "$ref" in schema:
        return from_description(whole["components"]["schemas"][schema["$ref"].rpartition("/")[2]], whole, generator)
    if "oneOf" in schema:
        return from_description(generator.choice(schema["oneOf"]), whole, generator)
    if "enum" in schema or "const" in schema:
        return generator.choice(schema.get("enum", [schema.get("const")]))
    kind = schema.get("type")
    if kind == "object":
        names = [one for one in schema.get("properties", {}) if one in schema["required"] or generator.random() < 0.5]
        return {name: from_description(schema["properties"][name], whole, generator) for name in names}
    if kind == "array":
        size = generator.randint(schema.get("minItems", 0), schema.get("maxItems", 3))
        return [from_description(schema["items"], whole, generator) for _ in range(size)]
    if kind == "integer":
        return generator.choice([0, 1, 2, LENGTH, 4097])
    return generator.choice(letters(1)) if kind == "string" else generator.choice(NONSENSE)


def test_requests_drawn_from_the_description_give_statuses_that_it_has(service: Running) -> None:
    generator, client = random.Random(1), requests.Session()
    whole = client.get(f"{service.url}/openapi.json", timeout=60).json()
    tried = 0
    for path, methods in whole["paths"].items():
        for method, operation in methods.items():
            drawn = {
                one["name"]: from_description(one["schema"], whole, generator)
                for one in operation.get("parameters", [])
            }
            for _ in range(100 if method == "post" else 1):
                body = None
                if method == "post":
                    schema = operation["requestBody"]["content"]["application/json"]["schema"]
                    body = json.dumps(from_description(schema, whole, generator))
                answer = client.request(method, service.url + path.format(**drawn), data=body, timeout=60)
                assert str(answer.status_code) in operation["responses"], (path, body, answer.text)
                tried += 1
    client.close()
    assert tried > 200


def test_a_method_that_an_address_does_not_take_is_405_and_says_which_it_takes(service: Running) -> None:
    for method, path, allowed in (("DELETE", "/v2", {"GET", "HEAD"}), ("TRACE", "/v2/models/mine/infer", {"POST"})):
        answered = requests.request(method, service.url + path, timeout=60)
        assert answered.status_code == 405
        assert set(answered.headers["allow"].split(", ")) == allowed
        assert list(answered.json()) == ["error"]


def test_a_file_that_is_replaced_while_it_is_served_changes_nothing(weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    shutil.copy(weights, path)
    url = "/v2/models/mine"
    with running(opened(path)) as service:
        before = requests.post(f"{service.url}{url}/infer", json=asking(letters(9)), timeout=60).json()
        identity = requests.get(service.url + url, timeout=60).json()["parameters"]["weights"]["id"]
        path.write_bytes(b"cut off")
        assert requests.post(f"{service.url}{url}/infer", json=asking(letters(9)), timeout=60).json() == before
        path.unlink()
        checkpoint.save(random_checkpoint(ODD, seed=1), path)
        assert requests.post(f"{service.url}{url}/infer", json=asking(letters(9)), timeout=60).json() == before
        assert requests.get(service.url + url, timeout=60).json()["parameters"]["weights"]["id"] == identity


ROUND = 300


def test_memory_is_flat_over_many_requests(weights: Path) -> None:
    psutil = pytest.importorskip("psutil", reason="psutil is not installed")
    body = json.dumps(asking(letters(64)))
    with serving(weights, "--threads", 1) as service, requests.Session() as client:
        sizes = []
        for _ in range(3):
            for _ in range(ROUND):
                answer = client.post(f"{service.url}/v2/models/mine/infer", data=body, timeout=60)
                assert answer.status_code == 200
            sizes.append(psutil.Process(service.process.pid).memory_info().rss)
        assert service.end().count("infer 200") == 3 * ROUND
    # 300 requests of 64 sequences are 1.1 MB
    assert sizes[2] - sizes[1] < 1 << 19
