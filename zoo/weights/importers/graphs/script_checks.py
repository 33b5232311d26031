"""TorchScript as text: its code is checked before PyTorch opens the archive, since opening it runs parts of it.

The code has the syntax of Python, so Python's parser reads it; only operators that compute are allowed. Source:
torch/csrc/jit/serialization of PyTorch 2.
"""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Mapping
from pathlib import Path

from zoo.errors import ZooError
from zoo.weights.importers.graphs import archives
from zoo.weights.importers.graphs.graph import reason
from zoo.weights.importers.graphs.known_names import TORCH_OPERATORS, TORCHSCRIPT_FUNCTIONS, TORCHSCRIPT_OPERATORS

ATEN, PRIM, BUILTINS = (
    frozenset(names.split()) for names in (TORCH_OPERATORS, TORCHSCRIPT_OPERATORS, TORCHSCRIPT_FUNCTIONS)
)

LONGEST_CODE = 10_000_000
"""Characters of one file of code."""

FILES = re.compile(r"\b(?:save|from_file)\b")
"""Operators of TorchScript that open files. They are looked for in the text too, which no trick of syntax can hide."""

NAMESPACES = ("aten", "prim")

TEXT = re.compile(r'"(?:[^"\\\n]|\\.)*"')
"""A text in the code."""

CODE = (
    ast.Module, ast.ClassDef, ast.FunctionDef, ast.arguments, ast.arg, ast.Assign, ast.AnnAssign, ast.AugAssign,
    ast.Return, ast.If, ast.IfExp, ast.While, ast.For, ast.Expr, ast.Pass, ast.Name, ast.Load, ast.Store,
    ast.Attribute, ast.Subscript, ast.Slice, ast.Call, ast.keyword, ast.Constant, ast.Tuple, ast.List, ast.Dict,
    ast.Compare, ast.BoolOp, ast.And, ast.Or, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.cmpop,
    ast.Break, ast.Continue,
)  # fmt: skip
"""What the code of TorchScript consists of."""


def checked(path: Path) -> io.BytesIO:
    """A new archive of a TorchScript program, after its code was checked."""
    kept = {}
    records = archives.records(path)
    defined = _defined(records)
    for name, record in records.items():
        part = name.partition("/")[2]
        if part.endswith(".pkl") and b"torch.classes" in record:
            raise ZooError(f"{path}: refused, it holds objects of C++ classes; only arrays are read")
        if part.startswith("code/") and part.endswith(".py"):
            _check_code(record, defined, f"{path}: {part}")
        if not part.endswith(".debug_pkl") and not part.startswith("extra/"):
            kept[f"program/{part}"] = record
    return archives.packed(kept)


def _defined(records: Mapping[str, bytes]) -> set[str]:
    """Names of the methods and functions that the code of an archive defines."""
    code = b"\n".join(record for name, record in records.items() if name.endswith(".py"))
    return {name.decode() for name in re.findall(rb"^ *def (\w+)\(", code, re.MULTILINE)}


def _check_code(code: bytes, defined: set[str], where: str) -> None:
    """Raise ZooError unless code only computes with known operators. defined: its own methods and functions."""
    try:
        text = code.decode("ascii")
        if len(text) > LONGEST_CODE or re.search(r"['#\\;\f\r]", TEXT.sub("", text)):
            raise ValueError("it has characters that PyTorch never writes")
        parts = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ZooError(f"{where}: is no code as PyTorch writes it ({reason(error)})") from None
    forbidden = FILES.search(text)
    if forbidden:
        raise ZooError(f"{where}: refused, it uses {forbidden[0]}, which opens files")
    local = {
        ast.unparse(part.targets[0])
        for part in parts
        if isinstance(part, ast.Assign) and ast.unparse(part.value).startswith("__torch__.")
    }
    rooted = {id(part.value) for part in parts if isinstance(part, ast.Attribute)}
    for part in parts:
        if isinstance(part, ast.Name) and part.id in ("torch", "ops") and id(part) not in rooted:
            raise ZooError(f"{where}: refused, it passes {part.id} on, as a name for any operator")
        bad = _not_allowed(part, defined, local)
        if bad:
            raise ZooError(f"{where}: refused, it uses {bad}, which is no operator of a network")


def _not_allowed(part: ast.AST, defined: set[str], local: set[str]) -> str | None:
    """What a part of the code uses that it may not; None if nothing. local: variables that are functions."""
    if not isinstance(part, CODE):
        return type(part).__name__
    if isinstance(part, ast.Attribute):
        name = ast.unparse(part)
        first, _, rest = name.partition(".")
        if first in ("torch", "ops"):
            return None if rest in NAMESPACES or _is_operator(first, rest) else name
        if "torch.classes" in name:
            return name
    if not isinstance(part, ast.Call):
        return None
    if isinstance(part.func, ast.Name):
        return None if part.func.id in BUILTINS | local else part.func.id
    if isinstance(part.func, ast.Attribute):
        name = ast.unparse(part.func)
        known = name.startswith(("torch.", "ops.", "__torch__.")) or part.func.attr in ATEN | defined | {"forward"}
        return None if known else name
    return ast.unparse(part.func)


def _is_operator(first: str, rest: str) -> bool:
    if first == "torch":
        return rest in ATEN or rest in PRIM
    namespace, _, name = rest.partition(".")
    return (namespace == "aten" and name in ATEN) or (namespace == "prim" and name in PRIM)
