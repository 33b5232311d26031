"""`zoo pull`: the published data and weights, downloaded and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def command(
    what: Annotated[
        str,
        Parameter(
            help="data, for the published sequences and activities, or the name of a model, for its published weights."
        ),
    ],
    /,
    *,
    source: Annotated[
        Path | None, Parameter(name="--from", help="Folder with a copy that is on this machine already.")
    ] = None,
    mirror: Annotated[
        list[str] | None,
        Parameter(
            help="Address that the files lie under, instead of the known ones; repeatable.", env_var="ZOO_MIRROR"
        ),
    ] = None,
    offline: Annotated[bool, Parameter(help="Never use the network.", env_var="ZOO_OFFLINE")] = False,
) -> None:
    import contextlib

    from zoo.cli.progress import Bar
    from zoo.errors import ZooError
    from zoo.weights import pull
    from zoo.weights.lookup import PUBLISHED, published

    variants = published()
    if what not in ("data", *variants):
        raise ZooError(f"expected {' or '.join(('data', *variants))} to pull, got {what!r}")
    origin = pull.Origin(source, tuple(mirror or ()), offline)
    bars: dict[str, Bar] = {}
    with contextlib.ExitStack() as shown:

        def report(name: str, done: int, total: int | None) -> None:
            if name not in bars:
                shown.close()
                bars[name] = shown.enter_context(Bar(f"bytes of {name}", total))
            bars[name].update(done, done)

        if what == "data":
            for variant, architecture in variants.items():
                folder = pull.data(architecture, origin, report)
                files = len(list(folder.iterdir()))
                print(f"{folder}: {files} files, as published; zoo train {variant} --data {folder}")
        else:
            path, weights = pull.weights(variants[what], origin, report)
            spec = weights.spec
            print(f"{path}: weights id {spec.weights_id[:12]}; zoo predict --weights {what}:{PUBLISHED}")
            print(f"source: {spec.source}; licence: {spec.licence}")
