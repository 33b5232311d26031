"""`zoo pack`: a folder of weights to publish, with a card, a licence, test tensors and checksums.

The folder appears when everything in it was written and its own test has passed, or not at all.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zoo
from zoo import registry
from zoo.card import Card
from zoo.checks import parity, stored
from zoo.errors import ZooError
from zoo.prediction import session
from zoo.publish import licences
from zoo.publish.options import Format, PackOptions
from zoo.publish.readme import Page
from zoo.spec import ModelSpec
from zoo.system import machine
from zoo.system.atomic import check_folder_target, replacing_folder
from zoo.weights import checkpoint, lookup, packs, test_tensors
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.test_tensors import TestTensors


def pack(
    weights: str | Path,
    folder: Path,
    stated: Card | None = None,
    options: PackOptions | None = None,
    overwrite: bool = False,
) -> ModelSpec:
    """Write a pack of weights, and test it. Returns the spec in its files.

    weights: a name, a file or a run folder.  stated: what the card of the weights does not say; a field that it has is
    replaced, except for one that forbids to pass them on.
    Raises ZooError for weights whose licence is unknown or does not allow redistribution, and for a format that they
    cannot have; CheckFailed if the files do not give the same numbers. Then nothing is written.
    """
    options, stated = options or PackOptions(), stated or Card()
    check_folder_target(folder, overwrite, packs.FILES, [weights if not lookup.is_name(weights) else None])
    source = _Source(lookup.path_of(weights))
    spec = _with_card(source.spec, stated, options.licence, str(weights))
    card, formats = spec.card or Card(), source.formats(options.formats)
    licence = _licence_text(spec, card, options)
    with replacing_folder(folder, overwrite, packs.FILES) as partial:
        for suffix in formats:
            source.write(spec, partial / f"{packs.STEM}{suffix}")
        tests = stored.stored_in(source.path) or _predicted(partial, spec, options)
        (partial / packs.TESTS).write_bytes(tests.to_bytes())
        (partial / packs.LICENCE).write_text(licence, "utf-8")
        names = tuple(sorted(path.name for path in partial.iterdir()))
        repository = options.repository or f"OWNER/{folder.absolute().name}"
        page = Page(repository, spec, card, tests, names, scores(weights, spec))
        (partial / packs.README).write_text(page.text(), "utf-8")
        (partial / packs.SUMS).write_text(packs.sums(partial), "ascii")
        _test(partial)
    return spec


class _Source:
    """The weights to pack: a Checkpoint, or an .onnx file whose arrays cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.weights = None if path.suffix == ".onnx" else checkpoint.load(path)
        self.spec = lookup.read_spec(path) if self.weights is None else self.weights.spec

    def formats(self, wanted: tuple[Format, ...]) -> list[str]:
        """Suffixes of the files to write. Raises ZooError for a format that the weights cannot have."""
        if self.weights is None:
            if "safetensors" in wanted:
                raise ZooError(f"{self.path}: cannot be packed as .safetensors, since arrays cannot be read from .onnx")
            return [".onnx"]
        refused = registry.load("exporters", "onnx").refuses(self.spec)
        if refused and "onnx" in wanted:
            raise ZooError(f"{self.path}: cannot be packed as .onnx: {refused}")
        possible = [".safetensors", *([] if refused else [".onnx"])]
        return [suffix for suffix in possible if not wanted or suffix[1:] in wanted]

    def write(self, spec: ModelSpec, path: Path) -> None:
        """Write the weights with this spec."""
        onnx = registry.load("exporters", "onnx")
        if self.weights is None:
            onnx.write_spec(self.path, path, spec)
        elif path.suffix == ".onnx":
            onnx.export(Checkpoint(spec, self.weights.arrays), path)
        else:
            checkpoint.save(Checkpoint(spec, self.weights.arrays), path)


def _with_card(spec: ModelSpec, stated: Card, licence: str | None, where: str) -> ModelSpec:
    """The spec with its card and its licence, completed by what the user states. Raises ZooError for a licence that
    does not allow redistribution, or another one than the file has."""
    known = lookup.card(spec) or Card()
    if known.redistribution is False:
        licences.check(spec.licence, False, where)
    licence = licences.spelled(licence or spec.licence)
    if spec.licence not in licences.UNKNOWN and licences.spelled(spec.licence) != licence:
        raise ZooError(f"--licence: the weights {where} carry the licence {spec.licence!r}, got {licence!r}")
    card = stated.filled(known)
    licences.check(licence, card.redistribution, where)
    return dataclasses.replace(spec, card=card, licence=licence)


def _licence_text(spec: ModelSpec, card: Card, options: PackOptions) -> str:
    """The content of LICENSE."""
    if options.licence_file is not None:
        from zoo.formats.text_input import read_text

        return read_text(options.licence_file)
    holder = card.citation.partition(",")[0] or "the authors of the weights"
    found = licences.text(spec.licence, holder, spec.source)
    if found is None:
        raise ZooError(f"the licence {spec.licence} must go with the weights; give its text with --licence-file")
    return found


def _predicted(folder: Path, spec: ModelSpec, options: PackOptions) -> TestTensors:
    """Test tensors by the most trusted runtime of this machine."""
    codes = test_tensors.random_codes(spec.sequence_length, options.seed)
    names = [options.runtime] if options.runtime else session.references()
    running = parity.first_usable(parity.Subject(weights=packs.weights_in(folder)), names)
    libraries = getattr(session.plugin(running.runtime), "LIBRARIES", ())
    versions = ", ".join(f"{name} {version}" for name in libraries if (version := machine.version(name)))
    made_by = f"deepstarr-zoo {zoo.__version__} on {running.runtime}{f' ({versions})' if versions else ''}"
    return TestTensors(codes, running.predict_codes(codes), made_by)


def _test(folder: Path) -> None:
    """Raise CheckFailed unless the files of a new pack give the numbers of its test tensors."""
    packs.check(folder)
    if (folder / "weights.onnx").is_file():  # the numbers come from the other file, if there is one
        stored.run(folder, [name for name in lookup.graph_runtimes() if not session.missing(name)]).check()


def scores(weights: str | Path, spec: ModelSpec) -> Mapping[str, float]:
    """Target -> Pearson r on the test split in the log of a training run; empty for other weights."""
    run = lookup.run_of(weights)
    if run is None:
        return {}
    try:
        tested: Any = json.loads((run / lookup.RUN_RECEIPTS).read_text())["test"]
        found = {target: tested[f"pearson_{target}"] for target in spec.targets}
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return {name: value for name, value in found.items() if isinstance(value, float) and math.isfinite(value)}
