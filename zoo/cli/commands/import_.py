"""`zoo import`: weights from elsewhere, turned into the zoo's canonical form once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zoo.spec import ALPHABET


def command(
    file: Annotated[Path, typer.Argument(help="Keras .h5, or a PyTorch state dict: .pt, .pth, .ckpt, .safetensors.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Weights file to write, .safetensors.")],
    alphabet: Annotated[str, typer.Option(help="Base order that the network was trained on.")] = ALPHABET,
    flatten: Annotated[
        str | None,
        typer.Option(
            help="Order in which a PyTorch port flattens: channel (as PyTorch does) or length (as Keras does)."
        ),
    ] = None,
    epsilon: Annotated[
        float | None, typer.Option(help="Of a PyTorch port's batch normalization, if not 1e-3 as in Keras.")
    ] = None,
    length: Annotated[int | None, typer.Option(help="Sequence length in bases, if the file does not say.")] = None,
    targets: Annotated[str | None, typer.Option(help="Names of the outputs, comma-separated: dev,hk.")] = None,
    graph: Annotated[
        Path | None, typer.Option(help="The .json of a Keras model whose .h5 holds weights alone.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Where the weights come from, to be kept with them.")] = None,
    licence: Annotated[str | None, typer.Option(help="On what terms they may be used.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")] = False,
) -> None:
    """Import weights of a Keras or PyTorch DeepSTARR of any size."""
    from zoo.errors import ZooError
    from zoo.system.atomic import check_target
    from zoo.weights import checkpoint, importing

    if output.suffix != checkpoint.SUFFIX:
        raise ZooError(f"{output}: expected an output name that ends in {checkpoint.SUFFIX}")
    check_target(output, overwrite)
    weights = importing.read(
        file,
        alphabet=alphabet,
        flatten=flatten,
        epsilon=epsilon,
        length=length,
        targets=[name.strip() for name in targets.split(",")] if targets else None,
        graph=graph,
        source=source,
        licence=licence,
    )
    checkpoint.save(weights, output, overwrite)
    spec = weights.spec
    print(f"{output}: {spec.architecture}, {spec.sequence_length} bases, targets {', '.join(spec.targets)}")
    print(f"weights id {spec.weights_id[:12]}, {sum(array.size for array in weights.arrays.values()):,} numbers")
    print(f"source: {spec.source}; licence: {spec.licence}")
