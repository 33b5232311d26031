"""The command line in this process; the fixture `zoo` of conftest.py gives it to a test."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from zoo.cli import main

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
