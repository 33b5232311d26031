"""DeepSTARR as Keras describes it: layer names and JSON graph of the published model, for any Config.

Plain JSON types; imports no Keras. The published file numbers its layers as its authors' session did
(`batch_normalization_60`): the names are kept, so that pipelines written for it find them.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from zoo.errors import ZooError
from zoo.models.deepstarr import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, POOL_SIZE, Config
from zoo.spec import ALPHABET
from zoo.weights.keras_layers import KerasLayer, KerasModel

INPUT = "input_12"
FIRST_NUMBER = {"batch_normalization": 60, "activation": 60, "max_pooling1d": 44, "flatten": 11, "dropout": 17}
"""Layer kind -> number that the published file gives to its first layer of that kind."""


LAYER_NAME = re.compile(r"[A-Za-z0-9_.-]+")
"""What TensorFlow and the groups of an .h5 file both take."""


@dataclasses.dataclass(frozen=True)
class Facts:
    """What a graph says and arrays do not; None where it does not say. outputs: layer names in order."""

    sequence_length: int | None = None
    dropout: float | None = None
    outputs: tuple[str, ...] = ()


def model(config: Config) -> KerasModel:
    """Every layer, in the order of the published file and under its names."""
    found: list[KerasLayer] = []
    counts = dict(FIRST_NUMBER)

    def add(kind: str, class_name: str, module: str, **settings: Any) -> None:
        found.append(KerasLayer(f"{kind}_{counts[kind]}", class_name, module, settings))
        counts[kind] += 1

    def add_norm_and_relu(module: str) -> None:
        settings = {"axis": -1, "momentum": 1 - BATCH_NORM_MOMENTUM, "epsilon": BATCH_NORM_EPSILON}
        add("batch_normalization", "BatchNormalization", f"{module}_norm", **settings)
        add("activation", "Activation", f"{module}_relu", activation="relu")

    for number, (filters, size) in enumerate(zip(config.filters, config.kernel_sizes, strict=True), 1):
        settings = {"filters": filters, "kernel_size": [size], "strides": [1], "padding": "same"}
        name = "Conv1D_1st" if number == 1 else f"Conv1D_{number}"
        found.append(KerasLayer(name, "Conv1D", f"conv{number}", settings))
        add_norm_and_relu(f"conv{number}")
        pool = {"pool_size": [POOL_SIZE], "strides": [POOL_SIZE], "padding": "valid"}
        add("max_pooling1d", "MaxPooling1D", f"conv{number}_pool", **pool)
    flat = (config.filters[-1], config.positions[-1])
    found.append(KerasLayer(f"flatten_{counts['flatten']}", "Flatten", "flatten", flattened=flat))
    for number, units in enumerate(config.dense_units, 1):
        settings = {"units": units}
        flattened = flat if number == 1 else None
        found.append(KerasLayer(f"Dense_{number}", "Dense", f"dense{number}", settings, flattened=flattened))
        add_norm_and_relu(f"dense{number}")
        add("dropout", "Dropout", f"dense{number}_dropout", rate=config.dropout)
    names = {layer.name for layer in found}
    for row, target in enumerate(config.targets):
        name = f"Dense_{target[:1].upper()}{target[1:]}"
        if name in names or not LAYER_NAME.fullmatch(name):
            raise ZooError(f"targets: {target!r} cannot name a Keras layer beside {', '.join(sorted(names))}")
        names.add(name)
        found.append(KerasLayer(name, "Dense", "head", {"units": 1}, row))
    return KerasModel("DeepSTARR", INPUT, tuple(found))


def read(graph: Any, where: str) -> Facts:
    """Facts of a parsed JSON graph, which must be a DeepSTARR of some size.

    Raises ZooError that names the first layer which computes something else (another padding, activation, epsilon ...).
    """
    try:
        nodes = [(node["class_name"], node["config"]) for node in graph["config"]["layers"]]
        outputs = tuple(output[0] for output in graph["config"].get("output_layers", []) if isinstance(output, list))
    except (TypeError, KeyError, AttributeError, IndexError):
        raise ZooError(
            f"{where}: expected the JSON graph of a Keras model, with class_name and config.layers"
        ) from None
    _check_order([(kind, settings.get("name")) for kind, settings in nodes], where)
    for kind, settings in nodes:
        _check_settings(kind, settings, where)
    shapes = [settings.get("batch_input_shape") or settings.get("batch_shape") for _, settings in nodes]
    shape = next((shape for shape in shapes if shape), [None, None, len(ALPHABET)])
    if len(shape) != 3 or shape[2] != len(ALPHABET):
        raise ZooError(f"{where}: expected an input of shape (length, {len(ALPHABET)}), got {shape[1:]}")
    dropouts = [settings.get("rate") for kind, settings in nodes if kind == "Dropout"]
    return Facts(shape[1], dropouts[0] if dropouts else 0.0, outputs)


BLOCK = ("BatchNormalization", "Activation")
CONVOLUTION = ("Conv1D", *BLOCK, "MaxPooling1D")


def _check_order(nodes: list[tuple[str, str]], where: str) -> None:
    """Raise ZooError at the first layer that does not follow: convolutions, flatten, dense layers, outputs."""
    passive = ("InputLayer", "Dropout")
    found = [(("Activation" if kind == "ReLU" else kind), name) for kind, name in nodes if kind not in passive]
    kinds = [kind for kind, _ in found]
    convolutions = kinds.count("Conv1D")
    heads = len(kinds) - len(CONVOLUTION) * convolutions - 1
    hidden = kinds.count("BatchNormalization") - convolutions
    expected = [*CONVOLUTION * convolutions, "Flatten", *("Dense", *BLOCK) * hidden]
    expected += ["Dense"] * max(1, heads - hidden * (1 + len(BLOCK)))
    for position, kind in enumerate(expected):
        got = " ".join(found[position]) if position < len(found) else "nothing"
        if position >= len(found) or found[position][0] != kind:
            raise ZooError(f"{where}: layer {position + 1}: expected {kind} as in DeepSTARR, got {got}")


def _check_settings(kind: str, settings: dict[str, Any], where: str) -> None:
    """Raise ZooError if a layer computes something that the network of zoo/models/deepstarr does not."""
    pairs: dict[str, dict[str, tuple[Any, ...]]] = {
        "Conv1D": {
            "padding": ("same",),
            "strides": ([1], 1),
            "dilation_rate": ([1], 1),
            "groups": (1,),
            "activation": ("linear", None),
            "use_bias": (True,),
            "data_format": ("channels_last",),
        },
        "Dense": {"activation": ("linear", None), "use_bias": (True,)},
        "BatchNormalization": {
            "epsilon": (BATCH_NORM_EPSILON,),
            "center": (True,),
            "scale": (True,),
        },
        "Activation": {"activation": ("relu",)},
        "ReLU": {"max_value": (None,), "negative_slope": (0,), "threshold": (0,)},
        "MaxPooling1D": {
            "pool_size": ([POOL_SIZE], POOL_SIZE),
            "strides": ([POOL_SIZE], POOL_SIZE, None),
            "padding": ("valid",),
            "data_format": ("channels_last",),
        },
        "Flatten": {"data_format": ("channels_last",)},
    }
    for setting, allowed in pairs.get(kind, {}).items():
        value = settings.get(setting, allowed[0])
        if value not in allowed and list(value if isinstance(value, (list, tuple)) else [value]) not in allowed:
            name = settings.get("name")
            raise ZooError(f"{where}: layer {name}: expected {setting} {allowed[0]} as in DeepSTARR, got {value}")
