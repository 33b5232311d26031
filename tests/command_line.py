"""The command line for tests, in this process (the fixture `zoo` of conftest.py) or in a new one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from checkpoints import ODD, random_codes

from zoo.cli import main
from zoo.prediction.model import load

ROOT = Path(__file__).parents[1]

RUNTIME = ("--runtime", "kmer-cpu")
"""The runtime that starts fastest."""

Zoo = Callable[..., tuple[int, str, str]]
"""Words of a command line -> exit status, standard output, standard error."""


def runner(monkeypatch: pytest.MonkeyPatch, captured: pytest.CaptureFixture[str]) -> Zoo:
    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["zoo", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main.main()
        out, err = captured.readouterr()
        return int(end.value.code or 0), out, err

    return run


def expected_table(folder: Path) -> str:
    model = load(weights=folder / "w.safetensors", runtime=RUNTIME[1])
    values = model.predict_codes(random_codes(10, ODD.sequence_length))
    rows = [f"s{number}\t" + "\t".join(str(value) for value in row) for number, row in enumerate(values)]
    return "\n".join(["name\ta\tb\tc", *rows, ""])


def run_zoo(
    *arguments: object, env: Mapping[str, str] | None = None, **options: object
) -> subprocess.CompletedProcess[bytes]:
    """env: variables beside those of environment()."""
    command = [sys.executable, "-m", "zoo", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, env={**environment(), **(env or {})}, **options)  # type: ignore[call-overload]


@contextlib.contextmanager
def predicting(folder: Path, text: bytes = b"") -> Iterator[subprocess.Popen[bytes]]:
    """A running `zoo predict - -o out.tsv` that has begun to write, has read `text`, and waits for more input."""
    command = [sys.executable, "-m", "zoo", "predict", "--weights", "w.safetensors", *RUNTIME, "-", "-o", "out.tsv"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=folder, env=environment(), preexec_fn=heed_signals
    ) as process:
        assert process.stdin is not None
        process.stdin.write(text)
        process.stdin.flush()
        while not list(folder.glob(".out.tsv.*")) and process.poll() is None:
            time.sleep(0.01)
        yield process


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "runtimes", ROOT / "exporters")))}


WITHOUT_BYTECODE = {"PYTHONDONTWRITEBYTECODE": "1"}
"""For a process whose files are limited in size: Python would keep compiled modules that are cut off."""


def heed_signals() -> None:
    """Handle signals even if the parent process ignores them, as with `make test &` or nohup."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def one_line(zoo: Zoo, facts: str | Sequence[str], *arguments: object) -> None:
    """The command fails with exit status 2 and one line that holds every fact: a file, a value, an option, a name."""
    status, out, err = zoo(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("zoo: ")
    assert err.count("\n") == 1
    assert not [fact for fact in ([facts] if isinstance(facts, str) else facts) if fact not in err], err
