"""Weights of Keras files of kundajelab/chrombpnet (a BPNet, a bias network, a network without bias, or both together)
and of the BPNets of kundajelab/basepairmodels, by the names of their layers.

The latter mix the heads with inputs for a control. With zeros there, each head is one linear layer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import OtherArchitecture, ZooError
from zoo.spec import ALPHABET

if TYPE_CHECKING:
    from zoo.weights.importers.keras_graph import KerasGraph
    from zoo.weights.importers.layers import ImportedFile, ImportedLayer, ImportOptions

LAYERS = {
    r"(wo_bias_)?bpnet_1st_conv": "trunk.first",
    r"(wo_bias_)?bpnet_(\d+)conv": "trunk.dilated.{}",
    r"(wo_bias_bpnet_)?prof_out_precrop": "heads.profile",
    r"(wo_bias_bpnet_)?logcount_predictions": "heads.count",
    r"()main_conv_0": "trunk.first",
    r"()main_dil_conv_(\d+)": "trunk.dilated.{}",
    r"()main_profile_head": "heads.profile",
    r"()main_counts_head": "heads.count",
    r"()profile_predictions": "control.profile",
    r"()logcounts_predictions": "control.count",
}
"""Name of a Keras layer -> that of ours; a number counts from 1 there, from 0 here. The first group is empty for a
network that may be that of the bias."""

WITH_CONTROL = "main_"
"""Start of the layers of networks with a control, whose ReLUs are layers of their own."""


def read(file: ImportedFile, options: ImportOptions) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Fields of the Config that differ from those of a network with one strand, and canonical arrays.

    Raises OtherArchitecture for other layers, and ZooError for a control of which nothing is said.
    """
    where = str(file.path)
    if file.format != "Keras":
        raise OtherArchitecture(f"{where}: has no arrays with the names of a BPNet")
    parts: dict[bool, dict[str, ImportedLayer]] = {}
    for layer in file.layers:
        without_bias, name = _named(layer.name, where)
        parts.setdefault(without_bias, {})[name] = layer
    arrays: dict[str, np.ndarray] = {}
    for without_bias, layers in parts.items():
        _check(layers, where)
        start = "bias_" if len(parts) > 1 and not without_bias else ""
        for name, (kernel, bias) in _mixed(layers, options, where).items():
            room, _, rest = name.partition(".")
            ours = f"{room}.{start}{rest}" if room == "heads" else f"{start}{name}"
            arrays |= {
                f"{ours}.weight": _in_order(kernel, options) if rest == "first" else kernel,
                f"{ours}.bias": bias,
            }
    before = any(layer.name.startswith(WITH_CONTROL) for layer in file.layers)
    outputs = len(arrays["heads.count.bias"])
    if outputs != max(1, len(options.targets)):
        raise ZooError(f"{where}: counts {outputs} targets; give their names with --targets")
    fields = {**_sizes(arrays), **_lengths(file, options, before)}
    if file.graph is not None:
        fields |= _profile_length(file.graph, fields, where)
    return fields, arrays


def _named(name: str, where: str) -> tuple[bool, str]:
    """Whether a layer belongs to a network without bias, and our name for it."""
    last = name.rpartition("/")[2]
    for pattern, ours in LAYERS.items():
        found = re.fullmatch(pattern, last)
        if found:
            return bool(found[1]), ours.format(*(int(number) - 1 for number in found.groups()[1:]))
    raise OtherArchitecture(f"{where}: layer {last}: no BPNet of chrombpnet or basepairmodels has a layer of this name")


def _check(layers: Mapping[str, ImportedLayer], where: str) -> None:
    """Raise OtherArchitecture unless these are all layers of a network, with sizes that fit each other."""
    number = sum(name.startswith("trunk.dilated.") for name in layers)
    wanted = ["trunk.first", *(f"trunk.dilated.{one}" for one in range(number)), "heads.profile", "heads.count"]
    for name in wanted:
        if name not in layers:
            raise OtherArchitecture(f"{where}: has no layer {name}, in the zoo's words")
    filters = len(layers["trunk.first"].kernel)
    for name in wanted:
        got, inputs = layers[name].kernel.shape, len(ALPHABET) if name == "trunk.first" else filters
        dimensions = 2 if name == "heads.count" else 3
        if (
            len(got) != dimensions
            or got[1] != inputs
            or (name.startswith("trunk.dilated.") and got != (filters, filters, 3))
        ):
            raise OtherArchitecture(f"{where}: layer {layers[name].name}: unexpected sizes {list(got)}")


def _mixed(
    layers: Mapping[str, ImportedLayer], options: ImportOptions, where: str
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Our name -> kernel and bias, the heads with the layer that mixes them with the control, at a control of zeros."""
    found = {name: (layer.kernel, layer.bias) for name, layer in layers.items() if not name.startswith("control.")}
    mixing = {name.removeprefix("control."): layer for name, layer in layers.items() if name.startswith("control.")}
    if mixing and options.control is None:
        raise ZooError(
            f"{where}: the network has inputs for a control; --control zero gives it zeros there, as without a control"
        )
    for name, layer in mixing.items():
        kernel, bias = found[f"heads.{name}"]
        mix = layer.kernel.reshape(len(layer.kernel), -1)[:, : len(kernel)].astype(np.float64)
        whole = np.tensordot(mix, kernel, 1).astype(np.float32)
        found[f"heads.{name}"] = whole, (mix @ bias + layer.bias).astype(np.float32)
    return found


def _in_order(kernel: np.ndarray, options: ImportOptions) -> np.ndarray:
    order = (options.alphabet or ALPHABET).upper()
    return kernel[:, [order.index(base) for base in ALPHABET]]


def _sizes(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    def layers(start: str) -> int:
        return sum(name.startswith(f"{start}trunk.dilated.") for name in arrays) // 2

    first, profile, count = (arrays[f"{name}.weight"] for name in ("trunk.first", "heads.profile", "heads.count"))
    bias = arrays.get("bias_trunk.first.weight")
    return {
        "filters": len(first),
        "first_kernel": first.shape[2],
        "layers": layers(""),
        "profile_kernel": profile.shape[2],
        "strands": len(profile) // len(count),
        **({} if bias is None else {"bias_filters": len(bias), "bias_layers": layers("bias_")}),
    }


def _lengths(file: ImportedFile, options: ImportOptions, before: bool) -> dict[str, Any]:
    """Settings that the arrays do not show."""
    found: dict[str, Any] = {"activation": "before" if before else "after", "control": options.control}
    length = options.length or file.sequence_length
    found |= {"sequence_length": length} if length else {}
    found |= {"targets": options.targets} if options.targets else {}
    return found


def _profile_length(graph: KerasGraph, fields: Mapping[str, Any], where: str) -> dict[str, int]:
    """The number of positions of a profile that the graph leaves; nothing if it does not say.

    Raises OtherArchitecture for a convolution that is not that of a BPNet.
    """
    crops: dict[str, int] = {}
    for kind, settings in _nodes(graph.nodes):
        name = str(settings.get("name"))
        number = re.fullmatch(r".*(?:bpnet_|main_dil_conv_)(\d+)(?:conv)?", name)
        wanted = {"padding": "valid", "dilation_rate": [2 ** int(number[1]) if number else 1]}
        differs = next((key for key, value in wanted.items() if settings.get(key) != value), None)
        if kind == "Conv1D" and differs:
            raise OtherArchitecture(
                f"{where}: layer {name}: expected {differs} {wanted[differs]}, got {settings.get(differs)}"
            )
        if kind == "Cropping1D" and ("prof" in name or "logit" in name):
            crops[name] = sum(settings["cropping"])
    if len(crops) != 1 + ("bias_filters" in fields) or "sequence_length" not in fields:
        return {}
    seen = fields["first_kernel"] - 1 + 2 * (2 ** (fields["layers"] + 1) - 2) + fields["profile_kernel"] - 1
    own = [crop for name, crop in crops.items() if name.startswith("wo_bias_")] or list(crops.values())
    return {"profile_length": fields["sequence_length"] - seen - own[0]}


def _nodes(nodes: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Keras class and settings of all layers, those of nested networks among them."""
    for kind, settings in nodes:
        yield kind, settings
        inner = settings.get("layers")
        if isinstance(inner, list):
            yield from _nodes(
                [(one["class_name"], one["config"]) for one in inner if isinstance(one.get("config"), dict)]
            )
