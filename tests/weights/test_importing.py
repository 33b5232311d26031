"""A file is imported as the only model that it fits; where none does, or more than one may, the error says so."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint

from zoo import registry
from zoo.errors import OtherArchitecture, ZooError
from zoo.weights.importers import importing
from zoo.weights.importers.importing import ImportedFile, ImportOptions
from zoo.weights.importers.keras_graph import KerasGraph
from zoo.weights.importers.keras_h5 import KerasFile

torch = pytest.importorskip("torch")

LINEAR = '''"""One output of a multiple of {multiple} inputs; of {unsaid} only if the length is given."""

import dataclasses

from zoo.errors import OtherArchitecture, ZooError


@dataclasses.dataclass(frozen=True)
class Config:
    inputs: int
    sequence_length: int = 10
    targets: tuple = ("a",)

    def to_dict(self):
        return {{"inputs": self.inputs, "sequence_length": self.sequence_length, "targets": list(self.targets)}}


VARIANTS = {{}}
HEAD = "out"


def array_shapes(config):
    return {{"out.weight": (1, config.inputs), "out.bias": (1,)}}


def layer_norms(config):
    return {{}}


def network(config):
    raise NotImplementedError


def read_state_dict(layers, options, where):
    inputs = layers[0].kernel.shape[1]
    if inputs % {multiple}:
        raise OtherArchitecture(f"{{where}}: {{inputs}} is no multiple of {multiple}")
    if inputs in {unsaid} and options.length is None:
        raise ZooError(f"{{where}}: give --length")
    return Config(inputs, options.length or 10), {{"out.weight": layers[0].kernel, "out.bias": layers[0].bias}}
'''


@pytest.fixture
def _two_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Another distribution, installed, with the models evens and fives."""
    (tmp_path / "evens.py").write_text(LINEAR.format(multiple=2, unsaid=(6, 60)))
    (tmp_path / "fives.py").write_text(LINEAR.format(multiple=5, unsaid=()))
    information = tmp_path / "linear-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: linear\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[deepstarr_zoo.models]\nevens = evens\nfives = fives\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.forget()
    yield
    registry.forget()
    for name in ("evens", "fives"):
        sys.modules.pop(name, None)


def linear(folder: Path, inputs: int) -> Path:
    path = folder / f"{inputs}.pt"
    values = torch.arange(inputs, dtype=torch.float32)
    torch.save({"linear.weight": values[None], "linear.bias": torch.tensor([3.0])}, path)
    return path


@pytest.mark.usefixtures("_two_models")
@pytest.mark.parametrize(("inputs", "architecture"), [(4, "evens"), (5, "fives")])
def test_the_only_model_that_fits_is_taken(tmp_path: Path, inputs: int, architecture: str) -> None:
    weights = importing.read(linear(tmp_path, inputs))
    assert weights.spec.architecture == architecture
    assert weights.spec.config["inputs"] == inputs
    assert weights.arrays["out.weight"].tolist() == [list(range(inputs))]
    assert weights.arrays["out.bias"].tolist() == [3]
    assert weights.spec.source.startswith(f"imported from {inputs}.pt (md5 ")
    assert weights.spec.licence == "unknown"


@pytest.mark.usefixtures("_two_models")
def test_where_two_fit_the_error_names_both_and_the_option_that_chooses(tmp_path: Path) -> None:
    path = linear(tmp_path, 10)
    with pytest.raises(ZooError) as error:
        importing.read(path)
    assert str(error.value) == f"{path}: may be evens or fives; say which with --architecture"
    assert importing.read(path, architecture="evens").spec.architecture == "evens"
    assert importing.read(path, architecture="fives").spec.architecture == "fives"


@pytest.mark.usefixtures("_two_models")
def test_where_none_fits_the_error_says_for_each_why_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = linear(Path(), 7)
    with pytest.raises(ZooError) as error:
        importing.read(path)
    message = str(error.value)
    assert message.startswith(f"{path}: fits no architecture; ")
    assert message.endswith("; evens: 7 is no multiple of 2; fives: 7 is no multiple of 5")
    assert "; deepstarr: layer linear: expected convolutions" in message
    assert message.count(str(path)) == 1
    assert "\n" not in message


@pytest.mark.usefixtures("_two_models")
def test_a_model_that_misses_a_choice_still_counts_as_one_that_fits(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match=r"6.pt: give --length$"):
        importing.read(linear(tmp_path, 6))
    assert importing.read(linear(tmp_path, 6), ImportOptions(length=3)).spec.sequence_length == 3
    with pytest.raises(ZooError, match=r"60.pt: may be evens or fives; say which with --architecture$"):
        importing.read(linear(tmp_path, 60))


@pytest.mark.usefixtures("_two_models")
def test_an_architecture_that_is_asked_for_is_the_only_one_that_answers(tmp_path: Path) -> None:
    path = linear(tmp_path, 5)
    with pytest.raises(OtherArchitecture) as error:
        importing.read(path, architecture="evens")
    assert str(error.value) == f"{path}: 5 is no multiple of 2"
    with pytest.raises(ZooError, match=r"no model is called 'odds'; there are .*evens, fives"):
        importing.read(path, architecture="odds")


@pytest.mark.usefixtures("_two_models")
def test_an_architecture_that_reads_no_such_files_is_refused(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "linear.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([b"out"])
        file.create_group("out").attrs["weight_names"] = np.array([])
    with pytest.raises(ZooError, match=r"^--architecture: evens does not read Keras files; .*deepstarr can$"):
        importing.read(path, architecture="evens")


@pytest.mark.usefixtures("_two_models")
def test_a_file_that_was_read_is_assembled_again_under_other_options(tmp_path: Path) -> None:
    path = linear(tmp_path, 6)
    file = importing.read_file(path)
    path.unlink()
    lengths = [importing.assemble(file, ImportOptions(length=length)).spec.sequence_length for length in (3, 4)]
    assert lengths == [3, 4]
    given = importing.assemble(file, ImportOptions(length=3, source="us", licence="MIT"))
    assert (given.spec.source, given.spec.licence) == ("us", "MIT")


def basset_layers(trailing: tuple[int, ...]) -> dict[str, Any]:
    """Arrays as a Basset for 249 bases has them: no padding, pools of 3, 4 and 4 leave two positions."""
    arrays: dict[str, Any] = {}
    shapes = {
        "conv1": (6, 4, 19, *trailing),
        "conv2": (5, 6, 11, *trailing),
        "conv3": (4, 5, 7, *trailing),
        "dense1": (9, 4 * 2),
        "dense2": (9, 9),
        "final": (2, 9),
    }
    for name, shape in shapes.items():
        arrays |= {f"{name}.weight": torch.randn(shape), f"{name}.bias": torch.randn(shape[0])}
        if name != "final":
            ends = ("weight", "bias", "running_mean", "running_var")
            arrays |= {f"{name}_norm.{end}": torch.rand(shape[0]) for end in ends}
    return arrays


@pytest.mark.parametrize("trailing", [(), (1,)])
def test_a_basset_is_not_taken_for_a_deepstarr(tmp_path: Path, trailing: tuple[int, ...]) -> None:
    path = tmp_path / "basset.pt"
    torch.save(basset_layers(trailing), path)
    with pytest.raises(OtherArchitecture, match=r"does not say for which sequence length .* 16 to 23 bases fit"):
        importing.read(path, ImportOptions(flatten="channel"), architecture="deepstarr")
    with pytest.raises(OtherArchitecture, match="expected a sequence length of 16 to 23 bases, got 249"):
        importing.read(path, ImportOptions(flatten="channel", length=249), architecture="deepstarr")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alphabet": "ACGU"}, "alphabet: expected the letters ACGT in some order, got 'ACGU'"),
        ({"flatten": "rows"}, "flatten: expected channel or length, got 'rows'"),
        ({"epsilon": 0.0}, "epsilon: expected a number above 0, got 0.0"),
        ({"epsilon": float("nan")}, "epsilon: expected a number above 0, got nan"),
    ],
)
def test_an_option_that_cannot_be_is_refused_when_it_is_made(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ZooError) as error:
        ImportOptions(**options)
    assert str(error.value) == message


def test_options_that_do_not_apply_to_a_kind_of_file_are_refused(tmp_path: Path) -> None:
    path = linear(tmp_path, 5)
    with pytest.raises(ZooError, match=r"^--graph does not apply to 5.pt, a PyTorch file$"):
        importing.read(path, ImportOptions(graph=tmp_path / "graph.json"))
    graph = KerasGraph("a.h5", (), (), None, 0.0)
    keras = ImportedFile(tmp_path / "a.h5", KerasFile("a.h5", (), graph, None), "us", "MIT")
    with pytest.raises(ZooError, match=r"^--flatten does not apply to a.h5, a Keras file$"):
        importing.assemble(keras, ImportOptions(flatten="channel"))
    with pytest.raises(ZooError, match=r"^--epsilon does not apply to a.h5, a Keras file that says its own$"):
        importing.assemble(keras, ImportOptions(epsilon=1e-5))
    ours = ImportedFile(tmp_path / "a.h5", KerasFile("a.h5", (), graph, random_checkpoint(ODD).spec), "us", "MIT")
    with pytest.raises(ZooError, match=r"^--alphabet does not apply to a.h5, a Keras file that says its own$"):
        importing.assemble(ours, ImportOptions(alphabet="ACTG"))


def test_what_is_no_weights_file_is_refused_in_one_line(tmp_path: Path) -> None:
    empty = tmp_path / "empty.h5"
    empty.write_bytes(b"")
    with pytest.raises(ZooError, match=r"empty.h5: expected a Keras .h5 or a PyTorch .pt"):
        importing.read(empty)
    with pytest.raises(ZooError, match=r"none.h5: no such file"):
        importing.read(tmp_path / "none.h5")
    with pytest.raises(ZooError, match="expected a weights file, this is a folder"):
        importing.read(tmp_path)
