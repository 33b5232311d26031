"""Plug-ins are found by file name or entry point, and imported when they are asked for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from zoo import contracts, registry
from zoo.errors import ZooError
from zoo.inference import session
from zoo.weights import named


@pytest.mark.parametrize("kind", registry.PACKAGES)
def test_every_file_is_a_plug_in_that_keeps_its_contract(kind: str) -> None:
    assert registry.names(kind)
    assert registry.problems(kind) == {}
    assert list(registry.working(kind)) == registry.names(kind)
    for name, module in registry.working(kind).items():
        assert contracts.complaint(kind, module) is None
        assert registry.load(kind, name) is module


def test_an_unknown_name_is_refused_with_those_that_exist() -> None:
    with pytest.raises(ZooError, match=r"no runtime is called 'tensorrt'; there are .*onnx.*torch"):
        registry.load("runtimes", "tensorrt")


def test_model_names_belong_to_one_architecture_each() -> None:
    names = [name for kind in registry.names("models") for name in registry.load("models", kind).VARIANTS]
    assert len(names) == len(set(names))
    assert named.variants() == {"original": "deepstarr", "tuned": "deepstarr"}


@pytest.fixture
def other_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Another distribution, installed, whose runtime answers with the count of each base."""
    (tmp_path / "counting.py").write_text(
        "import numpy as np\n"
        "DEVICES = ('cpu',)\n"
        "PRECISIONS = {'cpu': ('fp32',)}\n"
        "def missing(device): return None\n"
        "def refuses(spec): return None\n"
        "def start(weights, device, options): return Engine(weights.spec)\n"
        "class Engine:\n"
        "    provider, batch_size, concurrent_batches = 'counting', 2, 1\n"
        "    def __init__(self, spec): self.spec = spec\n"
        "    def run(self, codes):\n"
        "        counts = [(codes == base).sum(1) for base in range(len(self.spec.targets))]\n"
        "        return np.stack(counts, 1).astype(np.float32)\n"
    )
    information = tmp_path / "counting-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: counting\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[deepstarr_zoo.runtimes]\ncounting = counting\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.forget()
    yield
    registry.forget()
    sys.modules.pop("counting", None)


@pytest.mark.usefixtures("other_package")
def test_another_package_adds_a_runtime_through_an_entry_point() -> None:
    from checkpoints import ODD, random_checkpoint

    from zoo.dna.encoding import encode

    assert "counting-cpu" in session.runtime_names()
    running = session.open_session(random_checkpoint(ODD), "counting-cpu")
    codes = encode(["A" * 50 + "CCG", "T" * 53, "A" * 53])
    assert running.predict(codes).tolist() == [[50, 2, 1], [0, 0, 0], [53, 0, 0]]
    assert running.provider == "counting"


def test_asking_for_names_imports_no_plug_in() -> None:
    program = (
        "import sys; from zoo import registry; [registry.names(kind) for kind in registry.PACKAGES]; "
        "print([name for name in sys.modules if name.startswith(('runtimes.', 'exporters.', 'zoo.models.'))])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
