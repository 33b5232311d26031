"""The unchanged client of NVIDIA gets the right answers over the protocol."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from checkpoints import ODD, random_codes
from command_line import Zoo
from refusals import refuses
from served import LENGTH, RUNTIME, Running, letters

from zoo.dna.encoding import one_hot

client_of = pytest.importorskip("tritonclient.http", reason="tritonclient[http] is not installed")


@pytest.fixture
def client(service: Running) -> Iterator[object]:
    made = client_of.InferenceServerClient(service.url.removeprefix("http://"))
    yield made
    made.close()


def test_metadata_and_health(client) -> None:  # type: ignore[no-untyped-def]
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("mine")
    assert client.is_model_ready("mine", "1")
    assert not client.is_model_ready("other")
    assert client.get_server_metadata()["name"] == "deepstarr-zoo"
    assert client.get_model_metadata("mine")["outputs"][0]["shape"] == [-1, 3]


@pytest.fixture
def predicted(weights: Path, zoo: Zoo, tmp_path: Path) -> np.ndarray:
    """What `zoo predict` writes of ten sequences."""
    fasta = "".join(f">s{number}\n{text}\n" for number, text in enumerate(letters(10)))
    (tmp_path / "ten.fa").write_text(fasta)
    status, out, _ = zoo("predict", tmp_path / "ten.fa", "--weights", weights, "--runtime", RUNTIME, "--threads", 1)
    assert status == 0
    rows = [line.split("\t")[1:] for line in out.splitlines()[1:]]
    return np.array(rows, np.float32)


@pytest.mark.parametrize("binary_out", [False, True])
@pytest.mark.parametrize("binary_in", [False, True])
@pytest.mark.parametrize("kind", ["sequence", "codes", "one_hot"])
def test_the_numbers_are_those_of_zoo_predict_to_the_bit(  # type: ignore[no-untyped-def]
    client, predicted: np.ndarray, kind: str, binary_in: bool, binary_out: bool
) -> None:
    codes = random_codes(10, LENGTH)
    arrays = {
        "sequence": ("BYTES", np.array(letters(10), object)),
        "codes": ("UINT8", codes),
        "one_hot": ("FP32", one_hot(codes, channels_first=True)),
    }
    datatype, array = arrays[kind]
    tensor = client_of.InferInput(kind, list(array.shape), datatype)
    tensor.set_data_from_numpy(array, binary_data=binary_in)
    output = client_of.InferRequestedOutput("activity", binary_data=binary_out)
    result = client.infer("mine", [tensor], outputs=[output], request_id="7")
    assert result.get_response()["id"] == "7"
    np.testing.assert_array_equal(result.as_numpy("activity"), predicted)


def test_parameters_are_used_and_errors_are_returned(client) -> None:  # type: ignore[no-untyped-def]
    tensor = client_of.InferInput("sequence", [1], "BYTES")
    tensor.set_data_from_numpy(np.array(letters(1), object))
    both = client.infer("mine", [tensor], parameters={"rc": "average"}).as_numpy("activity")
    assert both.shape == (1, len(ODD.targets))
    assert not np.array_equal(both, client.infer("mine", [tensor]).as_numpy("activity"))
    with refuses("[400]", "parameters", "rc", "average", "'both'", kind=Exception):
        client.infer("mine", [tensor], parameters={"rc": "both"})
