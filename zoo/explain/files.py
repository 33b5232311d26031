"""The arrays that `zoo explain` leaves, written as they come: HDF5 as the paper of the published weights has it, and
the npz that TF-MoDISco reads.

    contributions.h5        contrib_scores/TARGET, hyp_contrib_scores/TARGET: float32 (N, L, 4)
    modisco.ohe.npz         one-hot, int8 (N, 4, L); a member arr_0 as numpy.savez has it
    modisco.TARGET.hyp.npz  hypothetical contributions, float32 (N, 4, L)
    ism.npz                 raw: effects of substitutions, float32 (N, L, 4, T); with --method ism

An odd length is padded with a position of zeros at its end in the files for TF-MoDISco, which fails on an odd window.
"""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import numpy as np

from zoo.dna.encoding import ONE_HOT

CONTRIBUTIONS = "contributions.h5"
ONE_HOT_FILE = "modisco.ohe.npz"
ISM = "ism.npz"

ACTUAL, HYPOTHETICAL = "contrib_scores", "hyp_contrib_scores"
"""Groups of the HDF5 file."""

MEMBER = "arr_0"
"""The array in a file for TF-MoDISco."""

RAW = "raw"


def hypothetical_file(target: str) -> str:
    return f"modisco.{of_target(target)}.hyp.npz"


def of_target(target: str) -> str:
    """The name of a target as a part of file names, which hold no "/"."""
    return quote(target, safe="*")


class Arrays:
    """The files in a folder, open; rows are written in order.

    sequences: N.  length: L.  targets: names of those that are explained.  effects: T of ism.npz; 0 leaves it out.
    facts: attributes of the HDF5 file.
    """

    def __init__(
        self, folder: Path, sequences: int, length: int, targets: Sequence[str], effects: int, facts: Mapping[str, Any]
    ) -> None:
        import h5py

        self._stack = contextlib.ExitStack()
        self._done = 0
        file = self._stack.enter_context(h5py.File(folder / CONTRIBUTIONS, "w"))
        file.attrs.update(facts)
        self._actual, self._hypothetical = (
            [file.create_dataset(f"{group}/{target}", (sequences, length, 4), np.float32) for target in targets]
            for group in (ACTUAL, HYPOTHETICAL)
        )
        even = length + length % 2
        self._one_hot = self._member(folder / ONE_HOT_FILE, MEMBER, (sequences, 4, even), np.int8)
        self._padded = [
            self._member(folder / hypothetical_file(target), MEMBER, (sequences, 4, even), np.float32)
            for target in targets
        ]
        shape = (sequences, length, 4, effects)
        self._effects = self._member(folder / ISM, RAW, shape, np.float32) if effects else None

    def __enter__(self) -> Arrays:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def write(self, codes: np.ndarray, hypothetical: Sequence[np.ndarray], effects: np.ndarray | None = None) -> None:
        """Of n sequences: base codes, uint8 (n, L); of each target, float32 (n, L, 4); and float32 (n, L, 4, T)."""
        rows = slice(self._done, self._done + len(codes))
        one_hot = ONE_HOT[codes]
        self._one_hot.write(_even(one_hot).astype(np.int8).tobytes())
        for number, scores in enumerate(hypothetical):
            self._hypothetical[number][rows] = scores
            self._actual[number][rows] = scores * one_hot
            self._padded[number].write(_even(scores).astype("<f4").tobytes())
        if self._effects is not None and effects is not None:
            self._effects.write(effects.astype("<f4").tobytes())
        self._done += len(codes)

    def _member(self, path: Path, name: str, shape: tuple[int, ...], kind: Any) -> IO[bytes]:
        """An array of an npz file, of which only the header is there."""
        # one-hot shrinks to a few percent, numbers hardly
        compression = zipfile.ZIP_DEFLATED if kind is np.int8 else zipfile.ZIP_STORED
        archive = self._stack.enter_context(zipfile.ZipFile(path, "w", compression, compresslevel=1))
        member = self._stack.enter_context(archive.open(f"{name}.npy", "w", force_zip64=True))
        descr = np.lib.format.dtype_to_descr(np.dtype(kind).newbyteorder("<"))
        np.lib.format.write_array_header_1_0(member, {"descr": descr, "fortran_order": False, "shape": shape})
        return member


def _even(scores: np.ndarray) -> np.ndarray:
    """(n, L, 4) -> (n, 4, L), L even."""
    return np.pad(scores, ((0, 0), (0, scores.shape[1] % 2), (0, 0))).transpose(0, 2, 1)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[np.ndarray]:
    """The array of a file for TF-MoDISco."""
    with np.load(path, allow_pickle=False) as archive:
        yield archive[MEMBER]
