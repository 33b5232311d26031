"""A .pt2 of torch.export as data: checked before PyTorch opens it.

PyTorch evaluates text of a .pt2 (symbolic sizes, names of operators) and unpickles parts of it. So what is not expected
is refused, and the rest is written to a new archive, which PyTorch opens. Sources: torch/export/pt2_archive and
torch/_export/serde of PyTorch 2.
"""

from __future__ import annotations

import ast
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import ZooError
from zoo.weights import file_checks
from zoo.weights.importers.graphs import archives
from zoo.weights.importers.graphs.graph import reason
from zoo.weights.importers.graphs.known_names import EXPORTED_ARGUMENTS, SIZE_FUNCTIONS, TORCH_OPERATORS

ARGUMENTS, FUNCTIONS, OPERATORS = (
    frozenset(names.split()) for names in (EXPORTED_ARGUMENTS, SIZE_FUNCTIONS, TORCH_OPERATORS)
)

LONGEST_PROGRAM = 50_000_000
"""Characters of the JSON of a graph; a network of a hundred layers has a million."""

TARGET = re.compile(
    r"torch\.ops\.aten\.(\w+)\.\w+|(?:_operator|math)\.(?:add|sub|mul|neg|pow|truediv|floordiv|mod|eq|ne|lt|le|gt|ge|getitem"
    r"|and_|or_|not_|trunc|floor|ceil)|torch\.sym_(?:int|float|max|min|not|sqrt|ite)"
)
"""Functions that a graph of torch.export may call; group 1: a name in OPERATORS."""

PARTS = (
    ast.Expression, ast.Call, ast.Name, ast.Load, ast.Constant, ast.keyword, ast.BinOp, ast.UnaryOp, ast.USub, ast.Add,
    ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE,
)  # fmt: skip
"""What else such a text may consist of."""

LONGEST_EXPRESSION = 2000
"""Characters."""

LARGEST_EXPONENT = 4

SYMBOL = re.compile(r"[a-z]{1,4}\d{1,9}")
"""Name of a free size."""

CONTAINERS = (None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict")
"""Types of arguments and results."""

INPUTS = {"user_input", "parameter", "buffer", "tensor_constant", "constant_input"}
"""Kinds of inputs of a program."""

KEPT = ("archive_format", "archive_version", "byteorder", ".data/version", "version")
"""Records of a .pt2 that say what it is."""

CONFIGURATIONS = {"data/weights/": "weights", "data/constants/": "constants"}
"""Folder of arrays in a .pt2 -> part of the name of the record that describes them."""

OPTIONAL = {"guards_code": [], "verifiers": ["TRAINING"]}
"""Parts of a program that PyTorch runs as code, and what replaces them."""


def checked(path: Path) -> io.BytesIO:
    """A new archive of what a .pt2 needs, after everything in it was checked."""
    found = archives.records(path)
    if "serialized_exported_program.json" in found:
        raise ZooError(
            f"{path}: an older PyTorch wrote this file with pickles in it; save it again with PyTorch 2.9 or later"
        )
    rooted = {name.partition("/")[2]: record for name, record in found.items()}
    models = [name for name in rooted if name.startswith("models/")]
    if len(models) != 1 or not re.fullmatch(r"models/\w+\.json", models[0]):
        raise ZooError(f"{path}: expected one program in the archive, got {len(models)}")
    name = models[0].removeprefix("models/").removesuffix(".json")
    if any(one.startswith("data/aotinductor/") for one in rooted):
        raise ZooError(f"{path}: refused, it holds compiled code; save the network with torch.export.save")
    kept = {one: rooted[one] for one in KEPT if one in rooted}
    try:
        program = _json(rooted[models[0]])
        _check_program(program)
        kept[models[0]] = json.dumps(program).encode()
        size = 0
        for folder, file in CONFIGURATIONS.items():
            record = f"{folder}{name}_{file}_config.json"
            config = _json(rooted[record])
            for key, payload in config["config"].items():
                size += _check_payload(key, payload)
                part = f"{folder}{payload['path_name']}"
                kept[part] = rooted[part]
            _visit(config)
            kept[record] = json.dumps(config).encode()
        file_checks.check_bytes(size, str(path))
        kept[f"data/sample_inputs/{name}.pt"] = b""
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, RecursionError) as error:
        raise ZooError(f"{path}: is a damaged program of torch.export ({reason(error)})") from None
    except ZooError as error:
        raise ZooError(f"{path}: {error}") from None
    return archives.packed({f"program/{one}": record for one, record in kept.items()})


def _json(text: bytes) -> Any:
    return file_checks.parse_json(text, LONGEST_PROGRAM)


def _check_program(program: Any) -> None:
    """Check and simplify a program. Raises ZooError for what would run code, another error for a damaged one."""
    program.update(OPTIONAL)
    module = program["graph_module"]
    module["metadata"], module["treespec_namedtuple_fields"] = {}, {}
    module["module_call_graph"] = module["module_call_graph"][:1]
    for call in module["module_call_graph"]:
        for side in ("in_spec", "out_spec"):
            _check_containers(_json(call["signature"][side]))
    for symbol in program["range_constraints"]:
        if not SYMBOL.fullmatch(symbol):
            raise ZooError(f"refused, expected the name of a size, got {symbol!r}")
    for node in module["graph"]["nodes"]:
        node["metadata"] = {}
    for spec in module["signature"]["input_specs"]:
        if not set(spec) <= INPUTS:
            raise ZooError(f"refused, it needs {', '.join(spec)}; only arrays are read")
    _visit(program)


def _visit(content: Any) -> None:
    """Check every function, argument and symbolic size; put every array on the CPU."""
    todo = [content]
    while todo:
        one = todo.pop()
        if isinstance(one, list):
            todo += one
        if not isinstance(one, dict):
            continue
        if set(one) == {"type", "index"}:
            one.update(type="cpu", index=None)
        for key, value in one.items():
            if key == "target":
                _check_target(value)
            elif key == "expr_str" or (key == "as_expr" and isinstance(value, str)):
                _check_expression(value)
            elif key.startswith("as_") and key not in ARGUMENTS:
                raise ZooError(
                    f"refused, an operator has an argument of the kind {key}; only arrays and numbers are read"
                )
            todo.append(value)


def _check_target(target: Any) -> None:
    found = TARGET.fullmatch(target)
    if not found or (found[1] and found[1] not in OPERATORS):
        raise ZooError(f"refused, it calls {target}, which is no operator of a network")


def _check_expression(text: Any) -> None:
    """Raise ZooError unless the text is arithmetic with sizes."""
    try:
        if len(text) > LONGEST_EXPRESSION:
            raise ValueError
        parts = list(ast.walk(ast.parse(text, mode="eval")))
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        parts = []
    if not parts or not all(_is_arithmetic(part) for part in parts):
        raise ZooError(f"refused, {text!r} is no arithmetic with sizes, and PyTorch would run it")


def _is_arithmetic(part: ast.AST) -> bool:
    if isinstance(part, ast.Name):
        return part.id in FUNCTIONS or part.id in ("True", "False") or bool(SYMBOL.fullmatch(part.id))
    if isinstance(part, ast.Constant):
        return (
            bool(SYMBOL.fullmatch(part.value)) if isinstance(part.value, str) else isinstance(part.value, int | float)
        )
    if isinstance(part, ast.Call):
        power = isinstance(part.func, ast.Name) and part.func.id == "Pow"
        return isinstance(part.func, ast.Name) and (not power or _is_small(part.args[-1:]))
    return isinstance(part, PARTS)


def _is_small(exponent: list[ast.expr]) -> bool:
    """Whether an exponent is a small number, so that the power can be computed."""
    numbers = [one.value for part in exponent for one in ast.walk(part) if isinstance(one, ast.Constant)]
    calls = [one for part in exponent for one in ast.walk(part) if isinstance(one, ast.Call)]
    return len(numbers) == 1 and len(calls) <= 1 and isinstance(numbers[0], int) and numbers[0] <= LARGEST_EXPONENT


def _check_containers(spec: Any) -> None:
    """Check the description of arguments or results, which PyTorch builds."""
    todo = [spec[1]]
    while todo:
        one = todo.pop()
        if one["type"] not in CONTAINERS:
            raise ZooError(
                f"refused, an argument or result is a {one['type']}; only tuples, lists and dictionaries are read"
            )
        todo += one["children_spec"]


def _check_payload(name: str, payload: Any) -> int:
    """Check how an array is stored, and return its bytes as float32."""
    if payload["use_pickle"] or not re.fullmatch(r"(weight|tensor)_\d+", payload["path_name"]):
        raise ZooError(f"refused, {name} is stored as a pickle; save the program with plain arrays")
    return math.prod(size["as_int"] for size in payload["tensor_meta"]["sizes"]) * np.dtype(np.float32).itemsize
