"""Plug-ins are found by file name or entry point, and imported when they are asked for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from checkpoints import ODD, random_checkpoint
from refusals import refuses

from zoo import contracts, registry
from zoo.checks import doctor, inventory
from zoo.dna.encoding import encode
from zoo.errors import BadPlugin
from zoo.prediction import session
from zoo.prediction.automatic import open_automatic
from zoo.weights import checkpoint, lookup


@pytest.mark.parametrize("kind", registry.PACKAGES)
def test_every_file_is_a_plug_in_that_keeps_its_contract(kind: str) -> None:
    assert registry.names(kind)
    assert registry.problems(kind) == {}
    assert list(registry.working(kind)) == registry.names(kind)
    for name, module in registry.working(kind).items():
        assert registry.complaint(kind, module) is None
        assert registry.load(kind, name) is module


def test_an_unknown_name_is_refused_with_those_that_exist() -> None:
    with refuses("'tensorrt'", *registry.names("runtimes")):
        registry.load("runtimes", "tensorrt")
    with refuses("'ony'", "onnx"):
        registry.load("runtimes", "ony")


def test_model_names_belong_to_one_architecture_each() -> None:
    pairs = [(name, kind) for kind, module in registry.working("models").items() for name in module.VARIANTS]
    assert len({name for name, _ in pairs}) == len(pairs)
    assert lookup.variants() == dict(pairs)


ROOT = Path(__file__).parents[1]

Install = Callable[..., None]

COUNTING = """
import numpy as np

DEVICES = ("cpu",)
PRECISIONS = {"cpu": ("fp32",)}

def missing(device):
    return None

def refuses(spec):
    return None

def start(weights, device, options):
    return Engine(weights.spec)

class Engine:
    provider, batch_size, concurrent_batches = "counting", 2, 1

    def __init__(self, spec):
        self.spec = spec

    def run(self, codes):
        return np.stack([(codes == base).sum(1) for base in range(len(self.spec.targets))], 1).astype(np.float32)
"""
"""A runtime that counts each base."""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install another distribution with one module and an entry point to it."""
    made: list[str] = []

    def install(kind: str, name: str, text: str, module: str | None = None) -> None:
        module = module or f"{name}_of_another_package"
        (tmp_path / f"{module}.py").write_text(text)
        information = tmp_path / f"{module}-1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (information / "entry_points.txt").write_text(f"[deepstarr_zoo.{kind}]\n{name} = {module}\n")
        made.append(module)
        registry.forget()

    monkeypatch.syspath_prepend(str(tmp_path))
    yield install
    for module in made:
        sys.modules.pop(module, None)
    monkeypatch.undo()
    registry.forget()


def test_another_package_adds_a_runtime_through_an_entry_point(install: Install) -> None:
    install("runtimes", "counting", COUNTING)
    assert "counting-cpu" in session.runtime_names()
    running = session.open_session(random_checkpoint(ODD), "counting-cpu")
    codes = encode(["A" * 50 + "CCG", "T" * 53, "A" * 53])
    assert running.predict(codes).tolist() == [[50, 2, 1], [0, 0, 0], [53, 0, 0]]
    assert running.provider == "counting"


BROKEN = {
    "an error in its code": ("1 / 0", "ZeroDivisionError"),
    "a library that is not installed": ("import no_such", "no_such"),
    "an empty file": ("", "DEVICES"),
    "no start": (COUNTING.replace("def start", "def begin"), "start"),
}
"""Mistake -> the text of a runtime with it, and what the message has to name."""


@pytest.mark.parametrize("kind", BROKEN)
def test_a_runtime_that_does_not_work_is_one_line_and_stops_no_other(
    kind: str, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    text, fact = BROKEN[kind]
    install("runtimes", "broken", text)
    (problem,) = registry.problems("runtimes").values()
    assert fact in problem
    with refuses("runtime", "'broken'", fact, kind=BadPlugin):
        session.open_session(random_checkpoint(ODD), "broken-cpu")
    assert "onnx-cpu" in session.runtime_names()
    assert open_automatic(lambda _: random_checkpoint(ODD)).predict(encode(["A" * 53])).shape == (1, 3)
    (entry,) = [entry for entry in inventory.everything()["runtimes"] if entry.name == "broken"]
    assert entry.obstacle == problem
    assert "broken" in doctor.report()["plug-ins left out"]["runtime broken"]
    assert capsys.readouterr().out == ""


def test_a_model_and_an_exporter_that_do_not_work_are_left_out_too(install: Install) -> None:
    install("models", "alexnet", "Config = dict\nVARIANTS = {}\nHEAD = 'fc8'\n")
    install("exporters", "paper", "SUFFIX = '.txt'\ndef refuses(spec): return None\n")
    for kind, name, missing in (("models", "alexnet", "network"), ("exporters", "paper", "export")):
        assert registry.problems(kind).keys() == {name}
        with refuses(f"'{name}'", missing, kind=BadPlugin):
            registry.load(kind, name)
    assert "original" in lookup.variants()
    shown = inventory.everything()
    assert {entry.name: entry.obstacle is None for entry in shown["formats"]}["paper"] is False
    assert "alexnet" in {entry.name for entry in shown["models"]}


SCALED = """
from zoo.models.deepstarr import HEAD, Config, array_shapes, layer_norms
from zoo.models import deepstarr

VARIANTS = {"scaled": Config()}
FACTOR = 1.0

def network(config):
    class Scaled(type(deepstarr.network(config))):
        def forward(self, hot):
            return FACTOR * super().forward(hot)

    return Scaled(config)

def plain_layers(config, arrays):
    return deepstarr.plain_layers(config, {n: a * (FACTOR if n.startswith(HEAD) else 1) for n, a in arrays.items()})
"""
"""A model that scales the output of DeepSTARR."""


def test_a_kept_export_is_not_that_of_a_plug_in_whose_code_changed(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    install("models", "scaled", SCALED)
    arrays = random_checkpoint(ODD).arrays
    codes = encode(["ACGTT" * 10 + "CCG"])
    module = tmp_path / "scaled_of_another_package.py"
    long_ago = module.stat().st_mtime_ns

    def predicted(runtime: str) -> list[list[float]]:
        weights = checkpoint.make("scaled", ODD, arrays, "random numbers", "none")
        return [
            [round(float(value), 4) for value in row] for row in session.open_session(weights, runtime).predict(codes)
        ]

    def kept() -> int:
        return len(list((tmp_path / "home" / "exports").glob("*.onnx")))

    def changed(text: str) -> None:
        module.write_text(text)
        os.utime(module, ns=(long_ago, long_ago))  # of the same size and age, as from an archive
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)

    before = predicted("torch-cpu")
    assert predicted("onnx-cpu") == predicted("onnx-cpu") == before
    assert kept() == 1
    changed(SCALED.replace("FACTOR = 1.0", "FACTOR = 2.0"))
    sys.modules.pop(module.stem)
    registry.forget()
    after = predicted("torch-cpu")
    assert after != before
    assert predicted("onnx-cpu") == after
    assert kept() == 2
    # the file changes while the program runs: what is loaded is the old code, and its export is for nobody else
    module.write_text(SCALED.replace("FACTOR = 1.0", "FACTOR = 3.0"))
    assert predicted("onnx-cpu") == after
    sys.modules.pop(module.stem)
    registry.forget()
    assert predicted("onnx-cpu") == predicted("torch-cpu") != after


def test_an_entry_point_that_a_bundled_file_hides_is_reported(install: Install) -> None:
    install("runtimes", "onnx", COUNTING, module="other_onnx")
    assert registry.load("runtimes", "onnx").__name__ == "zoo_runtimes.onnx"
    assert registry.problems("runtimes").keys() == {"onnx"}
    assert "other_onnx" in registry.problems("runtimes")["onnx"]
    assert "onnx-cpu" in session.runtime_names()


def test_a_file_whose_name_begins_with_an_underscore_is_no_plug_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "_shared.py").write_text("1 / 0\n")
    (tmp_path / "counting.py").write_text(COUNTING)
    monkeypatch.setattr(sys.modules["zoo_runtimes"], "__path__", [str(tmp_path)])
    monkeypatch.setattr(sys.modules["zoo_runtimes"].__spec__, "submodule_search_locations", [str(tmp_path)])
    registry.forget()
    try:
        assert registry.names("runtimes") == ["counting"]
    finally:
        monkeypatch.undo()
        registry.forget()


@pytest.mark.parametrize(
    ("kind", "protocol"),
    [("models", contracts.Model), ("runtimes", contracts.Runtime), ("exporters", contracts.Exporter)],
)
def test_the_registry_asks_for_what_the_protocol_has(kind: str, protocol: type) -> None:
    functions = [name for name in vars(protocol) if not name.startswith("_") and callable(vars(protocol)[name])]
    assert sorted(registry.REQUIRED[kind]) == sorted([*protocol.__annotations__, *functions])


def test_the_distributions_of_the_environment_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    registry.forget()
    for kind in registry.PACKAGES:
        registry.problems(kind)
    monkeypatch.setattr(registry.metadata, "entry_points", lambda: pytest.fail("read again"))
    for kind in registry.PACKAGES:
        assert registry.problems(kind) == {}


def test_asking_for_names_imports_no_plug_in() -> None:
    program = (
        "import sys; from zoo import registry; [registry.names(kind) for kind in registry.PACKAGES]; "
        "print([name for name in sys.modules if name.startswith(('zoo_runtimes.', 'zoo_exporters.', 'zoo.models.'))])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_folders_of_the_user_called_runtimes_and_exporters_hide_no_plug_in(tmp_path: Path) -> None:
    for kind in ("runtimes", "exporters"):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "__init__.py").write_text("")
        (tmp_path / kind / "mine.py").write_text("1 / 0\n")
    program = (
        "import json, runtimes, exporters, zoo; from zoo import registry; "
        "print(json.dumps({kind: registry.names(kind) for kind in registry.PACKAGES}))"
    )
    paths = os.pathsep.join(str(ROOT / folder) for folder in (".", "runtimes", "exporters"))
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    assert json.loads(result.stdout) == {kind: registry.names(kind) for kind in registry.PACKAGES}
