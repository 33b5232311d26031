"""What a SavedModel may contain: operators that compute, and variables.

TensorFlow runs what is reachable from the functions of the file, and some of its operators read and write files. So all
these functions are checked, and a copy without anything else is what TensorFlow opens. Sources: saved_model.proto and
saved_object_graph.proto of TensorFlow 2.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from zoo.errors import ZooError
from zoo.weights import file_checks
from zoo.weights.importers.graphs.known_names import TENSORFLOW_OPERATORS

OPERATORS = frozenset(TENSORFLOW_OPERATORS.split())

OBJECTS = ("user_object", "function", "variable", "constant", "captured_tensor", "bare_concrete_function")
"""Kinds of objects of a SavedModel that are read; the others are files and resources."""


def copy_checked(path: Path, folder: Path) -> None:
    """Copy a SavedModel with its functions and variables alone.

    Raises ZooError for one that is damaged, too large, of TensorFlow 1, or that could read and write files.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    files = [path / "saved_model.pb", *sorted((path / "variables").glob("variables.*"))]
    for file in files:
        if file.is_symlink() or not file.is_file():
            raise ZooError(f"{file}: expected a regular file of a SavedModel")
    file_checks.check_bytes(sum(file.stat().st_size for file in files), str(path), "has")
    try:
        model = saved_model_pb2.SavedModel.FromString(files[0].read_bytes())
    except DecodeError as error:
        raise ZooError(f"{files[0]}: is damaged or has another format ({error})") from None
    if len(model.meta_graphs) != 1 or not model.meta_graphs[0].HasField("object_graph_def"):
        raise ZooError(f"{path}: expected a SavedModel of TensorFlow 2 with one graph; save it again with model.export")
    graph = model.meta_graphs[0]
    _check_objects(graph.object_graph_def, path)
    _keep_reachable(graph, path)
    (folder / "variables").mkdir()
    for file in files[1:]:
        shutil.copyfile(file, folder / "variables" / file.name)
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())


def _check_objects(objects: Any, path: Path) -> None:
    for one in objects.nodes:
        kind = one.WhichOneof("kind")
        if kind not in OBJECTS:
            raise ZooError(f"{path}: refused, it holds a {kind}; only functions and variables are read")
        if one.saveable_objects or one.registered_name or one.registered_saver:
            raise ZooError(f"{path}: refused, it holds an object that is restored by its own code")


def _keep_reachable(graph: Any, path: Path) -> None:
    """Check the functions that can be called, and remove everything else."""
    library = {function.signature.name: function for function in graph.graph_def.library.function}
    todo = list(graph.object_graph_def.concrete_functions)
    kept: set[str] = set()
    while todo:
        name = todo.pop()
        if name in kept or name not in library:
            continue
        kept.add(name)
        for node in library[name].node_def:
            if node.op in library:
                todo.append(node.op)
            elif node.op not in OPERATORS:
                raise ZooError(
                    f"{path}: refused, it needs the TensorFlow operator {node.op}, which no network of ours needs"
                )
            for value in node.attr.values():
                todo += [value.func.name, *(one.name for one in value.list.func)]
    del graph.graph_def.node[:]
    graph.ClearField("saver_def")
    graph.ClearField("collection_def")
    unused = [function for function in graph.graph_def.library.function if function.signature.name not in kept]
    for function in unused:
        graph.graph_def.library.function.remove(function)
    del graph.graph_def.library.gradient[:]
    del graph.graph_def.library.registered_gradients[:]
