"""Every sentence that a user may meet is in tests/messages.txt, so that a change of wording is read as a whole.

Collected from the source: messages of errors and warnings, reasons (of functions that return a text or None), help of
options, and the first lines of commands. Write the file again with `ZOO_UPDATE_MESSAGES=1 pytest
tests/test_messages.py`.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("zoo", "exporters/zoo_exporters", "runtimes/zoo_runtimes")
STORED = Path(__file__).with_name("messages.txt")


def text_of(node: ast.AST) -> str:
    """A string as it is written, with the expressions of an f-string in braces; "" if the node is none."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = [
            f"{{{ast.unparse(part.value)}}}" if isinstance(part, ast.FormattedValue) else text_of(part)
            for part in node.values
        ]
        return "".join(parts)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text_of(node.left) + text_of(node.right)
    if isinstance(node, ast.IfExp):
        return " | ".join(filter(None, map(text_of, (node.body, node.orelse))))
    return ""


def messages(tree: ast.Module) -> Iterator[str]:
    """Kind and text of each message in a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            yield from (f"error: {text_of(argument)}" for argument in node.exc.args if text_of(argument))
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name == "warnings.warn" or name.endswith("notes.say"):
                yield from (f"note: {text_of(argument)}" for argument in node.args if text_of(argument))
            yield from (f"help: {text_of(word.value)}" for word in node.keywords if word.arg == "help")
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Annotated":
            given = node.slice.elts if isinstance(node.slice, ast.Tuple) else []
            yield from (f"help: {text_of(part)}" for part in given[1:] if text_of(part))
        elif isinstance(node, ast.FunctionDef) and node.returns and ast.unparse(node.returns) == "str | None":
            returned = [inner.value for inner in ast.walk(node) if isinstance(inner, ast.Return) and inner.value]
            yield from (f"reason: {text_of(value)}" for value in returned if " " in text_of(value))
        elif isinstance(node, ast.ClassDef):
            for field, text in zip(node.body, node.body[1:], strict=False):
                if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and text_of(text.value):
                    yield f"help: {field.target.id}: {text_of(text.value)}"


def collected() -> str:
    lines = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            tree = ast.parse(path.read_text("utf-8"))
            found = {" ".join(message.split()) for message in messages(tree)} - {"help:"}
            if path.parent.name == "commands":
                functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name[0] != "_"]
                documented = [(node.name, ast.get_docstring(node)) for node in functions]
                found |= {f"command {name}: {text.splitlines()[0]}" for name, text in documented if text}
            if found:
                lines += ["", f"## {path.relative_to(ROOT).as_posix()}", *sorted(found)]
    return "\n".join(lines[1:]) + "\n"


def test_the_messages_are_those_that_were_read() -> None:
    if os.environ.get("ZOO_UPDATE_MESSAGES"):
        STORED.write_text(collected(), "utf-8")
    stored = STORED.read_text("utf-8").splitlines()
    found = collected().splitlines()
    added, removed = sorted(set(found) - set(stored)), sorted(set(stored) - set(found))
    assert found == stored, f"read and store: ZOO_UPDATE_MESSAGES=1 pytest {__file__}\nnew: {added}\ngone: {removed}"
