"""What the machine offers, and how threads wait on it."""

from __future__ import annotations

import os

import pytest

from zoo.system import machine


def test_waiting_threads_sleep_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    # set first, so that it is put back after the test
    monkeypatch.setenv("GOMP_SPINCOUNT", "")
    monkeypatch.delenv("GOMP_SPINCOUNT")
    machine.sleep_soon()
    assert os.environ["GOMP_SPINCOUNT"] == str(machine.SPINS)


@pytest.mark.parametrize(("name", "value"), [("GOMP_SPINCOUNT", "7"), ("OMP_WAIT_POLICY", "active")])
def test_what_the_user_set_stands(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    for other in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, value)
    before = dict(os.environ)
    machine.sleep_soon()
    assert dict(os.environ) == before
