"""`zoo import`: weights from elsewhere, turned into the zoo's canonical form once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from zoo.checks.imported import UNMATCHED, ImportChecks
from zoo.cli import options
from zoo.weights.importers.importing import DEFAULT, ImportOptions


def command(
    file: Annotated[Path, Parameter(help="Keras .h5, or a PyTorch state dict: .pt, .pth, .ckpt, .safetensors.")],
    /,
    *,
    output: Annotated[Path, Parameter(help="Weights file to write, .safetensors.")],
    architecture: Annotated[
        str | None, Parameter(help="The model whose file it is, see zoo list; by default the only one that fits.")
    ] = None,
    overwrite: options.Overwrite = False,
    unsaid: Annotated[ImportOptions, options.FILE] = DEFAULT,
    checks: Annotated[ImportChecks, options.CHECKED] = UNMATCHED,
) -> None:
    from zoo.checks import imported
    from zoo.errors import ZooError
    from zoo.system.atomic import check_target
    from zoo.weights import checkpoint

    if output.suffix != checkpoint.SUFFIX:
        raise ZooError(f"{output}: expected an output name that ends in {checkpoint.SUFFIX}")
    check_target(output, overwrite, [file, unsaid.graph, checks.match, checks.match_sequences])
    weights = imported.read(file, unsaid, architecture, checks)
    checkpoint.save(weights, output, overwrite)
    spec = weights.spec
    print(f"{output}: {spec.architecture}, {spec.sequence_length} bases, targets {', '.join(spec.targets)}")
    print(f"weights id {spec.weights_id[:12]}, {sum(array.size for array in weights.arrays.values()):,} numbers")
    if spec.imported:
        print(f"read with {spec.imported}")
    print(f"source: {spec.source}; licence: {spec.licence}")
