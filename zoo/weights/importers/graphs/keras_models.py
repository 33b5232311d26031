"""Networks of Keras and TensorFlow -> graphs: .keras, .h5 with a graph, .json and .h5, and SavedModel folders.

A Keras file says which classes to make, and Keras would import and call what it names; a SavedModel lists operators, of
which some read and write files. So names are checked against known_names.py
before TensorFlow opens anything. TensorFlow then computes, and tf2onnx converts.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import ZooError, require
from zoo.system.quiet import quiet
from zoo.weights import file_checks
from zoo.weights.importers import keras as keras_files
from zoo.weights.importers.graphs import archives, saved_models
from zoo.weights.importers.graphs.graph import Arrays, ForeignGraph, finished, reason
from zoo.weights.importers.graphs.keras_checks import check_config

OPSET = 18
"""Version of ONNX that tf2onnx writes."""

RECORDS = {"metadata.json", "config.json", "model.weights.h5"}
"""Records of a .keras archive."""

LONGEST_CONFIG = 20_000_000
"""Characters of the JSON of a Keras model."""

XLA = ("_XlaMustCompile", "_noinline")
"""Attributes that keep a function from becoming a part of the graph around it."""

SIGNATURE = "serving_default"
"""Function of a SavedModel that is served."""


def read_keras(path: Path) -> ForeignGraph:
    """A .keras archive. Raises ZooError as sources.read does."""
    records = archives.records(path)
    if not set(records) >= RECORDS:
        raise ZooError(f"{path}: is no whole .keras archive; expected the records {', '.join(sorted(RECORDS))}")
    if set(records) > RECORDS:
        more = ", ".join(sorted(set(records) - RECORDS))
        raise ZooError(f"{path}: refused, it holds {more}; only a graph and its weights are read")
    config = _config(records["config.json"], str(path))
    version = _config(records["metadata.json"], str(path)).get("keras_version")
    with _folder() as folder:
        weights = folder / "model.weights.h5"
        weights.write_bytes(records["model.weights.h5"])
        _check_weights(weights, str(path))
        return _keras_graph(path, config, version, weights)


def read_h5(path: Path, graph: Path | None) -> ForeignGraph:
    """An .h5 with its graph inside or in the file `graph`. Raises ZooError as sources.read does."""
    require("h5py", "", str(path))
    import h5py

    _check_weights(path, str(path))
    with h5py.File(path, "r") as file:
        text, version = file.attrs.get("model_config"), file.attrs.get("keras_version")
    if graph is not None:
        file_checks.check_file(graph, "the .json of a Keras model")
        text = graph.read_bytes()
    if text is None:
        raise ZooError(
            f"{path}: holds arrays but no graph; give the .json of the model with --graph, or a plug-in of its "
            "architecture reads it"
        )
    config = _config(text, str(graph or path))
    version = config.pop("keras_version", version) or ("3" if "module" in config else "2")
    config.pop("backend", None)
    return _keras_graph(path, config, version, path, legacy=graph is None)


def read_saved_model(path: Path) -> ForeignGraph:
    """A SavedModel folder. Raises ZooError as sources.read does."""
    tensorflow = _tensorflow(path)
    with _folder() as folder:
        saved_models.copy_checked(path, folder)
        try:
            with quiet(logging.ERROR):
                loaded = tensorflow.saved_model.load(str(folder))
        except Exception as error:  # noqa: BLE001  TensorFlow has no common class of errors
            raise ZooError(f"{path}: TensorFlow cannot read this SavedModel ({reason(error)})") from None
        names = sorted(loaded.signatures)
        if SIGNATURE not in names and len(names) != 1:
            raise ZooError(f"{path}: expected the signature {SIGNATURE}, got {', '.join(names) or 'none'}")
        function = loaded.signatures[SIGNATURE if SIGNATURE in names else names[0]]
        specs = sorted(function.structured_input_signature[1].items())
        outputs = sorted(function.structured_outputs)

        def call(*arrays: Any) -> list[Any]:
            results = function(**dict(zip([name for name, _ in specs], arrays, strict=True)))
            return [results[name] for name in outputs]

        return _converted(path, "SavedModel", call, dict(specs), outputs, f"tensorflow {tensorflow.__version__}")


def _keras_graph(path: Path, config: dict[str, Any], version: Any, weights: Path, legacy: bool = False) -> ForeignGraph:
    """Make the model with the Keras that wrote it, and convert it. legacy: whether `weights` is an .h5 with a graph."""
    config.pop("compile_config", None)
    check_config(config, str(path))
    tensorflow = _tensorflow(path)
    old = not str(version).startswith("3")
    require("tf_keras" if old else "keras", "keras", str(path))
    try:
        with quiet(logging.ERROR):
            if old:
                import tf_keras as keras
            else:
                import keras
            if legacy and not old:
                model = keras.models.load_model(str(weights), compile=False)  # its graph has the form of Keras 2
            else:
                model = keras.models.model_from_json(json.dumps(config))
                model.load_weights(str(weights))
            names = _names([one.name for one in model.inputs]), _names(_output_names(model))
            specs = [tensorflow.TensorSpec(one.shape, one.dtype) for one in model.inputs]
    except Exception as error:  # noqa: BLE001  Keras has no common class of errors
        raise ZooError(f"{path}: Keras cannot read this network ({reason(error)})") from None

    def call(*arrays: Any) -> list[Any]:
        results = model(arrays[0] if len(arrays) == 1 else list(arrays), training=False)
        return tensorflow.nest.flatten(results)

    library = "tf_keras" if old else "keras"
    kind = f"Keras {2 if old else 3} ({path.suffix})"
    versions = f"{library} {keras.__version__} on tensorflow {tensorflow.__version__}"
    return _converted(path, kind, call, dict(zip(names[0], specs, strict=True)), names[1], versions)


def _output_names(model: Any) -> list[str]:
    """Names of the outputs; that of its last layer for a Sequential of Keras 3, which names none."""
    return [str(name) for name in getattr(model, "output_names", None) or [model.layers[-1].name]]


def _names(given: list[str]) -> list[str]:
    """Names without the numbers that TensorFlow adds, if they stay different."""
    short = [name.partition(":")[0] for name in given]
    return short if len(set(short)) == len(short) else [f"{name}_{place}" for place, name in enumerate(short)]


def _converted(
    path: Path, kind: str, call: Callable[..., list[Any]], specs: dict[str, Any], outputs: list[str], versions: str
) -> ForeignGraph:
    """Convert a function of TensorFlow. specs: input -> its TensorSpec, in the order of the arguments."""
    import tensorflow

    require("tf2onnx", "keras", str(path))
    names = [f"input_{place}" for place in range(len(specs))]
    signature = [
        tensorflow.TensorSpec(spec.shape, spec.dtype, name) for name, spec in zip(names, specs.values(), strict=True)
    ]
    try:
        with quiet(logging.ERROR):
            import tf2onnx

            function = tensorflow.function(call, input_signature=signature, autograph=False)
            graph, results = _frozen(function.get_concrete_function())
            model, _ = tf2onnx.convert.from_graph_def(
                graph,
                input_names=[f"{name}:0" for name in names],
                output_names=results,
                opset=OPSET,
                custom_op_handlers={"Erfc": (_erfc, [])},
            )
    except Exception as error:  # noqa: BLE001
        raise ZooError(f"{path}: tf2onnx cannot convert this network to ONNX ({reason(error)})") from None
    _rename(model.graph, {f"{name}:0": own for name, own in zip(names, specs, strict=True)})
    _rename(model.graph, dict(zip([one.name for one in model.graph.output], outputs, strict=True)))

    def run(feeds: Arrays) -> dict[str, np.ndarray]:
        results = function(*(tensorflow.constant(feeds[name]) for name in specs))
        return {name: result.numpy() for name, result in zip(outputs, results, strict=True)}

    return finished(str(path), kind, model, run, versions)


def _frozen(function: Any) -> tuple[Any, list[str]]:
    """A graph with constants in place of variables, and the names of its results.

    Some layers, such as grouped convolutions, demand XLA for a part of themselves, which tf2onnx would leave out.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    frozen = convert_variables_to_constants_v2(function, lower_control_flow=False, aggressive_inlining=True)
    graph = frozen.graph.as_graph_def()
    for part in (*graph.node, *graph.library.function, *(n for f in graph.library.function for n in f.node_def)):
        for name in XLA:
            part.attr.pop(name, None)
    return graph, [one.name for one in frozen.outputs]


def _erfc(context: Any, node: Any, name: str, _: Any) -> None:
    """1 - erf, since ONNX has no complementary error function."""
    one = context.make_const(f"{name}_one", np.ones((), np.float32))
    erf = context.make_node("Erf", [node.input[0]])
    context.remove_node(node.name)
    context.make_node("Sub", [one.output[0], erf.output[0]], outputs=list(node.output), name=name)


def _rename(graph: Any, new: dict[str, str]) -> None:
    """Give values of a graph other names."""
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    for value in (*graph.input, *graph.output):
        value.name = new.get(value.name, value.name)
    clash = {name: f"{name}__inside" for name in set(new.values()) & taken}
    for node in graph.node:
        node.input[:] = [new.get(name, clash.get(name, name)) for name in node.input]
        node.output[:] = [new.get(name, clash.get(name, name)) for name in node.output]
    for one in graph.initializer:
        one.name = clash.get(one.name, one.name)
    del graph.value_info[:]


def _config(text: str | bytes, where: str) -> dict[str, Any]:
    try:
        content = file_checks.parse_json(text, LONGEST_CONFIG)
        if not isinstance(content, dict):
            raise ValueError("expected an object")
    except (ValueError, TypeError) as error:
        raise ZooError(f"{where}: is not JSON of a Keras model ({error})") from None
    return content


def _check_weights(path: Path, where: str) -> None:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            keras_files.check_contained(file, where)
    except keras_files.READ_ERRORS as error:
        raise ZooError(f"{where}: its weights cannot be read; the file is damaged ({reason(error)})") from None


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="zoo-import-") as name:
        yield Path(name)


def _tensorflow(path: Path) -> Any:
    require("tensorflow", "keras", str(path))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with quiet(logging.ERROR):
        import tensorflow
    return tensorflow
