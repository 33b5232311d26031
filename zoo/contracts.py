"""What a plug-in offers: one Protocol each for a model, a runtime and an exporter, read by type checkers and tests.

A plug-in is a module, a file or a folder, found by its name (registry.py). Everything in `Model`, `Runtime`, `Engine`
and `Exporter` is obligatory; everything in their `Extras` and in `ShorterWays` is optional. `zoo list` shows the first
line of a plug-in's docstring. Plug-ins import heavy libraries inside functions.
Axes: N sequences, L positions, T targets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import onnx
    import torch
    from torch import nn

    from zoo.card import Card
    from zoo.frame import Profile
    from zoo.layers.onnx_graph import Tensors
    from zoo.layers.plain import PlainLayers, PlainShape
    from zoo.options import RunOptions
    from zoo.spec import ModelSpec
    from zoo.weights.checkpoint import Checkpoint
    from zoo.weights.published import Published


class Engine(Protocol):
    """A model on a device, started by a runtime.

    provider: what computes, as the engine reports it.  batch_size: the most sequences that `run` takes.
    concurrent_batches: number of calls of `run`, each in its own thread, that keep the device busy: 1 where one batch
    keeps
        all cores busy, more for a GPU, which would otherwise wait for copies.
    """

    spec: ModelSpec
    provider: str
    batch_size: int
    concurrent_batches: int

    def run(self, codes: np.ndarray) -> np.ndarray:
        """Base codes, uint8 (N, L), 1 <= N <= batch_size, C-contiguous -> activities, float32 (N, T).

        For a file with the members of an ensemble (ModelSpec.members), here and in ShorterWays the last axis has the
        activities of each member in turn, M * T.
        No later call changes the returned array.
        """


class ShorterWays(Protocol):
    """Faster methods that an engine may have for sequences that share most of their bases.

    For an engine without `windows`, `mutants` or `edits`, or where they are None, the Session computes the same with
    `run`. The numbers agree up to rounding; a test compares them for every runtime.
    """

    def windows(self, codes: np.ndarray, stride: int) -> np.ndarray:
        """Predict every window of a stretch of DNA, `stride` bases apart: base codes, uint8 (B,), C-contiguous, B >= L
        -> activities, float32 (W, T), W = (B - L) // stride + 1; window i is [i * stride, i * stride + L).

        The Session cuts a long contig into overlapping stretches, which limits the memory needed here.
        """

    def mutants(self, codes: np.ndarray) -> np.ndarray:
        """Predict every substitution: base codes, uint8 (N, L), N >= 1 -> float32 (N, L, 4, T).

        Element [n, p, b, t] is the activity with base b at position p, minus the activity of the unchanged sequence. It
        is 0 if b is already there. An N has four alternatives.
        """

    def edits(self, codes: np.ndarray, edited: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Predict sequences that differ from others in a stretch, such as a motif that is put into a background: base
        codes, uint8 (N, L), edited sequences, uint8 (M, L), M >= 1, and the sequence that each is made from, intp (M,)
        -> float32 (M, T).

        Element [m, t] is the activity of edited[m] minus that of codes[rows[m]]. Any bases may differ; the fewer
        positions between the first and the last of them, the less is computed. Edited sequences of one sequence, and
        those that differ in neighbouring places, are best side by side.
        """

    def contributions(self, codes: np.ndarray, references: np.ndarray, target: int) -> np.ndarray:
        """Hypothetical DeepLIFT scores (rescale rule; Shrikumar et al. 2017, arXiv:1704.02685), averaged over the
        references of a sequence: base codes, uint8 (N, L) and (N, R, L), N and R >= 1 -> float32 (N, L, 4).

        The score of base i is (one-hot of i - reference) . multipliers, summed over the four channels of a position. In
        a max-pooling window one position takes the multiplier: the maximum of the sequence if it is the larger one,
        else the maximum of the reference, as in shap's DeepExplainer.
        """

    def gradient(self, codes: np.ndarray, target: int) -> np.ndarray:
        """Base codes, uint8 (N, L), N >= 1 -> d activity / d one-hot, float32 (N, L, 4)."""


class EngineExtras(Protocol):
    """Optional for an engine."""

    def settle(self) -> None:
        """Make results bit-identical regardless of earlier batches, for an engine that adapts to its first batches."""

    def profiles(self, codes: np.ndarray) -> Mapping[str, np.ndarray]:
        """Base codes, uint8 (N, L), N >= 1 -> name of each profile of the network -> float32 (N, S, P), S tracks and P
        positions. Needed to run networks with profiles: see ModelExtras, and ModelSpec.frame of imported ones."""

    def check_way(self, way: str) -> None:
        """Raise ZooError if the engine cannot compute `way`, a method of ShorterWays, for its model; MissingDependency
        if a library is not installed."""


class Runtime(Protocol):
    """A module in runtimes/zoo_runtimes/, named after its engine.

    DEVICES: devices such as ("cpu", "cuda"); users type "engine-device".
    PRECISIONS: device -> precisions that the engine has there.
    """

    DEVICES: tuple[str, ...]
    PRECISIONS: Mapping[str, Sequence[str]]

    def missing(self, device: str) -> str | None:
        """Why the runtime cannot run on this machine, and the command that helps; None if it can."""

    def refuses(self, spec: ModelSpec) -> str | None:
        """Why the runtime cannot run this model on any machine; None if it can."""

    def start(self, weights: Checkpoint, device: str, options: RunOptions) -> Engine:
        """An engine for weights that it does not refuse, with a precision from PRECISIONS."""


class RuntimeExtras(Protocol):
    """Optional for a runtime.

    FILES: suffixes of files that `start_file` runs, such as (".onnx",).
    AUTOMATIC: device -> rank; the runtime "auto" tries the highest rank first, and never a device without a rank.
    TRUST: device -> rank; the usable runtime with the highest rank is the reference for parity.
    LIBRARIES: distributions whose versions can change the numbers; `zoo doctor` shows them.
    SHORTER_WAYS: names of the methods of ShorterWays that its engines have.
    """

    FILES: tuple[str, ...]
    AUTOMATIC: Mapping[str, int]
    TRUST: Mapping[str, int]
    LIBRARIES: tuple[str, ...]
    SHORTER_WAYS: tuple[str, ...]

    def start_file(self, path: Path, device: str, options: RunOptions) -> Engine:
        """Start an engine for a file with a suffix in FILES, which carries its own spec."""

    def findings(self) -> Mapping[str, str]:
        """What `zoo doctor` shows for this machine: item -> finding."""


class Exporter(Protocol):
    """A module in exporters/zoo_exporters/, named after the format. SUFFIX: suffix of the file, "" for a folder."""

    SUFFIX: str

    def refuses(self, spec: ModelSpec) -> str | None:
        """Why this model cannot be exported to the format; None if it can."""

    def export(self, weights: Checkpoint, path: Path, *, overwrite: bool = False) -> None:
        """Write `path`, which ends in SUFFIX, completely or not at all; check it before it gets its name.

        Further keyword-only parameters, annotated `Annotated[type, "help"]`, become options of `zoo export`.
        """


class ExporterExtras(Protocol):
    """Optional for an exporter.

    GRAPH: pattern of the file that a runtime runs, in a folder that `export` writes, such as "*/1/model.onnx".
    CONVERTS: suffixes of the files that `convert` reads, such as (".onnx",).
    """

    GRAPH: str
    CONVERTS: tuple[str, ...]

    def join(self, members: Sequence[Checkpoint | Path], spec: ModelSpec, path: Path, **settings: Any) -> None:
        """Write the members of an ensemble into one file, with the options of `export`: checkpoints, or files with
        suffixes in CONVERTS. spec: of the ensemble, for the file."""

    def read_spec(self, path: Path) -> ModelSpec:
        """The spec in an exported file. Raises ZooError if it has none."""

    def convert(self, source: Path, path: Path, *, overwrite: bool = False) -> ModelSpec:
        """Write `path` from an exported file, with the options of `export`, for `zoo export FILE`. Returns the spec."""

    def read(self, path: Path) -> Checkpoint:
        """The weights in an exported file, for a format that no runtime runs and `zoo import` does not read."""


class Model(Protocol):
    """A folder in zoo/models/: an architecture.

    Config: a frozen dataclass of dimensions; zoo.layers.config.NetworkConfig is its base class. It accepts JSON types
        (lists for tuples) and raises ZooError for bad values. It has the fields `sequence_length` (L, bases) and
        `targets` (names of the T outputs), and `to_dict()`, which returns JSON types:
        Config(**config.to_dict()) == config.
    VARIANTS: name that a user types -> Config.
    """

    Config: type
    VARIANTS: Mapping[str, Any]

    def network(self, config: Any) -> nn.Module:
        """The PyTorch network with initial weights and the attribute `config`: float (N, 4, L), channels in the order
        A, C, G, T -> float (N, T). Needs the extra `train`.

        Its state dict, without batch counters, is the weights file: floating point numbers alone. A constant such as a
        flank is a buffer with persistent=False. Sequences are the first axis; their number is x.shape[0], since len(x)
        would fix it in an export. Activations and poolings are modules, which DeepLIFT attaches to.
        """


class ModelExtras(Protocol):
    """Optional for a model.

    HEAD: name of the output layer, or several: the layers whose arrays depend on the targets. Needed to begin a
        training with weights for other targets, and to freeze the trunk.
    RECIPE: default training settings for the model: field of training.config.TrainConfig -> value; or a function that
        returns them for a Config.
    PUBLISHED: files that its authors published.
    SEARCH_SPACE: TOML file with a search space, see zoo/search/space_files.py; a sweep file may use the names of its
        parameters.
    LOGGED_AS: word in a column name of metrics.csv -> the word for it in logs of a search and in sweep files.
    UNIT: unit of the activities, where the architecture decides it.
    CARD: what the published weights were trained on; without published weights, what the data of the default targets
        are. A mapping from the variants to their cards if these differ.

    A model may have what zoo.weights.importers.state_dicts.NamedArrays lists, to read state dicts of other programs by
    the names of their arrays, or the function of zoo.weights.importers.importer.Reader, to recognize its networks by
    their layers; one with a Keras form has `keras_model`, see zoo.layers.keras_layers.HasKerasForm.
    """

    HEAD: str | Sequence[str]
    RECIPE: Mapping[str, Any] | Callable[[Any], Mapping[str, Any]]
    PUBLISHED: Published
    SEARCH_SPACE: Path
    LOGGED_AS: Mapping[str, str]
    UNIT: str
    CARD: Card | Mapping[str, Card]

    def profiles(self, config: Any) -> Sequence[Profile]:
        """Profiles of the network: numbers of S tracks at P positions, with their place in the sequence.

        A network with profiles has two methods, from its input. `with_profiles` returns a tuple: activities, float
        (N, T), and each profile in this order, float (N, S, P). `trained_outputs` returns what a training compares with
        counts, (N, T + S P): log counts of T targets, then logits of the positions, strand by strand.
        """

    def array_shapes(self, config: Any) -> Mapping[str, tuple[int, ...]]:
        """Name -> shape of every float32 array of a weights file, in the order of the network's state dict.

        With it, weights files are checked without PyTorch; else the network says it (zoo/weights/model_arrays.py).
        Names of running variances end in running_var.
        """

    def start_arrays(self, config: Any, weights: Checkpoint) -> Mapping[str, np.ndarray] | None:
        """Arrays of a network to train that weights of another network of this architecture give, such as a part that
        was trained before; None for weights that are of the whole network."""

    def layer_norms(self, config: Any) -> Mapping[str, str]:
        """Layer -> the batch norm right after it, by their names in the network, for training with rescale_start.

        Layers that no batch norm follows directly, or that another kind of norm follows, are left out.
        """

    def configure(self) -> Mapping[str, Any]:
        """Fields of the Config that the user's options change, for example by a file.

        Keyword-only parameters with a default, annotated `Annotated[type, "help"]`, become options of `zoo train`.
        """

    def refuses_both_strands(self, config: Any) -> str | None:
        """Why the mean over a sequence and its reverse complement must not be made outside the network, such as one
        that is told which strand it sees; None if it can."""

    def training_forward(self, model: nn.Module, one_hot: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Compute the network in training mode on a CPU, faster than its modules do: one-hot (N, L, 4) -> (N, T).

        dtype: type of the operands of matrix products.
        """

    def plain_shape(self, config: Any) -> PlainShape:
        """Sizes of the network as plain convolutions and matrices, for engines that need no framework."""

    def plain_layers(self, config: Any, arrays: Mapping[str, np.ndarray]) -> PlainLayers:
        """The network as plain convolutions and matrices, with weights; batch norms are folded in."""

    def onnx_model(
        self, config: Any, arrays: Mapping[str, np.ndarray], tensors: Tensors, opset: int
    ) -> onnx.ModelProto:
        """The network as an ONNX graph, for a model without plain layers; a network without either is traced, which
        needs PyTorch. tensors: input, one-hot bases (N, 4, L), and output, both float32."""

    def activities(self, config: Any, arrays: Mapping[str, np.ndarray], one_hot: np.ndarray) -> np.ndarray:
        """The network in NumPy, as simple as possible: one-hot bases (N, L, 4) -> float64 (N, T). Required with
        `onnx_model`: the graph is checked against it if PyTorch is not installed."""

    def read_published(self, folder: Path) -> Checkpoint:
        """Read the files PUBLISHED.weights in `folder`."""

    def findings(self) -> Mapping[str, str]:
        """What `zoo doctor` shows for this machine: item -> finding."""
