"""Model repository of NVIDIA Triton: MODEL/config.pbtxt and MODEL/1/model.onnx, which KServe and others also read.

The graph takes base codes, as the input `codes` of `zoo serve`. Other models of the repository do not change.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from zoo import registry
from zoo.errors import ZooError
from zoo.spec import ModelSpec
from zoo.system.atomic import replacing_folder
from zoo.weights import lookup
from zoo.weights.checkpoint import Checkpoint

SUFFIX = ""

CONVERTS = (".onnx",)

CONFIG, MODEL = "config.pbtxt", "1/model.onnx"

GRAPH = f"*/{MODEL}"

INPUT = "codes"

INSTANCES = {"cpu": "KIND_CPU", "gpu": "KIND_GPU"}
"""Device -> its name in Triton."""

LARGEST_BATCH = 4096

WAIT_MICROSECONDS = 2000
"""Longest time that a request waits for others."""


def refuses(spec: ModelSpec) -> str | None:
    """Why a model has no graph; None if it has one."""
    return registry.load("exporters", "onnx").refuses(spec)


def export(
    weights: Checkpoint,
    path: Path,
    *,
    model_name: Annotated[
        str | None, "Name of the model; default: the name of bundled weights, else of the architecture."
    ] = None,
    instance: Annotated[str, "Device on which Triton runs the model: cpu or gpu."] = "cpu",
    overwrite: bool = False,
) -> None:
    """Write the model into the repository `path`, a folder that is made if it does not exist.

    Raises ZooError for a name that Triton does not accept, an unknown instance, or a model that exists already, and as
    the exporter onnx does.
    """

    def write(graph: Path) -> ModelSpec:
        registry.load("exporters", "onnx").export(weights, graph, input=INPUT)
        return weights.spec

    name = lookup.bundled_as(weights.spec.weights_id) or weights.spec.architecture
    _write(write, path, model_name or name, instance, overwrite)


def convert(
    source: Path, path: Path, *, model_name: str | None = None, instance: str = "cpu", overwrite: bool = False
) -> ModelSpec:
    """The same from an .onnx file of the zoo. Its name, without suffix, is that of the model. Returns its spec."""

    def write(graph: Path) -> ModelSpec:
        spec: ModelSpec = registry.load("exporters", "onnx").convert(source, graph, input=INPUT)
        return spec

    return _write(write, path, model_name or source.stem, instance, overwrite)


def _write(
    write_graph: Callable[[Path], ModelSpec], path: Path, name: str, instance: str, overwrite: bool
) -> ModelSpec:
    """Write the model `name` into the repository. Returns its spec."""
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,200}", name):
        raise ZooError(f"model-name: expected ASCII letters, digits, _, - and ., got {name!r}")
    if instance not in INSTANCES:
        raise ZooError(f"instance: expected {' or '.join(INSTANCES)}, got {instance!r}")
    if path.exists() and not path.is_dir():
        raise ZooError(f"{path}: expected a folder, got a file; give another name")
    if not path.absolute().parent.is_dir():
        raise ZooError(f"{path}: the folder {path.parent} does not exist; make it first")
    is_new = not path.exists()
    path.mkdir(exist_ok=True)
    try:
        with replacing_folder(path / name, overwrite, (CONFIG, MODEL)) as folder:
            graph = folder / MODEL
            graph.parent.mkdir()
            spec = write_graph(graph)
            (folder / CONFIG).write_text(config(name, spec, INSTANCES[instance]), "ascii")
    finally:
        if is_new and not any(path.iterdir()):
            path.rmdir()
    return spec


def config(name: str, spec: ModelSpec, kind: str) -> str:
    """The text of config.pbtxt, Triton's ModelConfig. Its shapes do not include the batch axis."""
    return f"""\
name: "{name}"
backend: "onnxruntime"
max_batch_size: {LARGEST_BATCH}
input [ {{ name: "{INPUT}" data_type: TYPE_UINT8 dims: [ {spec.sequence_length} ] }} ]
output [ {{ name: "{registry.load("exporters", "onnx").OUTPUT}" data_type: TYPE_FP32 dims: [ {len(spec.targets)} ] }} ]
dynamic_batching {{ max_queue_delay_microseconds: {WAIT_MICROSECONDS} }}
instance_group [ {{ count: 1 kind: {kind} }} ]
parameters [ {{ key: "weights_id" value: {{ string_value: "{spec.weights_id}" }} }} ]
"""
