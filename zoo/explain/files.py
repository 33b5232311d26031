"""The output folder of `zoo explain`: writing of arrays and of tracks along a genome, and reading for `zoo motifs`.

    contributions.h5        contrib_scores/TARGET, hyp_contrib_scores/TARGET: float32 (N, L, 4), as in the paper's
                            files. Of an ensemble, means over its members; contrib_scores_sd/TARGET and
                            hyp_contrib_scores_sd/TARGET are their standard deviations. With --bed also
                            window_start: 0-based first position of each sequence on its contig, int64 (N,)
    modisco.ohe.npz         arr_0: one-hot bases, int8 (N, 4, L)
    modisco.TARGET.hyp.npz  arr_0: hypothetical contributions, float32 (N, 4, L)
    ism.npz                 raw: effects of substitutions, float32 (N, L, 4, T); with --method ism
    tracks/TARGET.bw        contributions along a genome; with --bed
    summary.tsv             one row for each sequence
    explain.json            description of the run
    clusters/               see zoo/motifs/clusters.py; with --clusters

The npz files are the input of TF-MoDISco, which fails on odd windows. In them, an odd L is padded with a position of
zeros at its end.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import numpy as np

from zoo.dna.encoding import ONE_HOT
from zoo.dna.windows import window_start
from zoo.errors import ZooError, did_you_mean, nearest_first
from zoo.formats.names import shown
from zoo.formats.tracks import BigWig
from zoo.spec import SPREAD

CONTRIBUTIONS = "contributions.h5"
ONE_HOT_FILE = "modisco.ohe.npz"
ISM = "ism.npz"
TRACKS = "tracks"
SUMMARY = "summary.tsv"
DESCRIPTION = "explain.json"

CLUSTERS = "clusters"
CLUSTER_FILES = ("clusters.*", "cluster_motifs.tsv")
"""The folder of `--clusters`, and the files in it."""

ACTUAL, HYPOTHETICAL = "contrib_scores", "hyp_contrib_scores"
"""Groups of the HDF5 file."""

WINDOWS = "window_start"

MEMBER = "arr_0"
"""Name of the array in the files for TF-MoDISco: the one that numpy.savez gives."""

RAW = "raw"


def hypothetical_file(target: str) -> str:
    return f"modisco.{quoted(target)}.hyp.npz"


def quoted(target: str) -> str:
    """A target's name as a part of file names, which cannot contain "/"."""
    return quote(target, safe="*")


class Arrays:
    """Writer of the arrays in a folder, rows in order.

    sequences: N.  length: L.  targets: names of the explained targets.  effects: T of ism.npz, or 0 for no such file.
    facts: attributes of the HDF5 file.  ensemble: whether there are standard deviations over members.
    """

    def __init__(
        self,
        folder: Path,
        sequences: int,
        length: int,
        targets: Sequence[str],
        effects: int,
        facts: Mapping[str, Any],
        ensemble: bool = False,
    ) -> None:
        import h5py

        self._stack = contextlib.ExitStack()
        self._done = 0
        file = self._stack.enter_context(h5py.File(folder / CONTRIBUTIONS, "w"))
        file.attrs.update(facts)
        groups = (ACTUAL, HYPOTHETICAL, *(f"{group}{SPREAD}" for group in (ACTUAL, HYPOTHETICAL) if ensemble))
        self._actual, self._hypothetical, *self._spreads = (
            [file.create_dataset(f"{group}/{target}", (sequences, length, 4), np.float32) for target in targets]
            for group in groups
        )
        padded = (sequences, 4, length + length % 2)
        self._one_hot = self._member(folder / ONE_HOT_FILE, MEMBER, padded, np.int8)
        self._padded = [
            self._member(folder / hypothetical_file(target), MEMBER, padded, np.float32) for target in targets
        ]
        shape = (sequences, length, 4, effects)
        self._effects = self._member(folder / ISM, RAW, shape, np.float32) if effects else None

    def __enter__(self) -> Arrays:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def write(
        self,
        codes: np.ndarray,
        hypothetical: Sequence[np.ndarray],
        effects: np.ndarray | None = None,
        spreads: Sequence[np.ndarray | None] = (),
    ) -> None:
        """Append n sequences: base codes, uint8 (n, L); hypothetical contributions to each target, float32 (n, L, 4);
        effects of substitutions, float32 (n, L, 4, T); of an ensemble, standard deviations of the contributions."""
        rows = slice(self._done, self._done + len(codes))
        one_hot = ONE_HOT[codes]
        self._one_hot.write(_padded(one_hot).astype(np.int8).tobytes())
        for number, scores in enumerate(hypothetical):
            self._hypothetical[number][rows] = scores
            self._actual[number][rows] = scores * one_hot
            self._padded[number].write(_padded(scores).astype("<f4").tobytes())
        for number, spread in enumerate(spreads if self._spreads else ()):
            actual, hypothetical_spread = self._spreads
            actual[number][rows], hypothetical_spread[number][rows] = spread * one_hot, spread
        if self._effects is not None and effects is not None:
            self._effects.write(effects.astype("<f4").tobytes())
        self._done += len(codes)

    def _member(self, path: Path, name: str, shape: tuple[int, ...], kind: Any) -> IO[bytes]:
        """Open an array of a new npz file for its bytes, behind its header."""
        # one-hot bases shrink to a few percent, float32 hardly
        compression = zipfile.ZIP_DEFLATED if kind is np.int8 else zipfile.ZIP_STORED
        archive = self._stack.enter_context(zipfile.ZipFile(path, "w", compression, compresslevel=1))
        member = self._stack.enter_context(archive.open(f"{name}.npy", "w", force_zip64=True))
        descr = np.lib.format.dtype_to_descr(np.dtype(kind).newbyteorder("<"))
        np.lib.format.write_array_header_1_0(member, {"descr": descr, "fortran_order": False, "shape": shape})
        return member


def _padded(scores: np.ndarray) -> np.ndarray:
    """(n, L, 4) -> (n, 4, L), L made even."""
    return np.pad(scores, ((0, 0), (0, scores.shape[1] % 2), (0, 0))).transpose(0, 2, 1)


def write_tracks(
    folder: Path, targets: Sequence[str], contigs: Mapping[str, int], windows: Sequence[tuple[str, int, str]]
) -> None:
    """Write the contributions in contributions.h5 as a bigWig file for each target, and there where windows begin.

    A base in several windows has their mean; a window on the reverse strand is read back along the genome. Bases
    outside all windows have no value.
    contigs: name -> bases, in the order of the genome.  windows: contig, 0-based centre and strand of each sequence.
    """
    import h5py

    (folder / TRACKS).mkdir()
    with h5py.File(folder / CONTRIBUTIONS, "a") as file:
        lengths = {scores.shape[1] for scores in file[ACTUAL].values()}
        file[WINDOWS] = np.array([window_start(centre, max(lengths)) for _, centre, _ in windows], np.int64)
        for target in targets:
            scores = file[f"{ACTUAL}/{target}"]
            length = scores.shape[1]
            starts = [window_start(centre, length) for _, centre, _ in windows]
            with BigWig(folder / TRACKS / f"{quoted(target)}.bw", contigs) as track:
                for group in _touching(windows, starts, length, contigs):
                    contig, first = windows[group[0]][0], starts[group[0]]
                    sums = np.zeros(starts[group[-1]] + length - first)
                    counts = np.zeros_like(sums)
                    for number in group:
                        values = scores[number].sum(1)
                        covered = slice(starts[number] - first, starts[number] - first + length)
                        sums[covered] += values[::-1] if windows[number][2] == "-" else values
                        counts[covered] += 1
                    inside = slice(max(0, -first), contigs[contig] - first)
                    values = (sums / counts)[inside].astype(np.float32)
                    positions = np.arange(max(0, first), max(0, first) + len(values), dtype=np.int64)
                    track.write(contig, positions, positions + 1, values)


def _touching(
    windows: Sequence[tuple[str, int, str]], starts: Sequence[int], length: int, contigs: Iterable[str]
) -> list[list[int]]:
    """Group the numbers of windows that touch or overlap each other, in the order of the genome."""
    order = {contig: number for number, contig in enumerate(contigs)}
    groups: list[list[int]] = []
    for number in sorted(range(len(windows)), key=lambda one: (order[windows[one][0]], starts[one], one)):
        last = groups[-1][-1] if groups else None
        if last is None or windows[last][0] != windows[number][0] or starts[number] > starts[last] + length:
            groups.append([])
        groups[-1].append(number)
    return groups


@dataclasses.dataclass(frozen=True)
class Explained:
    """A folder of `zoo explain`. names: those of the N sequences.  activities: target -> float32 (N,)."""

    folder: Path
    description: dict[str, Any]
    names: list[str]
    activities: dict[str, np.ndarray]

    def targets(self, chosen: Sequence[str]) -> tuple[str, ...]:
        """The chosen targets, or all that were explained. Raises ZooError for a target that was not."""
        available = self.description["explained"]
        for target in chosen:
            if target not in available:
                listed = ", ".join(nearest_first(target, available))
                hint = did_you_mean(target, available)
                raise ZooError(f"targets: {self.folder} explains {listed}, got {target!r}{hint}")
        return tuple(chosen or available)

    def windows(self) -> list[tuple[str, int, str]] | None:
        """Contig, 0-based first position and strand of each sequence; None unless they are intervals of a genome.

        Raises ZooError for a folder of an earlier release, which does not say where windows begin.
        """
        if "genome" not in self.description:
            return None
        import h5py

        with h5py.File(self.folder / CONTRIBUTIONS) as file:
            if WINDOWS not in file:
                raise ZooError(f"{self.folder}: does not say where its windows begin; run zoo explain again")
            starts = file[WINDOWS][:].tolist()
        with (self.folder / SUMMARY).open(encoding="utf-8", errors="surrogateescape", newline="") as text:
            rows = csv.DictReader(text, delimiter="\t", quoting=csv.QUOTE_NONE)
            return [(row["chrom"], start, row["strand"]) for row, start in zip(rows, starts, strict=True)]

    def arrays(self, target: str, strongest: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Numbers, one-hot bases and hypothetical contributions of the sequences with the highest predictions: int
        (N,), and (N, 4, L) both. strongest: number of sequences, None for all."""
        numbers = np.arange(len(self.names))
        if strongest is not None and strongest < len(numbers):
            order = np.argsort(-self.activities[target], kind="stable")
            numbers = np.sort(order[:strongest])
        length = self.description["sequence_length"]
        shape = len(self.names), 4, length + length % 2
        one_hot, hypothetical = (
            _array(self.folder / name, shape)[numbers] for name in (ONE_HOT_FILE, hypothetical_file(target))
        )
        return numbers, one_hot, hypothetical


def read(folder: Path) -> Explained:
    """Read the table and the description of a folder. Raises ZooError for a folder that `zoo explain` did not write."""
    expected = f"{folder}: expected an output folder of zoo explain"
    try:
        description = json.loads((folder / DESCRIPTION).read_bytes())
        targets, length = description["targets"], description["sequence_length"]
        with (folder / SUMMARY).open(encoding="utf-8", errors="surrogateescape", newline="") as text:
            header, *rows = csv.reader(text, delimiter="\t", quoting=csv.QUOTE_NONE)
        first = header.index(targets[0])
        names = [" ".join(row[:first]) for row in rows]
        activities = {
            target: np.array([row[first + number] for row in rows], np.float32) for number, target in enumerate(targets)
        }
        description["explained"], int(length)
    except OSError as error:
        raise ZooError(f"{expected}; cannot read {error.filename} ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ZooError(f"{expected}; {DESCRIPTION} and {SUMMARY} have another layout") from error
    return Explained(folder, description, names, activities)


def _array(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """Read an array of a file for TF-MoDISco."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            array = archive[MEMBER]
    except OSError:
        raise ZooError(f"{path}: no such file, or not a file of zoo explain; run zoo explain again") from None
    except (ValueError, KeyError, EOFError) as error:
        raise ZooError(f"{path}: expected an npz file with an array {MEMBER} ({shown(str(error))})") from None
    if array.shape != shape:
        raise ZooError(f"{path}: expected an array {shape}, got {array.shape}; run zoo explain again")
    return array
