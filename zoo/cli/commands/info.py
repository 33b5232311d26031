"""`zoo info`: what a weights file or an exported model says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from zoo.cli import options


def command(
    file: Annotated[Path, Parameter(help="A .safetensors or .onnx file of this zoo.")],
    /,
    *,
    as_json: options.Json = False,
) -> None:
    import json

    from zoo.checks import inventory

    description = inventory.describe(file)
    if as_json:
        print(json.dumps(description, indent=2))
        return
    shown = {
        "file": f"{description['file']} ({description['bytes']:,} bytes)",
        "architecture": description["architecture"],
        **{f"  {name}": value for name, value in description["config"].items()},
        "sequence length": f"{description['sequence_length']} bases, alphabet {description['alphabet']}",
        "targets": ", ".join(description["targets"]),
        "numbers": f"{description['numbers']:,} in {len(description['arrays'])} arrays",
        "weights id": description["weights_id"],
        "source": description["source"],
        "licence": description["licence"],
        **({"imported": description["imported"]} if description["imported"] else {}),
    }
    width = max(map(len, shown))
    for name, value in shown.items():
        print(f"{name:<{width}}  {value}")
