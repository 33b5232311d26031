"""`zoo serve`: starts, prints its address, ends; each error is one line."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import requests
from command_line import Zoo, environment, one_line
from served import asking, letters


def test_two_models_are_served_under_their_names_and_logged(weights: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(weights.read_bytes())
    command = [sys.executable, "-m", "zoo", "serve", str(weights), str(other), "--runtime", "kmer-cpu", "--json-log"]
    process = subprocess.Popen([*command, "--port", "0"], stderr=subprocess.PIPE, text=True, env=environment())
    assert process.stderr is not None
    said = [process.stderr.readline() for _ in range(3)]
    assert said[0].startswith("zoo: mine: kmer-cpu (")
    assert said[1].startswith("zoo: other: kmer-cpu (")
    (url,) = re.findall(r"http://[^;\s]+", said[2])
    for name in ("mine", "other"):
        assert requests.post(f"{url}/v2/models/{name}/infer", json=asking(letters(2)), timeout=60).status_code == 200
    process.send_signal(signal.SIGINT)
    log = process.stderr.read().splitlines()
    assert process.wait(60) == 0
    lines = [json.loads(line) for line in log if line.startswith("{")]
    assert [(line["model"], line["status"], line["sequences"]) for line in lines] == [
        ("mine", 200, 2),
        ("other", 200, 2),
    ]
    assert sum(line.startswith("zoo: interrupted: ") for line in log) == 1


def test_wrong_arguments_are_one_line(zoo: Zoo, weights: Path, tmp_path: Path) -> None:
    one_line(zoo, "--insecure", "serve", weights, "--host", "0.0.0.0")
    one_line(zoo, "none.safetensors", "serve", tmp_path / "none.safetensors", "--port", "0")
    one_line(zoo, "mine: ", "serve", weights, weights, "--port", "0")
    one_line(zoo, "'gpu'", "serve", weights, "--runtime", "gpu", "--port", "0")
    one_line(zoo, f"{tmp_path / 'none'}: ", "serve", weights, "--token-file", tmp_path / "none")


def test_an_address_in_use_is_one_line(zoo: Zoo, weights: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        one_line(zoo, f"127.0.0.1, port {port}: ", "serve", weights, "--port", port)
