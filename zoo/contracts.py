"""What a plug-in offers: one Protocol each for a model, a runtime and an exporter.

A plug-in is a module, a file or a folder, found by its name (registry.py). What stands in `Model`, `Runtime`, `Engine`
and `Exporter` is obligatory; what stands in their `Extras` and in `ShorterWays` may be left out. The first line of a
plug-in's docstring says what it is; `zoo list` shows it. Plug-ins import heavy libraries inside functions. Only type
checkers and tests read this file. Axes: N sequences, L positions, T targets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import onnx
    import torch
    from torch import nn

    from zoo.layers.onnx_graph import Tensors
    from zoo.layers.plain import PlainLayers, PlainShape
    from zoo.options import RunOptions
    from zoo.spec import ModelSpec
    from zoo.weights.checkpoint import Checkpoint
    from zoo.weights.importers.imported_layers import ImportedLayer
    from zoo.weights.importers.importing import ImportOptions
    from zoo.weights.importers.keras_h5 import KerasFile
    from zoo.weights.importers.keras_layers import KerasModel
    from zoo.weights.published import Published


class Engine(Protocol):
    """What a runtime starts: a model on a device.

    provider: what really computes, as the engine reports it.  batch_size: sequences that `run` takes at most.
    concurrent_batches: how many `run`s, each in a thread of its own, keep the device busy: 1 for an engine that keeps
        all cores busy with one batch, more for a device that is fed from here.
    """

    spec: ModelSpec
    provider: str
    batch_size: int
    concurrent_batches: int

    def run(self, codes: np.ndarray) -> np.ndarray:
        """Base codes, uint8 (N, L), 1 <= N <= batch size, C-contiguous -> activities, float32 (N, T), an array of its
        own that no later run changes."""


class ShorterWays(Protocol):
    """Shorter ways that an engine may know. Where it knows none, the Session does the same with `run`; the numbers are
    the same up to rounding, and a test over the registry compares both."""

    def windows(self, codes: np.ndarray, stride: int) -> np.ndarray:
        """Every window of a stretch of DNA, `stride` bases apart: base codes, uint8 (B,), C-contiguous, B >= L ->
        activities, float32 (W, T), W = (B - L) // stride + 1; window i is [i * stride, i * stride + L).

        The Session hands a long contig over in stretches that overlap, so that memory need not be thought of.
        """

    def mutants(self, codes: np.ndarray) -> np.ndarray:
        """Base codes, uint8 (N, L), N >= 1 -> float32 (N, L, 4, T): the activity with base b in position p instead of
        what is there, minus the activity as it is; 0 where b is there already, and an N has four alternatives."""

    def contributions(self, codes: np.ndarray, references: np.ndarray, target: int) -> np.ndarray:
        """Hypothetical DeepLIFT scores (rescale rule; Shrikumar et al. 2017, arXiv:1704.02685), the mean over the
        references of a sequence: base codes, uint8 (N, L) and (N, R, L), N and R >= 1 -> float32 (N, L, 4).

        For base i: (one-hot of i - reference) . multipliers, summed over the four channels of a position. Of a
        max-pooling one position takes the multiplier: the sequence's own maximum where that is the larger, else the
        reference's, as in shap's DeepExplainer.
        """

    def gradient(self, codes: np.ndarray, target: int) -> np.ndarray:
        """Base codes, uint8 (N, L), N >= 1 -> d activity / d one-hot, float32 (N, L, 4)."""


class EngineExtras(Protocol):
    """What else an engine may offer."""

    def settle(self) -> None:
        """From now on a batch gives the same bits whatever came before, for an engine that begins another way."""


class Runtime(Protocol):
    """A module in runtimes/, named after its engine.

    DEVICES: names "engine-device" follow from it: ("cpu", "cuda").
    PRECISIONS: device -> precisions that it can give there.
    """

    DEVICES: tuple[str, ...]
    PRECISIONS: Mapping[str, Sequence[str]]

    def missing(self, device: str) -> str | None:
        """Why it cannot run on this machine and the command that helps; None if it can."""

    def refuses(self, spec: ModelSpec) -> str | None:
        """Why it does not take this model, whatever the machine; None if it does."""

    def start(self, weights: Checkpoint, device: str, options: RunOptions) -> Engine:
        """An engine for weights that it does not refuse, in a precision that it has."""


class RuntimeExtras(Protocol):
    """FILES: suffixes that `start_file` runs as they are, such as (".onnx",).
    AUTOMATIC: device -> rank; the runtime "auto" tries the highest first, and never a device without a rank.
    TRUST: device -> rank; the usable one of the highest is the reference that parity is measured against.
    LIBRARIES: distributions whose version decides what it gives; `zoo doctor` shows them.
    SHORTER_WAYS: names in ShorterWays that its engines offer.
    """

    FILES: tuple[str, ...]
    AUTOMATIC: Mapping[str, int]
    TRUST: Mapping[str, int]
    LIBRARIES: tuple[str, ...]
    SHORTER_WAYS: tuple[str, ...]

    def start_file(self, path: Path, device: str, options: RunOptions) -> Engine:
        """As `start`, for a file of another form with a suffix in FILES, which says itself what it is."""

    def findings(self) -> Mapping[str, str]:
        """What `zoo doctor` should say of it on this machine: item -> finding."""


class Exporter(Protocol):
    """A module in exporters/, named after the format. SUFFIX: of the file, or "" where a folder is written."""

    SUFFIX: str

    def refuses(self, spec: ModelSpec) -> str | None:
        """Why this model has no such form; None if it has."""

    def export(self, weights: Checkpoint, path: Path, *, overwrite: bool = False) -> None:
        """Write `path`, whole or not at all, checked before it gets its name; `path` ends in SUFFIX.

        Further keyword-only parameters, annotated `Annotated[type, "help"]`, become options of `zoo export`.
        """


class ExporterExtras(Protocol):
    """GRAPH_VERSION: raised when what `export` writes changes; exports that are kept are then made anew.
    GRAPH: where in a folder that `export` writes the file is that a runtime runs, such as "*/1/model.onnx"."""

    GRAPH_VERSION: int
    GRAPH: str

    def read_spec(self, path: Path) -> ModelSpec:
        """What an exported file says of itself. Raises ZooError if it says nothing."""

    def read(self, path: Path) -> Checkpoint:
        """The weights of an exported file, for a format that neither a runtime runs nor `zoo import` takes."""


class Model(Protocol):
    """A folder in zoo/models/: an architecture.

    Config: a frozen dataclass of dimensions. Takes JSON types (lists for tuples), refuses bad values when it is made,
        has the fields `sequence_length` (L, bases) and `targets` (names of the T outputs), and `to_dict()`, JSON types
        with Config(**config.to_dict()) == config.
    VARIANTS: name that a user types -> Config.
    HEAD: the layer that holds a row a target: its arrays are HEAD.weight (T, features) and HEAD.bias (T,).
    """

    Config: type
    VARIANTS: Mapping[str, Any]
    HEAD: str

    def array_shapes(self, config: Any) -> Mapping[str, tuple[int, ...]]:
        """Name -> shape of every float32 array of a weights file, first layer first, as in the network's state dict.

        Kernels are (output, input) or (filter, channel, position). Running variances end in running_var.
        """

    def layer_norms(self, config: Any) -> Mapping[str, str]:
        """Layer -> the batch norm behind it, by their names in the network."""

    def network(self, config: Any) -> nn.Module:
        """The PyTorch network, freshly initialised, with the attribute `config`: float (N, 4, L), channels in the order
        A, C, G, T -> float (N, T). Needs the extra `train`."""


class ModelExtras(Protocol):
    """RECIPE: settings of a training that suit the model, by the fields of training.config.TrainConfig.
    PUBLISHED: what its authors published.
    SEARCH_SPACE: TOML file of a space to search, see zoo/search/space_file.py; the names that its parameters have are
        those that a sweep file may use.
    LOGGED_AS: words of a column of metrics.csv -> those under which a search logs metrics, and which the metric of a
        sweep file has."""

    RECIPE: Mapping[str, Any]
    PUBLISHED: Published
    SEARCH_SPACE: Path
    LOGGED_AS: Mapping[str, str]

    def configure(self) -> Mapping[str, Any]:
        """Fields of the Config that differ from the variant's because of what a user gives, such as a file.

        Keyword-only parameters with a default, annotated `Annotated[type, "help"]`, become options of `zoo train`.
        """

    def training_forward(self, model: nn.Module, one_hot: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """The network in training mode on a CPU, faster than its modules: one-hot (N, L, 4) -> (N, T). dtype: of the
        operands of matrix products."""

    def plain_shape(self, config: Any) -> PlainShape:
        """Sizes of the network as plain convolutions and matrices, for engines that need no framework."""

    def plain_layers(self, config: Any, arrays: Mapping[str, np.ndarray]) -> PlainLayers:
        """The same with weights, batch norm folded in."""

    def onnx_model(
        self, config: Any, arrays: Mapping[str, np.ndarray], tensors: Tensors, opset: int
    ) -> onnx.ModelProto:
        """The network as an ONNX graph, for one that has no plain layers; without it, and without them, the network is
        traced, which needs PyTorch. tensors: what it takes, one-hot bases (N, 4, L), and gives, both float32."""

    def activities(self, config: Any, arrays: Mapping[str, np.ndarray], one_hot: np.ndarray) -> np.ndarray:
        """The network in NumPy, as simple as can be: one-hot bases (N, L, 4) -> float64 (N, T). Goes with `onnx_model`,
        whose graph is checked against it where there is no PyTorch."""

    def keras_model(self, config: Any) -> KerasModel:
        """The network as Keras layers, for the runtime and the format of that name."""

    def read_keras(self, file: KerasFile, options: ImportOptions) -> tuple[Any, dict[str, np.ndarray]]:
        """A Keras file -> Config and arrays. Raises OtherArchitecture if it holds another network, or one that fits
        only another sequence length than the given one or the default; another ZooError if it may be this one and an
        option is missing or wrong."""

    def read_state_dict(
        self, layers: Sequence[ImportedLayer], options: ImportOptions, where: str
    ) -> tuple[Any, dict[str, np.ndarray]]:
        """Layers of a PyTorch state dict, the file `where` -> Config and arrays. Raises as `read_keras` does."""

    def read_published(self, folder: Path) -> Checkpoint:
        """The files PUBLISHED.weights, in `folder` -> weights."""

    def findings(self) -> Mapping[str, str]:
        """What `zoo doctor` should say of it on this machine: item -> finding."""
