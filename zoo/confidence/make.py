"""Making a background: predict many sequences, sort the values, and write them with what they are of.

The sequences are random windows of a genome, intervals, or those of files; or dinucleotide shuffles of any of these.
Memory grows with the numbers that are kept, not with the sequences.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import zoo
from zoo.confidence import figures
from zoo.confidence.options import BackgroundOptions
from zoo.confidence.places import Draw, Places
from zoo.confidence.random_variants import RandomVariants, kinds_in
from zoo.dna.read_options import STRICT
from zoo.dna.shuffle import references
from zoo.errors import CheckFailed, ZooError, counted
from zoo.formats.indexed_fasta import IndexedFasta
from zoo.formats.text_input import STANDARD_INPUT
from zoo.genome.intervals import IntervalJob
from zoo.genome.options import AlleleOptions, IntervalOptions
from zoo.prediction import background as backgrounds
from zoo.prediction import description, model_files
from zoo.prediction.model import Model, loaded_model
from zoo.prediction.run import PredictionJob, chunk_of
from zoo.spec import ALPHABET
from zoo.system import pipeline
from zoo.system.atomic import check_target, replacing_together
from zoo.system.files import file_sha256

WINDOWS = 100_000
"""Random windows by default."""

BATCH = 1 << 14
"""Random windows that are predicted together."""

MOST_VALUES = 1 << 28
"""Most numbers of a background, 1 GiB."""

Progress = Callable[[int, int | None], None]
"""Called with the number of sequences done, and to do if it is known."""


@dataclasses.dataclass(frozen=True)
class BackgroundJob:
    """A background to make. given: files or intervals to predict.  genome: to draw random windows of, else None.

    comparing: how random variants are compared with the genome.
    command: what the user typed, for the description.
    """

    output: Path
    options: BackgroundOptions = BackgroundOptions()  # noqa: RUF009 - frozen
    given: PredictionJob | None = None
    genome: Path | None = None
    comparing: AlleleOptions = AlleleOptions()  # noqa: RUF009 - frozen
    overwrite: bool = False
    command: str = ""

    def check(self) -> None:
        """Raise ZooError for options that do not fit each other, or an output that cannot be written."""
        if self.genome is None and self.options.windows is not None:
            raise ZooError("--windows: draws from a whole genome; give --genome without --bed, --region and files")
        if self.options.random_variants and self.genome_of_variants is None:
            raise ZooError("--random-variants: also needs --genome, in which they are drawn")
        if not self.options.random_variants and self.comparing != AlleleOptions():
            raise ZooError("--shifts and --flank: only apply to --random-variants")
        model_files.check_output(self.output, self.overwrite, self.inputs)
        if self.options.figure is not None:
            check_target(self.options.figure, self.overwrite, self.inputs)

    @property
    def outputs(self) -> dict[Path, bool]:
        """Files to write, the background last -> whether they may be replaced."""
        figure = self.options.figure
        return dict.fromkeys([*([figure] if figure else []), self.output], self.overwrite)

    @property
    def genome_of_variants(self) -> Path | None:
        return self.given.intervals.genome if isinstance(self.given, IntervalJob) else self.genome

    @property
    def inputs(self) -> tuple[str | Path | None, ...]:
        return *self.sources, *(self.given.weights if self.given else ()), self.options.variants

    @property
    def sources(self) -> tuple[str | Path, ...]:
        return self.given.sources if self.given else () if self.genome is None else (self.genome,)


def run(model: Model, job: BackgroundJob, on_progress: Progress = lambda *_: None) -> dict[str, Any]:
    """Predict the sequences of a background and write it. Returns a description of the run.

    The same model, sequences and seed give the same bytes, if the model is settled.
    Raises ZooError for a sequence that is refused, too many numbers, or an output that cannot be written.
    """
    job.check()
    with contextlib.ExitStack() as stack:
        counts: dict[str, Any] = {"records": 0}
        total = None
        if job.genome is not None:
            number = job.options.windows or WINDOWS
            total = number * max(1, job.options.shuffles)
            genome = stack.enter_context(IndexedFasta(job.genome))
            batches = _random_windows(genome, model.spec.sequence_length, number, job.options.seed)
        elif job.given is not None:
            records = job.given.records(model.spec.sequence_length, chunk_of(model))
            batches = (codes for _, codes in records)
        else:
            raise ZooError("expected FASTA files, or --genome for random windows or intervals")
        random = _random_variants(model, job, stack)
        more = random.count() if random else 0
        total = None if total is None else total + more
        values = _predicted(model, _shuffled(batches, job.options, model), on_progress, total)
        done = values.shape[1]

        def on_variants(count: int) -> None:
            nonlocal done
            done += count
            on_progress(done, total)

        sizes = random.sizes(model, job.comparing, on_variants) if random else {}
        if job.given is not None:
            counts = dataclasses.asdict(records.counts) | {"records": values.shape[1]}
    about = {
        **model_files.identity(model.spec, model.rc),
        "sequences": values.shape[1],
        "source": "random windows" if job.genome else "intervals" if isinstance(job.given, IntervalJob) else "files",
        "shuffles": job.options.shuffles,
        "seed": job.options.seed,
        "inputs": [_input(source) for source in job.sources],
        "sequence_length": model.spec.sequence_length,
        "version": zoo.__version__,
    }
    if random:
        kinds = {kind: some.shape[1] for kind, some in sizes.items()}
        about |= {"shifts": list(job.comparing.shifts), "flank": job.comparing.flank, backgrounds.KINDS: kinds}
    effects = np.concatenate([np.empty((len(values), 0), np.float32), *sizes.values()], axis=1)
    with replacing_together(job.outputs, job.inputs) as (*pictures, partial):
        backgrounds.write(partial, about, values, effects)
        for picture in pictures:
            figures.draw(values, model.spec, picture)
    return {
        "command": job.command,
        **description.of_run(model.runtime, model.provider, model.spec),
        "counts": counts | {"records": values.shape[1], "random_variants": effects.shape[1]},
    }


def background(
    output: str | Path,
    model: str | Path | Model | None = None,
    weights: str | Path | None = None,
    *,
    fasta: str | Path | Sequence[str | Path] = (),
    genome: str | Path | None = None,
    bed: str | Path | None = None,
    windows: int | None = None,
    shuffles: int = 0,
    seed: int = 0,
    random_variants: int = 0,
    variants: str | Path | None = None,
    shifts: Sequence[int] = (0,),
    flank: str = "left",
    overwrite: bool = False,
    **options: Any,
) -> Path:
    """Write a background, as `zoo background` does, and return its path.

    output: a file name that ends in .npz.  model, weights, options: as for zoo.predict.
    fasta: FASTA files; or a genome, of which random windows are drawn, or intervals if `bed` is given.
    windows: number of random windows, default 100,000.  shuffles, seed, random_variants, variants: see
        BackgroundOptions.  shifts, flank: of these variants, as for zoo.variant_effects.
    Raises ZooError as the command does.
    """
    file = None if variants is None else Path(variants)
    chosen = BackgroundOptions(windows, shuffles, seed, random_variants, file)
    comparing = AlleleOptions(tuple(shifts), flank)  # type: ignore[arg-type]
    files = (fasta,) if isinstance(fasta, str | Path) else tuple(fasta)
    if bool(files) == (genome is not None):
        raise ZooError("background: expected FASTA files or a genome")
    bed, genome = (None if one is None else Path(one) for one in (bed, genome))
    intervals = IntervalOptions(bed, None, genome)
    given: PredictionJob | None = PredictionJob(files) if files else None
    if bed is not None:
        intervals.check()
        given = IntervalJob((), intervals=intervals, reading=STRICT)
    loaded = loaded_model(model, weights, options)
    loaded.settle()
    job = BackgroundJob(Path(output), chosen, given, None if given else intervals.genome, comparing, overwrite)
    run(loaded, job)
    return job.output


def _random_windows(genome: IndexedFasta, length: int, number: int, seed: int) -> Iterator[np.ndarray]:
    """Base codes, uint8 (N, L), of random windows without an N, in the order of the genome."""
    before = length // 2
    for found in Places(genome, before, length - before).draw([Draw(number)], seed):
        whole = np.lib.stride_tricks.sliding_window_view(found.codes, length)
        for first in range(0, len(found.positions), BATCH):
            yield whole[found.positions[first : first + BATCH] - found.start]


def _random_variants(model: Model, job: BackgroundJob, stack: contextlib.ExitStack) -> RandomVariants | None:
    """The random variants of a job. Raises ZooError if its file of variants cannot be read."""
    options, path = job.options, job.genome_of_variants
    if not options.random_variants or path is None:
        return None
    genome = stack.enter_context(IndexedFasta(path))
    others = kinds_in(options.variants, genome, model.spec.sequence_length) if options.variants else []
    found = RandomVariants(genome, options.random_variants, others, options.seed)
    numbers = found.count() * (len(ALPHABET) - 1) * len(model.spec.targets)
    if numbers > MOST_VALUES:
        raise ZooError(
            f"--random-variants: expected at most {MOST_VALUES:,} numbers, got up to {numbers:,} for "
            f"{counted(len(model.spec.targets), 'targets')}; give fewer"
        )
    return found


def _shuffled(batches: Iterator[np.ndarray], options: BackgroundOptions, model: Model) -> Iterator[np.ndarray]:
    """Base codes, uint8 (N, L), as they are or their shuffles, in batches of about the same size."""
    for codes in batches:
        if not options.shuffles:
            yield codes
            continue
        step = max(1, chunk_of(model) // options.shuffles)
        for first in range(0, len(codes), step):
            yield references(codes[first : first + step], options.shuffles, options.seed).reshape(-1, codes.shape[1])


def _predicted(model: Model, batches: Iterator[np.ndarray], on_progress: Progress, total: int | None) -> np.ndarray:
    """The values of all sequences, sorted, float32 (T, N)."""
    found: list[np.ndarray] = []
    targets = len(model.spec.targets)
    done = 0

    def collect(values: Any) -> None:
        found.append(values.result())

    def work(codes: np.ndarray) -> Any:
        nonlocal done
        done += len(codes)
        if max(done, total or 0) * targets > MOST_VALUES:
            raise ZooError(
                f"background: expected at most {MOST_VALUES:,} numbers, got {counted(targets, 'targets')} of more than "
                f"{MOST_VALUES // targets:,} sequences; give fewer sequences"
            )
        submitted = model.submit_codes(codes)
        on_progress(done, total)
        return submitted

    with model.spec.naming_flanks():
        pipeline.run(batches, work, collect)
    if not found:
        raise ZooError("background: expected sequences, found none")
    values = np.concatenate(found).T.copy()
    if not np.isfinite(values).all():
        raise CheckFailed("background: the model gave an output that is not finite")
    values.sort(axis=1)
    return values


def _input(source: str | Path) -> dict[str, str]:
    """Name and digest of a file; standard input has none."""
    path = Path(source)
    digest = {} if str(source) == STANDARD_INPUT else {"sha256": file_sha256(path)}
    return {"file": path.name, **digest}
