"""Model repository of NVIDIA Triton: MODEL/config.pbtxt and MODEL/1/model.onnx, which KServe and others read too.

The graph takes base codes, as the input `codes` of `zoo serve` does. A repository may hold other models; only the
folder of this one is written.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from zoo import registry
from zoo.errors import ZooError
from zoo.spec import ModelSpec
from zoo.system.atomic import replacing_folder
from zoo.weights import lookup
from zoo.weights.checkpoint import Checkpoint

SUFFIX = ""

CONFIG, MODEL = "config.pbtxt", "1/model.onnx"

GRAPH = f"*/{MODEL}"

INPUT = "codes"

INSTANCES = {"cpu": "KIND_CPU", "gpu": "KIND_GPU"}
"""Where the graph runs -> Triton's word for it."""

LARGEST_BATCH = 4096

WAIT_MICROSECONDS = 2000
"""How long a request waits for others."""


def refuses(spec: ModelSpec) -> str | None:
    """Why a model has no graph; None if it has."""
    return registry.load("exporters", "onnx").refuses(spec)


def export(
    weights: Checkpoint,
    path: Path,
    *,
    model_name: Annotated[
        str | None, "Name of the model; by default that of bundled weights, or the network's."
    ] = None,
    instance: Annotated[str, "Where Triton runs it: cpu or gpu."] = "cpu",
    overwrite: bool = False,
) -> None:
    """Write the model into the repository `path`, which is made if it is not there.

    Raises ZooError for a name that Triton does not take, an unknown instance, or a model that is there already;
    otherwise as the exporter onnx does.
    """
    name = model_name or lookup.bundled_as(weights.spec.weights_id) or weights.spec.architecture
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,200}", name):
        raise ZooError(f"model name: expected letters, digits, _, - and . of ASCII, got {name!r}")
    if instance not in INSTANCES:
        raise ZooError(f"instance: expected {' or '.join(INSTANCES)}, got {instance!r}")
    if path.exists() and not path.is_dir():
        raise ZooError(f"{path}: exists already and is no folder; give another name")
    if not path.absolute().parent.is_dir():
        raise ZooError(f"{path}: the folder {path.parent} does not exist; make it first")
    is_new = not path.exists()
    path.mkdir(exist_ok=True)
    try:
        with replacing_folder(path / name, overwrite, (CONFIG, MODEL)) as folder:
            graph = folder / MODEL
            graph.parent.mkdir()
            registry.load("exporters", "onnx").export(weights, graph, input=INPUT)
            (folder / CONFIG).write_text(config(name, weights.spec, INSTANCES[instance]), "ascii")
    finally:
        if is_new and not any(path.iterdir()):
            path.rmdir()


def config(name: str, spec: ModelSpec, kind: str) -> str:
    """config.pbtxt: the text form of Triton's ModelConfig. The batch axis is free, so that no shape has it."""
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
