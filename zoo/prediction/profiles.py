"""Profiles, numbers for each position, in an HDF5 file: `zoo predict --profiles`.

    profiles/NAME    float32 (N, S, P), for each profile of the network; attribute tracks: names of its S tracks,
                     attribute start: bases of a sequence before the first position, if it is known
    sequences/LABEL  a dataset for each column of the table before the targets: name, or chrom, start, end, name, strand
    targets          columns of the table
    weights_id       attribute of the file: of the network

Row i belongs to row i of the table. The file grows batch by batch. Axes: N sequences, T targets, S tracks of a
profile, P positions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import ZooError
from zoo.formats.table_writer import Column
from zoo.spec import ModelSpec
from zoo.system.atomic import check_target, replacing
from zoo.weights.checkpoint import profiles_of

if TYPE_CHECKING:
    import h5py

SUFFIXES = (".h5", ".hdf5")

CHUNK_BYTES = 1 << 20
"""Size of a chunk of a dataset, which is read and written as a whole."""


def check(path: Path, spec: ModelSpec, rc: str | None) -> None:
    """Raise ZooError if the network has no profiles, or means over both strands are predicted."""
    if not profiles_of(spec):
        raise ZooError(f"--profiles {path}: these weights have no profiles; a frame names those of an imported network")
    if rc is not None:
        raise ZooError(f"--profiles {path}: positions differ between the strands; leave out --both-strands")


def check_output(path: Path, output: Path | None, overwrite: bool, inputs: Sequence[str | Path | None]) -> None:
    """Raise ZooError if the file could not be written."""
    if output is None:
        raise ZooError(f"--profiles {path}: also needs -o, the table of the same sequences")
    if path.suffix not in SUFFIXES:
        raise ZooError(f"{path}: expected an output name that ends in {' or '.join(SUFFIXES)}")
    check_target(path, overwrite, [*inputs, output])


class ProfileFile:
    """An open file. labels: name -> type of the columns of the table before the targets.  spec: of the network."""

    def __init__(self, file: h5py.File, labels: Mapping[str, type], spec: ModelSpec) -> None:
        self._file, self._labels = file, labels
        self._length = spec.sequence_length
        self._profiles = {one.name: one for one in profiles_of(spec)}

    def append(self, labels: Sequence[Column], profiles: Mapping[str, np.ndarray]) -> None:
        """Add rows. profiles: name -> float32 (N, S, P)."""
        for (name, kind), column in zip(self._labels.items(), labels, strict=True):
            self._add(f"sequences/{name}", np.array(column, object if kind is str else np.int64))
        for name, numbers in profiles.items():
            if not np.isfinite(numbers).all():
                raise ZooError(f"profiles: {name}: some numbers are not finite")
            self._add(f"profiles/{name}", numbers)
            attributes, one = self._file[f"profiles/{name}"].attrs, self._profiles[name]
            if "tracks" not in attributes:
                attributes["tracks"] = list(one.columns)
                with contextlib.suppress(ZooError):  # an imported network may not say where its positions are
                    attributes["start"] = one.place(self._length)[0]

    def _add(self, name: str, rows: np.ndarray) -> None:
        import h5py

        if name not in self._file:
            kind: Any = h5py.string_dtype("utf-8") if rows.dtype == object else rows.dtype
            one = int(np.prod(rows.shape[1:])) * rows.dtype.itemsize
            self._file.create_dataset(
                name, (0, *rows.shape[1:]), kind, maxshape=(None, *rows.shape[1:]),
                chunks=(max(CHUNK_BYTES // max(one, 1), 1), *rows.shape[1:]),
            )  # fmt: skip
        dataset = self._file[name]
        first = len(dataset)
        dataset.resize(first + len(rows), 0)
        dataset[first:] = rows


@contextlib.contextmanager
def opened(
    path: Path | None, overwrite: bool, spec: ModelSpec, labels: Mapping[str, type]
) -> Iterator[ProfileFile | None]:
    """The file, which gets its name if the block ends well; None for no path."""
    if path is None:
        yield None
        return
    import h5py

    with replacing(path, overwrite) as partial, h5py.File(partial, "w") as file:
        file.attrs["weights_id"] = spec.weights_id
        file.create_dataset("targets", data=list(spec.targets), dtype=h5py.string_dtype("utf-8"))
        yield ProfileFile(file, labels, spec)
