"""`zoo serve`: starts, says where, ends; and what it refuses, in one line."""

from __future__ import annotations

import json
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
    url = said[2].removeprefix("zoo: serving at ").removesuffix("; Ctrl-C ends it\n")
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
    assert "zoo: interrupted: what is under way is finished first; once more ends it at once" in log


def test_what_cannot_be_served_is_one_line(zoo: Zoo, weights: Path, tmp_path: Path) -> None:
    one_line(zoo, "0.0.0.0: whoever reaches this address could ask", "serve", weights, "--host", "0.0.0.0")
    one_line(zoo, "none.safetensors: no such weights file", "serve", tmp_path / "none.safetensors", "--port", "0")
    one_line(zoo, "mine: two of the models would have this name", "serve", weights, weights, "--port", "0")
    one_line(zoo, "no runtime is called 'gpu'", "serve", weights, "--runtime", "gpu", "--port", "0")
    one_line(zoo, "the tokens cannot be read (No such file", "serve", weights, "--token-file", tmp_path / "none")


def test_an_address_that_is_taken_is_one_line(zoo: Zoo, weights: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        one_line(
            zoo, f"127.0.0.1, port {port}: cannot be taken (Address already in use)", "serve", weights, "--port", port
        )
