"""ZOO_INSTRUCTION_SET chooses the version of compiled code; a value that cannot be obeyed stops the computation."""

from __future__ import annotations

import json

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint, random_codes
from command_line import Zoo, one_line
from refusals import refuses
from zoo_runtimes.kmer import kernel

from zoo.errors import BadSetting
from zoo.models import deepstarr
from zoo.prediction.automatic import open_automatic
from zoo.prediction.session import open_session

WEIGHTS = random_checkpoint(ODD)
NEEDS_KERNEL = pytest.mark.skipif(not kernel.BUILT, reason="the compiled kernel was not built at installation")


@pytest.mark.parametrize("name", kernel.compiled_sets())
def test_the_set_that_is_named_computes(name: str, monkeypatch: pytest.MonkeyPatch, zoo: Zoo) -> None:
    codes = random_codes(20, ODD.sequence_length)
    fastest = open_session(WEIGHTS, "kmer-cpu")
    monkeypatch.setenv("ZOO_INSTRUCTION_SET", name)
    forced = open_session(WEIGHTS, "kmer-cpu")
    assert forced._engine.provider == f"cpu, {name}"
    np.testing.assert_allclose(forced.predict(codes), fastest.predict(codes), rtol=0, atol=1e-5)
    finding = json.loads(zoo("doctor", "--json")[1])["kmer"]["k-mer tables"]
    assert finding.startswith(f"{name};")
    assert "ZOO_INSTRUCTION_SET" in finding


@NEEDS_KERNEL
def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_INSTRUCTION_SET", "")
    assert kernel.instruction_sets() == kernel.compiled_sets()


def test_an_unknown_set_is_refused_by_all_that_is_compiled(monkeypatch: pytest.MonkeyPatch, zoo: Zoo) -> None:
    trunk = pytest.importorskip("zoo.models.deepstarr.trunk")
    monkeypatch.setenv("ZOO_INSTRUCTION_SET", "sse2")
    facts = ["ZOO_INSTRUCTION_SET", "avx512", "avx2", "baseline", "sse2"]
    for ask in (kernel.instruction_sets, trunk.available):
        with refuses(*facts, kind=BadSetting):
            ask()
    one_line(zoo, facts, "predict", "docs/example.fa")
    status, out, _ = zoo("doctor", "--json")
    assert status == 0
    for section in ("kmer", *(["deepstarr"] if trunk.BUILT else [])):
        assert "sse2" in json.loads(out)[section]["problem"]


def test_a_set_that_this_processor_lacks_is_refused_also_where_another_runtime_could_compute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kernel, "compiled_sets", lambda: ["avx2", "baseline"])
    monkeypatch.setenv("ZOO_INSTRUCTION_SET", "avx512")
    for start in (lambda: open_session(WEIGHTS, "kmer-cpu"), lambda: open_automatic(lambda _: WEIGHTS)):
        with refuses("ZOO_INSTRUCTION_SET", "avx2, baseline", "avx512", kind=BadSetting):
            start()


def test_without_a_kernel_no_set_can_be_demanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "compiled_sets", list)
    monkeypatch.setenv("ZOO_INSTRUCTION_SET", "baseline")
    with refuses("ZOO_INSTRUCTION_SET", "not built", "baseline", kind=BadSetting):
        open_session(WEIGHTS, "kmer-cpu")


def test_the_training_step_is_left_out_below_avx512(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("zoo.models.deepstarr._trunk")
    monkeypatch.setenv("ZOO_INSTRUCTION_SET", "baseline")
    assert "ZOO_INSTRUCTION_SET=baseline" in deepstarr.findings()["training step"]
