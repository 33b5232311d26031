"""A file is imported as the only model that it fits; where none does, or more than one may, the error says so."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from checkpoints import ODD, random_checkpoint
from ports import plain_h5
from refusals import refuses

from zoo import registry
from zoo.errors import OtherArchitecture
from zoo.models.deepstarr import Config
from zoo.weights.importers import importer
from zoo.weights.importers.keras_graph import KerasGraph
from zoo.weights.importers.layers import ImportedFile, ImportOptions

torch = pytest.importorskip("torch")

SAID = ImportOptions(alphabet="ACGT", flatten="channel", epsilon=1e-5)

LINEAR = '''"""One output of a multiple of {multiple} inputs; of {unsaid} only if the length is given."""

import dataclasses

from zoo.errors import OtherArchitecture, ZooError


@dataclasses.dataclass(frozen=True)
class Config:
    inputs: int
    sequence_length: int = 10
    targets: tuple = ("a",)

    def __post_init__(self):
        object.__setattr__(self, "targets", tuple(self.targets))

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


def read_layers(file, options):
    layer = file.layers[0]
    inputs = layer.kernel.shape[1]
    if inputs % {multiple}:
        raise OtherArchitecture(f"{{file.path}}: {{inputs}} is no multiple of {multiple}")
    if inputs in {unsaid} and options.length is None:
        raise ZooError(f"{{file.path}}: give --length")
    return Config(inputs, options.length or 10), {{"out.weight": layer.kernel, "out.bias": layer.bias}}
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
    weights = importer.read(linear(tmp_path, inputs), SAID)
    assert weights.spec.architecture == architecture
    assert weights.spec.config["inputs"] == inputs
    assert weights.arrays["out.weight"].tolist() == [list(range(inputs))]
    assert weights.arrays["out.bias"].tolist() == [3]
    assert weights.spec.source.startswith(f"imported from {inputs}.pt (md5 ")
    assert weights.spec.licence == "unknown"


@pytest.mark.usefixtures("_two_models")
def test_where_two_fit_the_error_names_both_and_the_option_that_chooses(tmp_path: Path) -> None:
    path = linear(tmp_path, 10)
    with refuses(path, "evens", "fives", "--architecture"):
        importer.read(path, SAID)
    assert importer.read(path, SAID, architecture="evens").spec.architecture == "evens"
    assert importer.read(path, SAID, architecture="fives").spec.architecture == "fives"


@pytest.mark.usefixtures("_two_models")
def test_where_none_fits_the_error_says_for_each_why_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = linear(Path(), 7)
    reasons = ("evens: 7 is no multiple of 2", "fives: 7 is no multiple of 5", "deepstarr: layer linear: ")
    with refuses(path, *reasons, kind=OtherArchitecture) as caught:
        importer.read(path)
    assert str(caught.value).count(str(path)) == 1


@pytest.mark.usefixtures("_two_models")
def test_a_model_that_misses_a_choice_still_counts_as_one_that_fits(tmp_path: Path) -> None:
    with refuses("6.pt", "--length"):
        importer.read(linear(tmp_path, 6), SAID)
    options = dataclasses.replace(SAID, length=3)
    assert importer.read(linear(tmp_path, 6), options).spec.sequence_length == 3
    with refuses("60.pt", "evens", "fives", "--architecture"):
        importer.read(linear(tmp_path, 60), SAID)


@pytest.mark.usefixtures("_two_models")
def test_an_architecture_that_is_asked_for_is_the_only_one_that_answers(tmp_path: Path) -> None:
    path = linear(tmp_path, 5)
    with refuses(path, "5 is no multiple of 2", kind=OtherArchitecture):
        importer.read(path, architecture="evens")
    with refuses("'odds'", "evens", "fives"):
        importer.read(path, architecture="odds")
    with refuses("gapped_kmer", "readout.weight", "absent"):
        importer.read(path, architecture="gapped_kmer")


@pytest.mark.usefixtures("_two_models")
@pytest.mark.parametrize("missing", [("alphabet",), ("flatten", "epsilon"), ("alphabet", "flatten", "epsilon")])
def test_what_a_pytorch_file_does_not_say_must_be_given(tmp_path: Path, missing: tuple[str, ...]) -> None:
    options = dataclasses.replace(SAID, **dict.fromkeys(missing))
    with refuses("4.pt", *(f"--{name}" for name in missing), "--match") as caught:
        importer.read(linear(tmp_path, 4), options)
    given = {"alphabet", "flatten", "epsilon"} - set(missing)
    assert not [name for name in given if f"--{name}" in str(caught.value)]


def test_a_keras_file_needs_its_alphabet_unless_it_is_the_published_one_or_ours(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    weights = random_checkpoint(Config(filters=(8, 8), kernel_sizes=(5, 3), dense_units=(9,)))
    plain = plain_h5(weights, tmp_path / "plain.h5")
    with refuses(plain, "--alphabet", "--match") as caught:
        importer.read(plain)
    assert "--flatten" not in str(caught.value)
    assert importer.read(plain, ImportOptions(alphabet="ACGT")).spec.weights_id == weights.spec.weights_id
    published = data / "DeepSTARR.model.h5"
    assert importer.read(published).spec == importer.read(published, ImportOptions(alphabet="ACGT")).spec
    with refuses(published, "--alphabet ACTG"):
        importer.read(published, ImportOptions(alphabet="ACTG"))


@pytest.mark.usefixtures("_two_models")
def test_a_file_that_was_read_is_assembled_again_under_other_options(tmp_path: Path) -> None:
    path = linear(tmp_path, 6)
    file = importer.read_file(path)
    path.unlink()
    lengths = [importer.assemble(file, ImportOptions(length=length)).spec.sequence_length for length in (3, 4)]
    assert lengths == [3, 4]
    given = importer.assemble(file, ImportOptions(length=3, source="us", licence="MIT"))
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
    with refuses(path, "16 to 23 bases", "--length", kind=OtherArchitecture):
        importer.read(path, ImportOptions(flatten="channel"), architecture="deepstarr")
    with refuses(path, "16 to 23 bases", "249", kind=OtherArchitecture):
        importer.read(path, ImportOptions(flatten="channel", length=249), architecture="deepstarr")


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        ({"alphabet": "ACGU"}, ("alphabet", "ACGT", "'ACGU'")),
        ({"flatten": "rows"}, ("flatten", "channel", "length", "'rows'")),
        ({"epsilon": 0.0}, ("epsilon", "above 0", "0.0")),
        ({"epsilon": float("nan")}, ("epsilon", "above 0", "nan")),
        ({"epsilon": float("inf")}, ("epsilon", "inf")),
    ],
)
def test_an_option_that_cannot_be_is_refused_when_it_is_made(options: dict[str, Any], facts: tuple[str, ...]) -> None:
    with refuses(*facts):
        ImportOptions(**options)


def test_options_that_do_not_apply_to_a_kind_of_file_are_refused(tmp_path: Path) -> None:
    path = linear(tmp_path, 5)
    with refuses("--graph", "5.pt"):
        importer.read(path, ImportOptions(graph=tmp_path / "graph.json"))
    keras = ImportedFile(tmp_path / "a.h5", "Keras", tuple, KerasGraph("a.h5", (), (), None, 0.0))
    with refuses("a.h5", "--flatten channel"):
        importer.assemble(keras, ImportOptions(flatten="channel"))
    with refuses("a.h5", "--epsilon 1e-05"):
        importer.assemble(keras, ImportOptions(epsilon=1e-5))
    ours = dataclasses.replace(keras, spec=random_checkpoint(ODD).spec)
    with refuses("a.h5", "--alphabet ACTG"):
        importer.assemble(ours, ImportOptions(alphabet="ACTG"))


def test_what_is_no_weights_file_is_refused_in_one_line(tmp_path: Path) -> None:
    empty = tmp_path / "empty.h5"
    empty.write_bytes(b"")
    with refuses(empty, ".h5", ".pt"):
        importer.read(empty)
    with refuses(tmp_path / "none.h5"):
        importer.read(tmp_path / "none.h5")
    with refuses(tmp_path, "folder"):
        importer.read(tmp_path)
