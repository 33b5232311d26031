"""Tables at terminals of 60, 80 and 120 columns: no number is wrapped or cut, and no line is wider."""

from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from zoo.checks import agreement, bench, stored
from zoo.checks.agreement import LayerReport, TableReport
from zoo.checks.parity import Result as Parity
from zoo.checks.parity import RuntimeReport
from zoo.cli import tables
from zoo.cli.commands import checks, evaluate, inventory, search
from zoo.data.dataset import Split
from zoo.evaluation.compare import compare
from zoo.evaluation.evaluate import EvaluationOptions
from zoo.evaluation.evaluate import evaluate as evaluated
from zoo.search import results
from zoo.spec import ModelSpec

WIDTHS = (60, 80, 120)
GENERATOR = np.random.default_rng(0)
STATE = GENERATOR.bit_generator.state
RUNTIMES = ("keras-cpu", "kmer-cpu", "onnx-cpu", "torch-cpu")
SKIPPED = {"torch-cuda": "there is no NVIDIA driver on this machine (libcuda.so.1 cannot be loaded)"}


def report(places: int = 5) -> TableReport:
    expected = GENERATOR.normal(0, 3, (places, 2))
    names = [f"chr2L_{1234567 * place}_{1234567 * place + 249}" for place in range(places)]
    return agreement.compare(expected, (expected + 1e-6).astype(np.float32), names, ("dev", "hk"))


def show_parity() -> None:
    comparisons = [RuntimeReport(name, "cpu", report()) for name in RUNTIMES]
    checks._print_result(Parity("keras-cpu", "40ea180243def79a", 12_345_678, comparisons, SKIPPED))


def show_layers() -> None:
    checks._print_layers("keras-cpu", [LayerReport(f"conv{n}", 1.234e-6, (1,), 1.0, 1.0, True) for n in range(3)])


def show_bench() -> None:
    measurements = [
        bench.Measurement(
            name,
            "cpu",
            "0" * 64,
            ("dev",),
            12.3,
            dict.fromkeys(bench.CALLS, 1 / 98765),
            1_234_567_890,
            np.empty(0),
        )
        for name in RUNTIMES
    ]
    reports = {name: report() for name in RUNTIMES[1:]}
    checks._print_speeds(bench.Result(RUNTIMES[0], measurements, reports, SKIPPED))


def show_tests() -> None:
    difference = "1 of 128 values differ by more than 2e-05 of the largest of their target, the worst by 0.012 of it"
    tests = [stored.RuntimeTest(name, "CPU", "weights.safetensors", difference) for name in RUNTIMES]
    made_by = "deepstarr-zoo 0.1.0 on keras-cpu (tensorflow 2.21.0, tf_keras 2.21.0)"
    checks._print_tests(stored.Result("hf:lab/odd@v1.0", "0" * 64, 64, made_by, tests, SKIPPED))


class Noisy:
    """Stands in for a loaded model."""

    runtime, provider, rc = "toy-cpu", "NumPy", None

    def __init__(self, noise: float) -> None:
        self.noise = noise
        self.spec = ModelSpec("deepstarr", {}, 20, ("dev", "hk"), f"{noise}")

    def predict_codes(self, codes: np.ndarray) -> np.ndarray:
        shares = np.stack([(codes == base).mean(1) for base in (0, 1)], 1)
        return (shares + self.noise * GENERATOR.normal(size=shares.shape)).astype(np.float32)

    @property
    def each(self) -> SimpleNamespace:
        """Its only member."""
        return SimpleNamespace(predict=self.predict_codes)


def show_evaluate() -> None:
    codes = GENERATOR.integers(0, 4, (80, 20), np.uint8)
    split = Split(codes, Noisy(0.1).predict_codes(codes), [f"s{number}" for number in range(80)])
    models = {"original:published": Noisy(0.1), "runs/mine-with-a-long-name": Noisy(0.2)}
    chosen = {"dev": "Dev_log2_enrichment", "hk": "Hk_log2_enrichment"}
    evaluate._show(evaluated(models, split, chosen, EvaluationOptions(resamples=20)), Path("report"))


def show_compare(folder: Path) -> None:
    for name in ("a", "b"):
        values = GENERATOR.normal(0, 3, (20, 2)).round(7)
        rows = [f"chr2L:{place + 9_999_000}-{place + 9_999_249}\t{x}\t{y}" for place, (x, y) in enumerate(values)]
        (folder / f"{name}.tsv").write_text("\n".join(["name\tdev\thk", *rows, ""]))
    evaluate._show_comparison(compare(folder / "a.tsv", folder / "b.tsv"), 5)


def show_search(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ["layers", "filters1", "filters2", "kernel_sizes1", "dense_units1", "dropout", "learning_rate"]
    names = ["trial", "state", "pearson:dev", "parameters", *settings, "best_epoch", "seconds", "reason"]
    rows = [
        {"trial": trial, "state": "complete", "pearson:dev": 0.8123456, "parameters": 12_345_678, "best_epoch": 3}
        | dict.fromkeys(settings, 0.012345678)
        for trial in range(12)
    ]
    monkeypatch.setattr(results, "rows", lambda _: rows)
    monkeypatch.setattr(results, "columns", lambda _: names)
    finished = [types.SimpleNamespace(number=row["trial"]) for row in rows]
    study = types.SimpleNamespace(finished=lambda: finished, folder="study")
    words = types.SimpleNamespace(
        words="test: trial 3 has dev 0.8123 (0.8001 to 0.8234), above 0.79 of the default, 0.01 to 0.04"
    )
    search._show(types.SimpleNamespace(study=study, comparisons=[words]))


TABLES: dict[str, Callable[..., None]] = {
    "parity": show_parity,
    "parity --layers": show_layers,
    "bench": show_bench,
    "evaluate": show_evaluate,
    "compare": show_compare,
    "search": show_search,
    "list": inventory.list_,
    "test": show_tests,
    "doctor": inventory.doctor,
    "info": lambda: inventory.info("original:bundled"),
}


@pytest.mark.parametrize("name", TABLES)
def test_no_number_is_wrapped_or_cut(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"folder": tmp_path, "monkeypatch": monkeypatch}
    show = TABLES[name]
    taken = show.__code__.co_varnames[: show.__code__.co_argcount]
    arguments = {one: given[one] for one in taken}
    printed = {}
    for width in (10_000, *WIDTHS):
        monkeypatch.setattr(tables, "_width", lambda width=width: width)
        GENERATOR.bit_generator.state = STATE
        show(**arguments)
        printed[width] = capsys.readouterr().out
    words = {width: {word.strip(":") for word in text.split() if has_digit(word)} for width, text in printed.items()}
    assert len(words[10_000]) > 3
    for width in WIDTHS:
        assert words[width] == words[10_000]
        for line in printed[width].splitlines():
            assert len(line) <= width or len(line.split()) == 1, line
            assert line == line.rstrip()


def has_digit(word: str) -> bool:
    return any(letter.isdigit() for letter in word)


def test_a_terminal_that_is_wide_enough_shows_a_row_on_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_table(["runtime", "rate"], [["kmer-cpu", "1,234"], ["onnx", "5"]], "two")
    assert capsys.readouterr().out == "two\nruntime    rate\nkmer-cpu  1,234\nonnx          5\n\n"


def test_a_narrow_one_shows_a_block_of_lines_for_each_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "20")
    tables.print_table(["runtime", "rate", "start"], [["kmer-cpu", "1,234", "1.1 s"], ["onnx", "", "2 s"]])
    blocks = "runtime:  kmer-cpu\nrate:     1,234\nstart:    1.1 s\n\nruntime:  onnx\nrate:     -\nstart:    2 s\n\n"
    assert capsys.readouterr().out == blocks
    tables.print_pairs([("file", "/a/folder/whose/name/is/long.txt"), ("n", "1,234,567 of 7,654,321")])
    pairs = "file\n    /a/folder/whose/name/is/long.txt\nn     1,234,567 of\n      7,654,321\n"
    assert capsys.readouterr().out == pairs
