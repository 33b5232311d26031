"""The JSON graph of a Keras model: whether everything that it names is known, since Keras imports and calls it."""

from __future__ import annotations

import re
from typing import Any

from zoo.errors import ZooError
from zoo.weights.importers.graphs import known_names as known

CLASSES = frozenset(
    f"{known.KERAS_LAYERS} {known.KERAS_OPERATIONS} {known.KERAS_SETTINGS} TFOpLambda SlicingOpLambda".split()
)
ACTIVATIONS, FUNCTIONS = frozenset(known.KERAS_ACTIVATIONS.split()), frozenset(known.TENSORFLOW_FUNCTIONS.split())

CODE = {
    "Lambda": "a Lambda layer, which is Python code",
    "__lambda__": "a lambda, which is Python code",
    "TFSMLayer": "a layer that reads another file",
}
"""Class -> why it is refused, where more can be said."""

MODULE = re.compile(r"builtins|(keras|tf_keras|tensorflow\.keras|tensorflow\.python\.keras)(\.\w+)*")
"""Packages of these classes."""

LARGEST_NUMBER = 1 << 31
"""Largest whole number in a graph: larger than any size of a layer."""


def check_config(config: Any, where: str) -> None:
    """Raise ZooError unless a Keras graph only names what is listed here."""
    if not isinstance(config.get("class_name"), str):
        raise ZooError(f"{where}: expected the JSON graph of a Keras model, with class_name and config")
    todo: list[Any] = [config]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            if "class_name" in one:
                _check_class(one, where)
            todo += [value for key, value in one.items() if key != "shared_object_id"]
        elif isinstance(one, list):
            todo += one
        elif isinstance(one, int) and abs(one) > LARGEST_NUMBER:
            raise ZooError(f"{where}: a layer has the number {one:.3g}, at most {LARGEST_NUMBER:,} is allowed")


def _check_class(one: dict[str, Any], where: str) -> None:
    name, module, registered = one["class_name"], one.get("module"), one.get("registered_name")
    settings = one.get("config")
    place, function = (settings.get("name"), settings.get("function")) if isinstance(settings, dict) else (None, None)
    layer = f"{where}: layer {place}" if isinstance(place, str) else where
    if name == "function":
        if not isinstance(settings, str) or settings not in ACTIVATIONS:
            raise ZooError(
                f"{layer}: refused, it calls the function {settings!r}; only Keras's activations are known here"
            )
    elif not isinstance(name, str) or name not in CLASSES:
        what = CODE.get(str(name), f"the class {name!r}, which is unknown here")
        raise ZooError(f"{layer}: refused, it is {what}; save the network with layers of Keras alone")
    if module is not None and not MODULE.fullmatch(str(module)):
        raise ZooError(f"{layer}: refused, {name} is of the module {module!r}; only layers of Keras are read")
    if registered not in (None, name, settings if name == "function" else name):
        raise ZooError(f"{layer}: refused, {name} is registered as {registered!r}, an own class; only Keras's are read")
    if name in ("TFOpLambda", "SlicingOpLambda") and function not in FUNCTIONS:
        raise ZooError(f"{layer}: refused, it calls TensorFlow's {function!r}")
