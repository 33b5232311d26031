"""`zoo export`: weights written in a format that other programs run; one file in exporters/ a format.

An exporter's own options are the keyword-only parameters of its `export` that carry a help, as in
`opset: Annotated[int | None, "Operator set to write."] = None`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, get_args, get_origin

from cyclopts import Group, Parameter

from zoo import registry
from zoo.cli import options
from zoo.errors import ZooError

KEYWORD = inspect.Parameter.KEYWORD_ONLY


def command(
    model: Annotated[str, Parameter(help="Weights to export, by name; see zoo list.")],
    /,
    *,
    format: Annotated[str | None, Parameter(help="Format to write; zoo list shows them.")] = None,  # noqa: A002
    weights: Annotated[str | None, Parameter(help="Weights file or name; else the model's own.")] = None,
    output: Annotated[Path | None, Parameter(help="File to write; else MODEL.onnx or so.")] = None,
    overwrite: options.Overwrite = False,
    **given: Any,
) -> None:
    from zoo.system.atomic import check_target
    from zoo.weights import named as sources

    formats = registry.names("exporters")
    chosen = {name for name in formats if given.pop(name, False)} | ({format} if format else set())
    if len(chosen) != 1:
        flags = ", ".join(f"--{name}" for name in formats)
        raise ZooError(f"format: expected one, as {flags} or --format NAME, got {len(chosen)}")
    name = chosen.pop()
    exporter = registry.load("exporters", name)
    for option in given.keys() - own_options(exporter).keys():
        raise ZooError(f"--{option.replace('_', '-')}: the format {name} has no such setting")
    path = output or Path(f"{model.replace(':', '-')}{exporter.SUFFIX}")
    if path.suffix != exporter.SUFFIX:
        raise ZooError(f"{path}: expected an output name that ends in {exporter.SUFFIX}")
    check_target(path, overwrite, [sources.file_of(weights or model)])
    source = sources.load(model, weights)
    exporter.export(source, path, overwrite=overwrite, **given)
    print(f"{path}: {name}, {path.stat().st_size:,} bytes, weights id {source.spec.weights_id[:12]}")


def own_options(exporter: ModuleType) -> dict[str, inspect.Parameter]:
    """Those of one format: name -> the parameter of its `export`, whose annotation holds the type and the help."""
    found = {}
    for name, parameter in inspect.signature(exporter.export).parameters.items():
        if parameter.kind is KEYWORD:
            written = parameter.annotation
            # one at a time: others may name what is imported for type checkers only
            annotation = eval(written, exporter.export.__globals__) if isinstance(written, str) else written
            if get_origin(annotation) is Annotated:
                found[name] = parameter.replace(annotation=annotation)
    return found


def every_option() -> Iterator[inspect.Parameter]:
    """A flag for each format, then the options of each; one that several formats have stands under all of them."""
    for name in registry.names("exporters"):
        help_ = Parameter(name=f"--{name}", help=f"The same as --format {name}.")
        yield inspect.Parameter(name, KEYWORD, default=False, annotation=Annotated[bool, help_])
    shared: dict[str, list[tuple[str, inspect.Parameter]]] = {}
    for name, exporter in registry.working("exporters").items():
        for option, parameter in own_options(exporter).items():
            shared.setdefault(option, []).append((name, parameter))
    for users in shared.values():
        _, parameter = users[0]
        kind, text, *_ = get_args(parameter.annotation)
        groups = tuple(Group(f"Format {name}", sort_key=options.AFTER_ALL) for name, _ in users)
        yield parameter.replace(annotation=Annotated[kind, Parameter(help=text, group=groups)])


_written = inspect.signature(command)
command.__signature__ = _written.replace(  # type: ignore[attr-defined]
    parameters=[*list(_written.parameters.values())[:-1], *every_option()]
)
