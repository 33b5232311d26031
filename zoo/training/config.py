"""The settings of a training: TrainConfig says how to train, TrainingOptions where and from which weights.

The command line, the table [train] of a TOML file and the receipts are derived from them. `read_model` reads the model
and its settings from a name or a TOML file. Needs no PyTorch.
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from zoo import registry
from zoo.defaults import MODEL
from zoo.dna.augment import LARGEST_SHIFT, STRAND
from zoo.errors import ZooError, did_you_mean, nearest_first
from zoo.formats.text_input import read_text
from zoo.options import MOST_SEQUENCES, Bounds, ThreadOptions, check, check_kind, check_names, names
from zoo.training import per_target

Augmentation = Literal[
    "reverse-complement", "shift", "deletion", "insertion", "translocation", "inversion", "mutation", "noise"
]

STRENGTHS = {
    "deletion": "longest_deletion",
    "insertion": "longest_insertion",
    "translocation": "longest_translocation",
    "inversion": "longest_inversion",
    "mutation": "mutation_rate",
    "noise": "noise_deviation",
}
"""Augmentation -> the setting with its strength."""

Schedule = Literal["constant", "one-cycle", "cosine", "restarts", "plateau"]

Optimizer = Literal["adam", "adamw"]

LOSSES = ("mse", "l1", "huber", "poisson", "kl")

TrainPrecision = Literal["fp32", "bf16", "fp64"]

Device = Literal["auto", "cpu", "cuda"]

Tracker = Literal["tensorboard", "wandb"]


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How to train. The defaults are the recipe of de Almeida et al. (Nature Genetics 2022); all else is off."""

    learning_rate: Annotated[float, Bounds(above=0, below=math.inf)] = 0.002
    """Learning rate; with a schedule, the highest rate."""

    optimizer: Optimizer = "adam"
    """Optimizer: adam with Keras's use of epsilon, or adamw as in PyTorch, with decoupled weight decay."""

    epsilon: Annotated[float, Bounds(above=0, below=math.inf)] = 1e-7
    """Epsilon of the optimizer."""

    beta1: Annotated[float, Bounds(0, below=1)] = 0.9
    """Decay of the optimizer's mean of the gradients."""

    beta2: Annotated[float, Bounds(above=0, below=1)] = 0.999
    """Decay of the optimizer's mean of the squared gradients."""

    amsgrad: bool = False
    """Divide by the largest mean of the squared gradients so far instead of the newest."""

    weight_decay: Annotated[float, Bounds(0, below=math.inf)] = 0.0
    """Weight decay: a penalty on the squared weights with adam, decoupled from the gradient with adamw."""

    clip_gradient: Annotated[float, Bounds(0, below=math.inf)] = 0.0
    """Largest norm of the gradient of a step; 0 does not limit it."""

    loss: tuple[str, ...] = ("mse",)
    """Loss: mse, l1, huber, poisson (predicts log counts) or kl (the targets are bins of one distribution); one for
    all targets, one for each, or TARGET=LOSS. The losses of the targets are added."""

    target_weights: tuple[str, ...] = ()
    """Weights of the targets in the loss, by default 1: one for all, one for each, or TARGET=WEIGHT."""

    divergence: Annotated[float, Bounds(0, below=math.inf)] = 0.0
    """Weight of a further term of the loss, which compares a sequence's targets with each other: the divergence between
    the softmax of the measurements and that of the predictions."""

    batch_size: Annotated[int, Bounds(1, MOST_SEQUENCES)] = 128
    """Sequences per step, over all processes together."""

    epochs: Annotated[int, Bounds(1)] = 100
    """Maximum number of epochs."""

    patience: Annotated[int, Bounds(0)] = 10
    """Stop after this many epochs without a lower validation loss; 0 never stops early. The best weights are kept."""

    schedule: Schedule = "constant"
    """Learning rate over the run: constant; one-cycle, a rise and a fall; cosine, a fall to 0; restarts, the same again
    and again; plateau, lower after epochs without progress. As PyTorch's schedulers."""

    warmup: Annotated[float, Bounds(0, below=1)] = 0.3
    """One-cycle: share of the run in which the rate rises."""

    div_factor: Annotated[float, Bounds(1, below=math.inf)] = 25.0
    """One-cycle: the first rate is the highest one divided by this; the last rate is 10,000 times lower."""

    cycle_momentum: bool = False
    """One-cycle: beta1 falls from 0.95 to 0.85 while the rate rises, and then rises again."""

    cycle_steps: Annotated[int, Bounds(1)] = 1000
    """Restarts: steps from one restart to the next."""

    plateau_factor: Annotated[float, Bounds(above=0, below=1)] = 0.1
    """Plateau: factor by which the rate is lowered."""

    plateau_patience: Annotated[int, Bounds(0)] = 5
    """Plateau: epochs without a lower validation loss before the rate is lowered."""

    weight_average: Annotated[float, Bounds(0, below=1)] = 0.0
    """Decay of an exponential moving average of the weights, which is then validated and kept; 0 for no average."""

    precision: TrainPrecision = "fp32"
    """Arithmetic: bf16 for the operands of matrix products, fp64 for everything, to compare frameworks."""

    rescale_start: bool = False
    """Rescale the given weights before batch norm to the size of fresh ones."""

    freeze_batch_norm: bool = False
    """Batch norm uses the running statistics of the given weights during training and leaves them unchanged."""

    freeze: tuple[str, ...] = ()
    """Layers of the given weights that stay unchanged, by name or pattern: conv1, 'conv*'; trunk for all but the head,
    ! before a name for an exception."""

    adapter_rank: Annotated[int, Bounds(0)] = 0
    """Rank of the adapters (LoRA) on the frozen dense and convolution layers, by default those of the trunk; they are
    merged into the weights. 0 for none."""

    augment: tuple[Augmentation, ...] = ()
    """Random changes to training sequences that keep their labels."""

    augmentations_per_sequence: Annotated[int, Bounds(0)] = 0
    """Augmentations of a sequence in a step, drawn among those of --augment; 0 for all. reverse-complement is not
    counted."""

    longest_deletion: Annotated[int, Bounds(0)] = 30
    """Most bases that deletion removes; random DNA at the ends keeps the length."""

    longest_insertion: Annotated[int, Bounds(0)] = 20
    """Most bases that insertion adds; the ends are cut to keep the length."""

    longest_translocation: Annotated[int, Bounds(0)] = 20
    """Most bases that translocation moves from one end to the other."""

    longest_inversion: Annotated[int, Bounds(0)] = 20
    """Most bases that inversion replaces by their reverse complement."""

    mutation_rate: Annotated[float, Bounds(0, 1)] = 0.05
    """Share of bases that mutation replaces."""

    noise_deviation: Annotated[float, Bounds(0, below=math.inf)] = 0.3
    """Standard deviation of the noise on the one-hot."""

    fine_tune_epochs: Annotated[int, Bounds(0)] = 0
    """Then train the best weights for this many epochs without augmentation other than reverse-complement."""

    fine_tune_learning_rate: Annotated[float, Bounds(0, below=math.inf)] = 0.0
    """Learning rate of these epochs; 0 for a tenth of --learning-rate."""

    seed: Annotated[int, Bounds(0)] = 0
    """Random seed."""

    def __post_init__(self) -> None:
        for name in ("loss", "target_weights"):
            object.__setattr__(self, name, per_target.entries(getattr(self, name)))
        check(self)
        per_target.read("loss", self.loss, loss_name)
        per_target.read("target-weights", self.target_weights, weight)
        if self.schedule == "plateau" and 0 < self.patience <= self.plateau_patience:
            raise ZooError(
                f"plateau-patience: expected less than the patience of {self.patience} epochs, after which the "
                f"training stops, got {self.plateau_patience}"
            )
        if self.fine_tune_epochs and not set(self.augment) - {STRAND}:
            raise ZooError("fine_tune_epochs: expected an augmentation to train without; choose some with --augment")

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        fields = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}

    def strengths(self, fine_tuning: bool = False) -> dict[str, float]:
        """Augmentation -> its strength, for zoo.dna.augment. fine_tuning: for the epochs after the others."""
        values = {
            **{name: getattr(self, field) for name, field in STRENGTHS.items()},
            STRAND: 1,
            "shift": LARGEST_SHIFT,
        }
        return {name: values[name] for name in self.augment if not fine_tuning or name == STRAND}

    @property
    def most_epochs(self) -> int:
        """Number of epochs if none stops early."""
        return self.epochs + self.fine_tune_epochs


def loss_name(name: str, value: str) -> str:
    """A value of the setting `loss`, one of LOSSES. name: in messages. Raises ZooError for any other."""
    if value not in LOSSES:
        raise ZooError(f"{name}: expected one of {', '.join(LOSSES)}, got {value!r}{did_you_mean(value, LOSSES)}")
    return value


def weight(name: str, value: str) -> float:
    """A weight of a target from its text. name: in messages. Raises ZooError unless it is finite and at least 0."""
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise ZooError(f"{name}: expected a number of at least 0, got {value!r}")
    return number


@dataclasses.dataclass(frozen=True)
class StudentConfig(TrainConfig):
    """How to train a student. The labels of a teacher have no noise, so every epoch helps, up to the last."""

    epochs: Annotated[int, Bounds(1)] = 50
    patience: Annotated[int, Bounds(0)] = 0
    schedule: Schedule = "one-cycle"
    warmup: Annotated[float, Bounds(0, below=1)] = 0.1
    weight_average: Annotated[float, Bounds(0, below=1)] = 0.999


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingOptions(ThreadOptions):
    """Where to train, on which device, and from which weights."""

    output: Path
    """New folder for this run."""

    resume: bool = False
    """Continue the run in --output."""

    start: str | None = None
    """Initial weights: a name (see zoo list), a file or a run folder. If the targets differ, the head starts fresh."""

    device: Device = "auto"
    """Device to train on; auto takes CUDA where it works."""

    compile: bool = False
    """Compile the network with torch.compile."""

    track: Tracker | None = None
    """Also log epochs to this tracker."""

    licence: str = "unknown"
    """Licence stored in the trained weights."""


def make(cls: Any, settings: Mapping[str, Any], where: str) -> Any:
    """A frozen dataclass from a table of settings. Raises ZooError for an unknown field, naming the known ones."""
    check_names(settings, names(cls), f"{where}: unknown setting")
    return cls(**settings)


def read_model(
    model: str, changes: Mapping[str, Any] | None = None, kind: type[TrainConfig] = TrainConfig
) -> tuple[str, Any, dict[str, Any]]:
    """A variant's name or a TOML file -> architecture, its Config, and settings of a training by name.

    `changes` override fields of the Config. The settings are the architecture's RECIPE, overridden by the table [train]
    of the file; a default of `kind` that differs from TrainConfig's overrides the RECIPE too.
    Raises ZooError for an unknown name or field, or a value that Config refuses.
    """
    where, tables = model, {"model": {"variant": model}, "train": {}}
    if Path(model).suffix == ".toml":
        where, tables = f"{model}, [model]", read_toml(Path(model))
    elif model not in model_names():
        raise ZooError(f"{_no_model(model)}, or give a .toml file")
    architecture, base, fields = split_model_table(tables["model"], where)
    plugin = registry.load("models", architecture)
    check_names(tables["train"], names(kind), f"{model}, [train]: unknown setting")
    general = TrainConfig()
    own = {field.name for field in dataclasses.fields(kind) if field.default != getattr(general, field.name)}
    config = make(plugin.Config, {**(base.to_dict() if base else {}), **fields, **(changes or {})}, where)
    recipe = {name: value for name, value in registry.recipe(plugin, config).items() if name not in own}
    own_settings = {
        name: per_target.entries(value) if isinstance(value, dict) else value for name, value in tables["train"].items()
    }
    return architecture, config, {**recipe, **own_settings}


def split_model_table(table: Mapping[str, Any], where: str) -> tuple[str, Any, dict[str, Any]]:
    """A table [model] -> architecture, the Config of its `variant` (None without one), and the other entries.

    Raises ZooError for an architecture or a variant that is unknown.
    """
    fields = dict(table)
    variant, architecture = fields.pop("variant", None), fields.pop("architecture", None)
    for name, value in (("variant", variant), ("architecture", architecture)):
        check_kind(f"{where}: {name}", value, str | None)
    architecture = architecture or architecture_of(variant or MODEL, where)
    variants = registry.load("models", architecture).VARIANTS
    if variant and variant not in variants:
        raise ZooError(f"{where}: {architecture} has no variant {variant!r}; known variants: {', '.join(variants)}")
    return architecture, variants[variant] if variant else None, fields


def architecture_of(variant: str, where: str) -> str:
    """The architecture that a model is a variant of. Raises ZooError for an unknown model."""
    if variant not in model_names():
        raise ZooError(f"{where}: {_no_model(variant)}")
    return model_names()[variant]


def model_names() -> dict[str, str]:
    """Model name -> architecture."""
    from zoo.weights import lookup

    return lookup.variants()


def _no_model(name: str) -> str:
    known = sorted(model_names())
    return f"unknown model {name!r}{did_you_mean(name, known)}; known models: {', '.join(nearest_first(name, known))}"


def read_toml(path: Path, tables: tuple[str, ...] = ("model", "train")) -> dict[str, dict[str, Any]]:
    """These tables of a TOML file, empty where absent. Raises ZooError for invalid TOML and for any other entry."""
    try:
        document = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise ZooError(f"{path}: expected a TOML file ({error})") from None
    return check_tables(document, tables, str(path))


def check_tables(document: Mapping[str, Any], tables: tuple[str, ...], where: str) -> dict[str, dict[str, Any]]:
    """These tables of a document, empty where absent. Raises ZooError for any other entry."""
    known = ", ".join(f"[{name}]" for name in tables)
    for name, table in document.items():
        if name not in tables:
            raise ZooError(f"{where}: unknown table {name!r}; known tables: {known}")
        if not isinstance(table, dict):
            raise ZooError(f"{where}: expected a table [{name}], got {name} = {table!r}")
    return {name: document.get(name, {}) for name in tables}


def difference(before: Any, now: Any, name: str = "") -> str | None:
    """The first value that differs between two JSON documents, as "train, epochs was 3, is 5"; None if they are
    equal."""
    if before == now:
        return None
    if isinstance(before, dict) and isinstance(now, dict):
        key = min(key for key in {*before, *now} if before.get(key) != now.get(key))
        return difference(before.get(key), now.get(key), f"{name}, {key}" if name else key)
    was, is_now = (text if len(text := repr(value)) <= 60 else f"{text[:57]}..." for value in (before, now))
    return f"{name} was {was}, is {is_now}"
